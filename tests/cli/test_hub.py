"""push, pull, space and Hub names on the command line, once as real processes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dale_demo.__main__ import cli, main
from dale_demo.checkpoint import folder as checkpoint
from tests.hub.fixtures import files_of
from tests.hub.stand_in import TOKEN

ROOT = Path(__file__).resolve().parents[2]


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_push_and_pull(hub, logged_in, network, tmp_path, monkeypatch):
    link = invoke("push", network, "ann/net").strip()
    commit = hub.repository("ann/net").branches["main"]
    assert link == f"{hub.address}/ann/net/tree/{commit}"
    printed = invoke("pull", "ann/net", tmp_path / "copy")
    assert printed == (
        f"ann/net: Downloaded from the Hugging Face Hub at commit {commit[:7]}. "
        f"Wrote {tmp_path / 'copy'}.\n"
    )
    assert files_of(tmp_path / "copy") == files_of(network)
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path / "bundled")
    invoke("pull", "ann/net@main")
    assert checkpoint.bundled_checkpoints() == {"net": tmp_path / "bundled" / "net"}


def test_a_private_branch(hub, logged_in, network):
    invoke("push", network, "ann/net", "--private", "--revision", "trial")
    assert hub.repository("ann/net").private
    assert set(hub.repository("ann/net").branches) == {"main", "trial"}


def test_sampling_from_the_hub(hub, commits, tmp_path):
    commit = next(commits)
    out = tmp_path / "a.npz"
    printed = invoke("sample", "--checkpoint", "ann/net", "--steps", 2, "--out", out)
    assert f"ann/net: Downloaded from the Hugging Face Hub at commit {commit[:7]}." in printed
    with np.load(out) as data:
        assert data["images"].shape == (16, 8, 8)


@pytest.fixture
def process(hub, tmp_path):
    """Start the command line as a process, which takes the Hub's address from its environment."""

    def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        settings = {"HF_HOME": str(tmp_path / "home")}
        return subprocess.Popen(
            [sys.executable, "-m", "dale_demo", *map(str, arguments)],
            env=os.environ | settings | {"HF_ENDPOINT": hub.address} | environment,
            cwd=ROOT,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    return start


def test_as_real_processes(hub, commits, network, tmp_path, process):
    """Even if they are told to be talkative, they ask for what they need alone."""
    commit = next(commits)
    both = [
        process("push", network, "bob/net", HF_TOKEN=TOKEN, HF_HUB_DISABLE_TELEMETRY="0"),
        process("pull", "ann/net", tmp_path / "copy", HF_HUB_DISABLE_TELEMETRY="0"),
    ]
    for each in both:
        _, errors = each.communicate()
        assert (each.returncode, errors) == (0, "")
    assert files_of(tmp_path / "copy") == hub.repository("ann/net").commits[commit]
    _, pushed = hub.repository("bob/net").at("main")
    assert pushed.items() >= files_of(network).items()
    assert "GET /api/agent-harnesses" not in hub.requests


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pull", "net"), "expected one of"),
        (("pull", "ann/none", "copy"), "has no repository ann/none"),
        (("push", "nowhere", "ann/net"), "does not exist"),
        (("push", ".", "ann/net"), "not a checkpoint"),
        (("space", "app"), "expected one of"),
        (("sample", "--checkpoint", "ann/none", "--out", "a.png"), "has no repository"),
        (("evaluate", "--checkpoint", "ann/net", "--update-card"), "pull ann/net into one first"),
    ],
)
def test_mistakes_are_one_line(commits, monkeypatch, capsys, arguments, message, tmp_path):
    next(commits)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dale_demo", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    printed = capsys.readouterr()
    assert (stop.value.code, printed.out) == (2, "")
    line = printed.err.splitlines()[-1]
    assert line.startswith("error: ")
    assert message in line
    assert "Traceback" not in printed.err
