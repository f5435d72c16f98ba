"""Parts of the page's text: charts, wide tables, and pairs of numbers to compare."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dale_demo.drawing.markdown import table

WIDE = "[class*='st-key-wide-'] [data-testid='stMarkdownContainer']"
"""Selector of the tables that may be wider than a phone."""


def wide_table(name: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Draw a table of Markdown cells that scrolls where it is wider than the page.

    Args:
        name: Of the table, its own on the page.
        head, rows: See `table`.
    """
    with st.container(key=f"wide-{name}"):
        st.html(f"<style>{WIDE} {{ overflow-x: auto; }}</style>")
        st.markdown(table(head, rows))


def chart(figure: Any, key: str) -> None:
    """Draw a Plotly figure."""
    st.plotly_chart(figure, width="stretch", key=key, config={"displaylogo": False})


def pair(first: float, second: float) -> tuple[str, str]:
    """Format two distances, the smaller in bold."""
    texts = f"{first:.3f}", f"{second:.3f}"
    return (f"**{texts[0]}**", texts[1]) if first < second else (texts[0], f"**{texts[1]}**")
