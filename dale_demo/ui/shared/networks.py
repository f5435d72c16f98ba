"""What all visitors share: the networks, the device, and the line for a place to sample."""

import time
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
import torch

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import (
    Checkpoint,
    bundled_checkpoints,
    load_checkpoint,
    load_config,
)
from dale_demo.datasets import DEFAULT_NETWORK
from dale_demo.hub.bounded_cache import STRANGERS, touch
from dale_demo.hub.lookup import Resolved, resolve
from dale_demo.hub.names import offered

RECHECK_SECONDS, RETRY_SECONDS = 600, 30
"""How long a network from the Hub is taken for the newest, and a failure for lasting."""
ASKING = "Asking the Hugging Face Hub …"


def device() -> str:
    """Where networks run: the GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Found:
    """A network that can be used, whatever was asked for.

    Args:
        network: Where it is.
        problem: Why it is the bundled one in place of the one asked for; empty where it is not.
    """

    network: Resolved
    problem: str = ""


def network_names() -> list[str]:
    """Networks to choose from: the bundled ones, first the opening's, and the offered ones."""
    first = sorted(bundled_checkpoints(), key=lambda name: name != DEFAULT_NETWORK)
    return list(dict.fromkeys([*first, *offered()]))


def find(name: str) -> Found:
    """Find a network by the name that a visitor chose or typed; a bundled one in its place.

    Raises:
        CheckpointError: It is not to be had, and there is no bundled one.
    """
    name, bundled = name.strip(), bundled_checkpoints()
    if name in bundled:
        return Found(resolve(name))
    public = name not in offered()
    outcome = _outcome(name, public)
    if outcome.stale:
        _outcome.clear(name, public)
        outcome = _outcome(name, public)
    if outcome.network:
        return Found(outcome.network)
    if not bundled:
        raise CheckpointError(outcome.error)
    return Found(resolve(network_names()[0]), outcome.error)


def network(folder: Path) -> Checkpoint:
    """Load a network once for all visitors; read-only, so never train, move or seed it.

    Raises:
        CheckpointError: It is damaged.
    """
    return _network(str(folder), device())


def network_config(folder: Path) -> CheckpointConfig:
    """Read what a network can do without its weights; raises CheckpointError."""
    return _config(str(folder))


@dataclass(frozen=True)
class _Outcome:
    """What came of looking for a network, and when."""

    network: Resolved | None
    error: str
    when: float

    @property
    def stale(self) -> bool:
        """Whether to look again: a failure long past, or a network taken away to make room."""
        if self.network is None:
            return time.monotonic() - self.when > RETRY_SECONDS
        return self.network.commit is not None and not touch(self.network.folder)


@st.cache_resource(ttl=RECHECK_SECONDS, max_entries=64, show_spinner=ASKING)
def _outcome(name: str, public: bool) -> _Outcome:
    try:
        return _Outcome(resolve(name, public=public), "", time.monotonic())
    except CheckpointError as error:
        return _Outcome(None, str(error), time.monotonic())


@st.cache_resource(max_entries=4, show_spinner=False)
def _network(folder: str, device: str) -> Checkpoint:
    with STRANGERS.hold(Path(folder)):
        return load_checkpoint(folder, device)


@st.cache_resource(max_entries=16, show_spinner=False)
def _config(folder: str) -> CheckpointConfig:
    return load_config(folder)
