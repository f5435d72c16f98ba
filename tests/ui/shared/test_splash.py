"""What pages show while PyTorch is imported: which have a splash, how long it stays, its images."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dale_demo.ui.playground import splash as playground
from dale_demo.ui.restore.stored_run import splash_html
from dale_demo.ui.sample.stored_run import ANIMATION
from dale_demo.ui.shared import splash as splashes
from dale_demo.ui.shared.assets import UI
from dale_demo.ui.shared.splash import SPLASHES, Splash, splash

ROOT = Path(__file__).resolve().parents[3]
PAGES = ["sample", "restore", "dales_law", "playground", "theory"]
WHICH_IMPORT_TORCH = """
import sys
from importlib import import_module
sys.modules["torch"] = None
for page in sys.argv[1:]:
    try:
        import_module(f"dale_demo.ui.{page}.page")
    except ModuleNotFoundError as error:
        assert error.name == "torch", error
        print(page)
"""
NUMBER = r"-?\d+\.\d"


@pytest.fixture
def drawn(monkeypatch) -> list[Splash]:
    """The splashes that were drawn, in a process that has imported no page."""
    drawn: list[Splash] = []
    monkeypatch.setattr(splashes, "_imported", set())
    monkeypatch.setattr(splashes, "_draw", drawn.append)
    return drawn


def test_a_page_has_a_splash_if_it_imports_torch():
    """In a fresh process, in which an import of PyTorch fails at once."""
    done = subprocess.run(
        [sys.executable, "-c", WHICH_IMPORT_TORCH, *PAGES],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(done.stdout.split()) == set(SPLASHES)


def test_it_stays_until_the_page_was_imported_once(drawn):
    with pytest.raises(KeyboardInterrupt), splash("restore"):
        raise KeyboardInterrupt
    with splash("restore"), splash("restore"):
        assert len(drawn) == 3, "a second visitor waits for the same import"
    with splash("restore"):
        assert len(drawn) == 3
    with splash("sample"):
        assert drawn[-1] == SPLASHES["sample"]


def test_the_splash_of_the_playground_is_that_of_the_library():
    """If it changed: `python -m dale_demo.ui.build playground --force`."""
    made, kept = playground.draw_particles(), stored("playground")
    assert re.sub(NUMBER, "#", made) == re.sub(NUMBER, "#", kept)
    first, second = (np.array(re.findall(NUMBER, text), float) for text in (made, kept))
    np.testing.assert_allclose(first, second, atol=0.5)
    assert len(first) > 4 * playground.SHOWN - 100, "two numbers a particle in two plots, nearly"


def test_the_splash_of_noise_and_restore_is_the_stored_restoration():
    """If it changed: `python -m dale_demo.ui.build restore --force`."""
    assert splash_html() == stored("restore")


def test_the_splash_of_sample_is_the_stored_animation():
    assert UI / SPLASHES["sample"].file == ANIMATION


def stored(page: str) -> str:
    return (UI / SPLASHES[page].file).read_text(encoding="utf-8")
