"""The stored pictures of the page Theory, one for each step.

`python -m dale_demo.ui.theory_opening` draws them anew; do so when one, or what it shows, changes.
"""

from pathlib import Path

FOLDER = Path(__file__).with_name("stored")


def file_of(name: str) -> str:
    """Name of the file that holds a step's picture."""
    return f"{name.replace('_', '-')}.svg"


def stored(name: str) -> str:
    """The SVG of a step."""
    return (FOLDER / file_of(name)).read_text(encoding="utf-8")


def main() -> None:
    """Draw them all and write them."""
    from dale_demo.theory.pictures import PICTURES

    for name, draw in PICTURES.items():
        (FOLDER / file_of(name)).write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
