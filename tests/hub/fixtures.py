"""The real client, led to a stand-in for the Hub and to a cache of its own."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from tests.hub.stand_in import TOKEN, Hub, StandIn
from tests.tiny_network import save_tiny


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A fresh stand-in, an empty cache, nobody logged in.

    The client reads its environment when it is imported, which may have been long ago; so its
    constants are set instead.
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
    """What the stand-in keeps, and its faults."""
    return stand_in.hub


@pytest.fixture
def logged_in(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine has a token that the stand-in knows."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A sound checkpoint folder."""
    return save_tiny(tmp_path / "tiny")


def files_of(folder: Path) -> dict[str, bytes]:
    """Name → bytes of a folder's files."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def commits(hub: Hub, network: Path) -> Iterator[str]:
    """Each `next` adds a commit to ann/net: the sound network, with another card."""

    def add() -> Iterator[str]:
        for number in itertools.count():
            files = files_of(network)
            files["README.md"] += b"\nEdition %d.\n" % number
            yield hub.repository("ann/net").commit(files)

    return add()
