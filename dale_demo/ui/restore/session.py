"""What a session keeps of its last work, and how that work is done: in the queue, with a bar."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dale_demo.restoration import Restoration, Watch
from dale_demo.ui.restore.images import GreyImage, Mask
from dale_demo.ui.shared.queue import wait_turn

KEY = "restoration"
"""Of the results in the session state."""
DRAW_SECONDS = 0.1
"""Least time between two updates of the bar."""

Work = TypeVar("Work")
Table = dict[str, NDArray[np.float64]]
"""Way of restoring → PSNR and SSIM of each image [B, 2]."""


@dataclass(frozen=True)
class SessionResults:
    """The last results of a session, each beside the key of the request that it answers.

    A rerun for another reason, such as a stroke on a canvas, so computes nothing again.

    Args:
        restored: Key and restoration.
        table: Key and the qualities of that restoration.
        filled: Key, the image, its hole, and the samples of it filled [K, C, H, W].
    """

    restored: tuple[object, Restoration]
    table: tuple[object, Table]
    filled: tuple[object, GreyImage, Mask, NDArray[np.float64]]


def last_results() -> SessionResults:
    """The results of this session."""
    return st.session_state[KEY]


def keep(**changed: Any) -> None:
    """Replace some of them."""
    st.session_state[KEY] = replace(last_results(), **changed)


def run_with_progress(doing: str, expected: int, work: Callable[[Watch], Work]) -> Work:
    """Do `work` in its turn, with a bar that counts steps up to about `expected`.

    It pauses between two steps while others have their turn.

    Args:
        doing: What the bar says.
        work: Takes a function to be called with every step.
    """
    bar = st.empty()
    seen, drawn = 0, 0.0

    with wait_turn(bar) as turn:

        def watch(_: object) -> None:
            nonlocal seen, drawn
            seen += 1
            if time.monotonic() - drawn > DRAW_SECONDS:
                drawn = time.monotonic()
                bar.progress(min(1.0, seen / expected), f"{doing} …")
            turn.give_way()

        made = work(watch)
    bar.empty()
    return made
