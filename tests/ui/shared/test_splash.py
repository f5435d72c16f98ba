"""What pages show while PyTorch is imported: who has a curtain, how long it hangs, its pictures."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dale_demo.ui.playground.splash import flocks
from dale_demo.ui.restore.splash import restored
from dale_demo.ui.shared import splash as curtain

ROOT = Path(__file__).resolve().parents[3]
PAGES = ["sample", "restore", "dales_law", "playground", "theory"]
NUMBER = r"-?\d+\.\d"


@pytest.fixture
def drawn(monkeypatch) -> list[curtain.Curtain]:
    """The curtains that were drawn, in a process that has imported no page."""
    curtains: list[curtain.Curtain] = []
    monkeypatch.setattr(curtain, "_lifted", set())
    monkeypatch.setattr(curtain, "_draw", curtains.append)
    return curtains


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_a_curtain_if_it_imports_torch(page):
    """In a fresh process, so that what other tests imported does not count."""
    script = f"import sys, dale_demo.ui.{page}.page; sys.exit('torch' in sys.modules)"
    slow = subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode
    assert slow == (page in curtain.CURTAINS)


def test_it_hangs_until_the_page_was_imported_once(drawn):
    with pytest.raises(KeyboardInterrupt), curtain.curtain("restore"):
        raise KeyboardInterrupt
    with curtain.curtain("restore"), curtain.curtain("restore"):
        assert len(drawn) == 3, "a second visitor waits for the same import"
    with curtain.curtain("restore"):
        assert len(drawn) == 3
    with curtain.curtain("sample"):
        assert drawn[-1] == curtain.CURTAINS["sample"]


def test_the_picture_of_the_playground_is_that_of_the_library():
    """If it changed: `python -m dale_demo.ui.curtain`."""
    made, kept = flocks(), stored("playground")
    assert re.sub(NUMBER, "#", made) == re.sub(NUMBER, "#", kept)
    first, second = (np.array(re.findall(NUMBER, text), float) for text in (made, kept))
    np.testing.assert_allclose(first, second, atol=0.5)
    assert len(first) > 4 * curtain.SHOWN - 100, "two numbers a particle in two pictures, nearly"


def test_the_picture_of_noise_and_restore_is_the_stored_restoration():
    """If it changed: `python -m dale_demo.ui.curtain`."""
    assert restored() == stored("restore")


def stored(page: str) -> str:
    return (curtain.FOLDER / curtain.CURTAINS[page].picture).read_text(encoding="utf-8")
