"""What a page shows while it imports PyTorch, seconds once in a process: its title and a picture.

Pages that can open without PyTorch have no curtain. `python -m dale_demo.ui.curtain` draws the
stored pictures anew; do so when those of the page Noise and restore, or the playground, change.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from dale_demo.toy import Paths

FOLDER = Path(__file__).parent
SHOWN = 300
"""Particles that a picture of the playground has."""


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
    "sample": Curtain("Dale meets Langevin, live", "opening.webp"),
    "restore": Curtain("Noise and restore", "restore-curtain.html"),
    "playground": Curtain("Playground", "playground-curtain.html"),
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
    file = FOLDER / curtain.picture
    if file.suffix == ".html":
        st.markdown(file.read_text(encoding="utf-8"), unsafe_allow_html=True)  # st.html drops SVG
    else:
        st.image(str(file), width="stretch")
    st.caption("A stored run, while the program warms up.")


def restored() -> str:
    """The stored restoration, as the page Noise and restore has it."""
    from dale_demo.ui import restore_opening
    from dale_demo.ui.gallery import markup
    from dale_demo.ui.restore import example, views

    return markup(views(example(), restore_opening.stored()[0]))


def flocks() -> str:
    """Where the two flocks that the playground opens with come to rest."""
    from dale_demo.toy import SHAPES, ToySettings, walk

    data = next(iter(SHAPES.values()))()
    figures = (
        f"<figure style='flex:1 1 300px;margin:0'>{_flock(walk(data, name, ToySettings()))}"
        f"<figcaption style='text-align:center'>{escape(name)}</figcaption></figure>"
        for name in ("dale-langevin", "unconstrained")
    )
    return f"<div style='display:flex;flex-wrap:wrap;gap:28px'>{''.join(figures)}</div>\n"


def _flock(paths: "Paths") -> str:
    from dale_demo.palette import INHIBITORY, STATE
    from dale_demo.svg import Axis, Picture

    across, up = Axis("", -4.5, 6, ticks=(0, 3)), Axis("", -2.25, 3.6, ticks=(0, 3))
    picture = Picture(
        "Particles at the end of their walk; blue where one crossed an axis.", across, up
    )
    picture.line([across.low, across.high], [0, 0], "currentColor", width=1)
    picture.line([0, 0], [up.low, up.high], "currentColor", width=1)
    crossed = paths.crossings[-1] > 0
    for colour, those in ((STATE, ~crossed), (INHIBITORY, crossed)):
        x1, x2 = paths.x[-1, :SHOWN][those[:SHOWN]].T
        picture.dots(x1, x2, colour, radius=1.5)
    return picture.svg()


def main() -> None:
    """Write both pictures."""
    for name, draw in {"restore": restored, "playground": flocks}.items():
        (FOLDER / CURTAINS[name].picture).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
