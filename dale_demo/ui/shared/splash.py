"""What a page shows while it imports PyTorch, seconds once in a process: its title and a picture.

Pages that can open without PyTorch have no curtain. `python -m dale_demo.ui.curtain` draws the
stored pictures anew; do so when those of the page Noise and restore, or the playground, change.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    pass

UI = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Curtain:
    """What hangs before a page.

    Args:
        title: Of the page.
        picture: Name of a file beside this one, a film or HTML.
    """

    title: str
    picture: str


CURTAINS = {
    "sample": Curtain("Dale meets Langevin, live", "sample/stored/mnist.webp"),
    "restore": Curtain("Noise and restore", "restore/stored/splash.html"),
    "playground": Curtain("Playground", "playground/stored/splash.html"),
}
_lifted: set[str] = set()
"""Pages that this process has imported."""


@contextmanager
def curtain(name: str) -> Iterator[None]:
    """Show the curtain of a page, if it has one, while the block imports it for the first time."""
    if name in _lifted or name not in CURTAINS:
        yield
        return
    slot = st.empty()
    with slot.container():
        _draw(CURTAINS[name])
    yield
    _lifted.add(name)
    slot.empty()


def _draw(curtain: Curtain) -> None:
    st.title(curtain.title)
    file = UI / curtain.picture
    if file.suffix == ".html":
        st.markdown(file.read_text(encoding="utf-8"), unsafe_allow_html=True)  # st.html drops SVG
    else:
        st.image(str(file), width="stretch")
    st.caption("A stored run, while the program warms up.")
