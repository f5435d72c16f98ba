"""What a page shows while it imports PyTorch, seconds once in a process: its title and an image.

Pages that open without PyTorch have no splash.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from dale_demo.ui.shared.assets import UI


@dataclass(frozen=True)
class Splash:
    """What stands in for a page.

    Args:
        title: Of the page.
        file: Below `dale_demo/ui`: an animation, or HTML.
    """

    title: str
    file: str


SPLASHES = {
    "sample": Splash("Dale meets Langevin, live", "sample/stored/mnist.webp"),
    "restore": Splash("Noise and restore", "restore/stored/splash.html"),
    "playground": Splash("Playground", "playground/stored/splash.html"),
}
_imported: set[str] = set()
"""Pages that this process has imported."""


@contextmanager
def splash(name: str) -> Iterator[None]:
    """Show the splash of a page, if it has one, while the block imports it for the first time."""
    if name in _imported or name not in SPLASHES:
        yield
        return
    slot = st.empty()
    with slot.container():
        _draw(SPLASHES[name])
    yield
    # Only now: a visitor who comes during the import waits for it too, and needs the splash.
    _imported.add(name)
    slot.empty()


def _draw(splash: Splash) -> None:
    st.title(splash.title)
    file = UI / splash.file
    if file.suffix == ".html":
        st.markdown(file.read_text(encoding="utf-8"), unsafe_allow_html=True)  # st.html drops SVG
    else:
        st.image(str(file), width="stretch")
    st.caption("A stored run, while the program warms up.")
