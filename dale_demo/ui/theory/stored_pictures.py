"""Stored figures of the page Theory, one SVG for each section.

`python -m dale_demo.ui.build theory` draws them anew once `VERSION` is raised, as it must be when a
change of code changes a figure.
"""

from pathlib import Path

from dale_demo.ui.shared.stored import StoredItem

FOLDER = Path(__file__).with_name("stored")
VERSION = 1
"""Of the code that draws."""


def file_of(name: str) -> str:
    """Name of the file that holds a section's figure."""
    return f"{name.replace('_', '-')}.svg"


def load_figure(name: str) -> str:
    """Read the SVG of a section."""
    return (FOLDER / file_of(name)).read_text(encoding="utf-8")


def items() -> list[StoredItem]:
    """All of them as one item, which depends on code alone."""
    from dale_demo.theory.pictures import PICTURES

    files = tuple(FOLDER / file_of(name) for name in PICTURES)
    return [StoredItem("theory/pictures", files, dict, _make, VERSION)]


def _make() -> None:
    from dale_demo.theory.pictures import PICTURES

    for name, draw in PICTURES.items():
        (FOLDER / file_of(name)).write_text(draw().svg(), encoding="utf-8")
