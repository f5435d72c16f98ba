"""Fixtures for the real client with a stand-in for the Hub and a cache of its own."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from dale_demo.checkpoint import folder as checkpoint
from dale_demo.checkpoint.config import CheckpointConfig
from tests.hub.stand_in import TOKEN, Hub, StandIn
from tests.tiny_network import save_tiny


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A fresh stand-in, an empty cache, no token.

    The client reads its environment only once, when it is imported, so its constants are set.
    """
    stand_in = StandIn()
    monkeypatch.setattr(constants, "ENDPOINT", stand_in.hub.address)
    template = stand_in.hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setenv("HF_ENDPOINT", stand_in.hub.address)
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache" / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    yield stand_in
    stand_in.stop()
    close_session()


@pytest.fixture
def hub(stand_in: StandIn) -> Hub:
    """The repositories of the stand-in, its requests and its faults."""
    return stand_in.hub


@pytest.fixture
def logged_in(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that the stand-in knows."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A valid checkpoint folder."""
    return save_tiny(tmp_path / "tiny")


def files_of(folder: Path) -> dict[str, bytes]:
    """Name → bytes of a folder's files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def reads(monkeypatch) -> Counter[str]:
    """How often a config.json was parsed and weights were read."""
    counts = Counter[str]()
    parse, read = CheckpointConfig.from_json.__func__, checkpoint.read_tensors

    def counted_parse(kind: type[CheckpointConfig], text: str) -> CheckpointConfig:
        counts["config"] += 1
        return parse(kind, text)

    def counted_read(*arguments: object, **named: object) -> dict[str, torch.Tensor]:
        counts["weights"] += 1
        return read(*arguments, **named)

    monkeypatch.setattr(CheckpointConfig, "from_json", classmethod(counted_parse))
    monkeypatch.setattr(checkpoint, "read_tensors", counted_read)
    return counts


@pytest.fixture
def commits(hub: Hub, network: Path) -> Iterator[str]:
    """Each `next` adds a commit to ann/net: the valid network, with another card."""

    def add() -> Iterator[str]:
        for number in itertools.count():
            files = files_of(network)
            files["README.md"] += b"\nEdition %d.\n" % number
            yield hub.repository("ann/net").commit(files)

    return add()
