"""What the README promises is run as it stands there."""

import re
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]


def blocks(language: str) -> list[str]:
    """The README's code blocks in `language`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_library_example(capsys):
    example = blocks("python")[0]
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    assert names["images"].shape == (3, 1, 28, 28)
    assert names["images"].dtype == torch.uint8
    assert np.ptp(names["images"].numpy()) > 200, "a digit has black and white"
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 41
    assert all(line.endswith(" 0 signs changed") for line in lines)
    assert lines[-1].startswith("t = 0.0000, 40 calls")


def test_commands_stand_in_the_readme():
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert "pip install -r requirements.txt && streamlit run app.py" in commands
    assert "pip install -r requirements-dev.txt && pytest" in commands
    assert all((ROOT / name).exists() for name in ("app.py", "requirements-dev.txt"))


def test_links_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)\)", text)
    local = [target for target in targets if not target.startswith("https://")]
    assert local, "the README shows at least its picture"
    missing = [target for target in local if not (ROOT / target).exists()]
    assert not missing
