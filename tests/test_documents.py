"""What README and the documents promise: examples that run, links that lead somewhere, length."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = sorted([README, ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")])
MAX_LINES = {"README.md": 130, "CONTRIBUTING.md": 60}


def blocks(document: Path, language: str) -> list[str]:
    """The code blocks of a document in `language`."""
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def missing_targets(document: Path, text: str) -> list[str]:
    """Targets of relative links and images in `text` that do not exist."""
    targets = re.findall(r"\]\(([^)#\s]+)|src=\"([^\"]+)\"", text)
    local = [link or image for link, image in targets if "://" not in link]
    return [target for target in local if not (document.parent / target).exists()]


def test_library_example(capsys):
    example = blocks(README, "python")[0]
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["images"].shape == (3, 1, 28, 28)
    assert names["images"].dtype == torch.uint8
    assert np.ptp(names["images"].numpy()) > 200, "a digit has black and white"
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 41
    assert all(line.endswith(" 0 signs changed") for line in lines)
    assert lines[-1].startswith("t = 0.0000, 40 evaluations")


def test_the_commands_that_ci_and_newcomers_use():
    commands = [line for block in blocks(README, "sh") for line in block.splitlines()]
    assert "pip install -r requirements.txt && streamlit run app.py" in commands
    assert "pip install -r requirements-dev.txt && pytest" in commands
    assert all((ROOT / name).exists() for name in ("app.py", "requirements-dev.txt"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_is_sound(document: Path):
    text = document.read_text(encoding="utf-8")
    assert missing_targets(document, text) == []
    for example in blocks(document, "python"):
        compile(example, document.name, "exec")
    assert len(text.splitlines()) <= MAX_LINES.get(document.name, 400)


def test_a_broken_link_is_found():
    broken = '[here](docs/nowhere.md) <img src="docs/nothing.webp">'
    assert missing_targets(README, broken) == ["docs/nowhere.md", "docs/nothing.webp"]
