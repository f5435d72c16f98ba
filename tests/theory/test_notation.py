"""The notation is written once: the README's table is that of the module."""

from pathlib import Path

from dale_demo.theory.notation import NOTATION, table

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_readme_has_the_same_table():
    text = README.read_text(encoding="utf-8")
    section = text.split("## Notation")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    expected = table().splitlines()
    assert rows[0] == expected[0]
    assert rows[2:] == expected[2:]
    assert len(rows) == 2 + len(NOTATION)
