"""The notation is written once: the documentation has the table of the module."""

from pathlib import Path

from dale_demo.theory.notation import NOTATION, table

ROOT = Path(__file__).resolve().parents[2]


def documentation() -> str:
    """The text under the heading Notation, in docs/notation.md if there is one, else README.md."""
    page = ROOT / "docs" / "notation.md"
    if page.is_file():
        return page.read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return readme.split("## Notation")[1].split("\n## ")[0]


def test_the_documentation_has_the_same_table():
    rows = [line for line in documentation().splitlines() if line.startswith("|")]
    expected = table().splitlines()
    start = rows.index(expected[0])
    assert rows[start + 2 : start + len(expected)] == expected[2:]
    assert len(expected) == 2 + len(NOTATION)
