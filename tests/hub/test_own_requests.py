"""The client makes the requests that it was asked for, and none besides; the cache needs none."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub.utils import _detect_agent

from dale_demo.hub import client as hub_client
from dale_demo.hub.client import Client
from dale_demo.hub.lookup import pull, resolve
from dale_demo.hub.names import HubName, UnreachableError
from tests.hub.fixtures import files_of

ROOT = Path(__file__).resolve().parents[2]
NET = HubName("ann/net")
HARNESSES = "GET /api/agent-harnesses"


@pytest.fixture
def talkative(stand_in, tmp_path, monkeypatch) -> None:
    """The client as in a new process, without what it has learned from another request."""
    monkeypatch.setattr(_detect_agent, "_registry", None)
    path = str(tmp_path / "cache" / ".agent_harnesses.json")
    monkeypatch.setattr(hub_client.constants, "AGENT_HARNESSES_PATH", path)


def test_a_look_up_asks_for_the_network_alone(hub, commits, talkative):
    next(commits)
    resolve("ann/net")
    assert HARNESSES not in hub.requests
    assert not Path(hub_client.constants.AGENT_HARNESSES_PATH).exists()


def test_by_default_the_client_asks_for_more(hub, commits, talkative, monkeypatch):
    """Negative control."""
    next(commits)
    monkeypatch.setattr(hub_client.constants, "HF_HUB_DISABLE_TELEMETRY", False)
    resolve("ann/net")
    assert HARNESSES in hub.requests


@pytest.mark.parametrize("command", ["space", "sample"])
def test_as_a_process_that_is_told_to_be_talkative(hub, commits, tmp_path, command):
    """As `push` and `pull` are in the tests of the command line."""
    next(commits)
    arguments = {
        "space": ["bob/app"],
        "sample": ["--checkpoint", "ann/net", "--steps", 2, "--out", tmp_path / "a.png"],
    }[command]
    hub.status = 500 if command == "space" else 0  # after its first request: it would take long
    subprocess.run(
        [sys.executable, "-m", "dale_demo", command, *map(str, arguments)],
        env=os.environ
        | {"HF_ENDPOINT": hub.address, "HF_HUB_DISABLE_TELEMETRY": "0", "HF_TOKEN": "hf_stand_in"}
        | {"HF_HOME": str(tmp_path / "home")},
        cwd=ROOT,
        capture_output=True,
    )
    assert hub.requests
    assert HARNESSES not in hub.requests


def set_fault(hub, fault: str) -> None:
    if fault == "number":
        hub.odd = 5
    elif fault == "list":
        hub.odd = [1, "x"]
    else:
        hub.hangs = fault


@pytest.mark.parametrize("fault", ["all", "headers", "list", "number"])
def test_the_cache_makes_no_request(hub, commits, talkative, fault):
    commit = next(commits)
    resolve("ann/net")
    set_fault(hub, fault)
    hub.requests.clear()
    began = time.monotonic()
    for name in NET, HubName("ann/net", commit):
        assert Client().cached(name).commit == commit
    for name in HubName("ann/other"), HubName("ann/net", "0" * 40), HubName("ann/net", "v9"):
        assert Client().cached(name) is None
    assert hub.requests == []
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("fault", ["all", "headers", "list", "number"])
def test_a_hub_that_talks_nonsense_or_never_ends(
    hub, commits, talkative, tmp_path, fault, monkeypatch
):
    """The cached copy is used in bounded time; without one it is one sentence."""
    monkeypatch.setattr(hub_client, "IDLE_TIMEOUT", 1.0)
    commit = next(commits)
    resolve("ann/net")
    set_fault(hub, fault)
    began = time.monotonic()
    assert resolve("ann/net").commit == commit
    assert "could not check for a newer commit: The" in pull(NET, tmp_path / "copy").account
    with pytest.raises(UnreachableError, match=r"does not answer|is not a Hub"):
        resolve("ann/other")
    assert time.monotonic() - began < 6


def fail(*_: object, **__: object) -> None:
    raise OSError(30, "Read-only file system", "/home/ann/.cache/x")


READ_ONLY = {
    "refs": ["dale_demo.hub.client.write_atomically"],
    "everything": [
        "dale_demo.hub.client.write_atomically",
        "dale_demo.hub.bounded_cache.os.utime",
        "huggingface_hub.file_download.os.makedirs",
        "pathlib.Path.mkdir",
        "pathlib.Path.unlink",
    ],
}


@pytest.fixture(params=READ_ONLY)
def read_only(request, monkeypatch) -> Iterator[object]:
    """A function after which the cache cannot be written."""

    def protect() -> None:
        for name in READ_ONLY[request.param]:
            monkeypatch.setattr(name, fail)

    return protect


@pytest.mark.parametrize("public", [False, True])
def test_a_read_only_cache_serves_what_it_has(hub, commits, read_only, public):
    commit = next(commits)
    resolve("ann/net", public=public)
    read_only()
    found = resolve("ann/net", public=public)
    assert (found.commit, found.doubt) == (commit, "")


@pytest.mark.parametrize("public", [False, True])
def test_a_cache_without_room_for_a_newer_commit_serves_the_older(
    hub, commits, network, monkeypatch, public
):
    commit = next(commits)
    resolve("ann/net", public=public)
    for name in READ_ONLY["everything"]:
        monkeypatch.setattr(name, fail)
    hub.repository("ann/net").commit({**files_of(network), "README.md": b"# Newer\n"})
    found = resolve("ann/net", public=public)
    assert found.commit == commit
    assert found.doubt == "ann/net was not transferred completely: Read-only file system"


def test_damage_in_a_read_only_cache_is_refused(hub, commits, monkeypatch):
    commit = next(commits)
    weights = resolve("ann/net").folder / "model.safetensors"
    weights.resolve().write_bytes(bytes(weights.stat().st_size))
    monkeypatch.setattr("pathlib.Path.unlink", fail)
    assert Client().cached(HubName("ann/net", commit)) is None


@pytest.mark.parametrize("text", [b"\xff\xfe", b"", b"../../other", b"0" * 40, b"a" * 10**5])
def test_an_odd_note_of_a_branch_s_commit(hub, commits, text):
    next(commits)
    note = resolve("ann/net").folder.parents[1] / "refs" / "main"
    note.write_bytes(text)
    assert Client().cached(NET) is None
