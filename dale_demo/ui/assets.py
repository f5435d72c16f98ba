"""Scripts and styles that lie beside this file."""

from pathlib import Path


def asset(*names: str) -> str:
    """Join the files `names`; what several players share comes first."""
    folder = Path(__file__).parent
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)
