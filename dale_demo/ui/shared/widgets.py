"""Widgets that several pages use; the key of each is its name in the address."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import streamlit as st

if TYPE_CHECKING:
    from dale_demo.process import GridName

Option = TypeVar("Option")


def choice(
    label: str, options: Sequence[Option], default: Option, *, key: str, help: str, **more: Any
) -> Option:
    """Draw a selectbox whose first value is `default`; `more` is passed on to `st.selectbox`."""
    options = list(options)
    return st.selectbox(
        label,
        options,
        index=options.index(default),
        key=key,
        bind="query-params",
        help=help,
        **more,
    )


def seed(default: int, *, key: str, help: str) -> int:
    """Draw a field for the seed of a random generator."""
    return st.number_input("Seed", 0, 2**31 - 1, default, key=key, bind="query-params", help=help)


def time_grid(default: "GridName", *, key: str) -> "GridName":
    """Draw a selectbox for the spacing of the steps between noise and data."""
    from dale_demo.process import GridName  # imports PyTorch, which not every page needs

    return choice(
        "Time grid",
        get_args(GridName),
        default,
        key=key,
        help="Spacing of the steps: **karras** has most of them where the noise is small, "
        "**uniform** (the paper’s) spaces them evenly in time.",
    )
