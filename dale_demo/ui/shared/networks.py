"""Networks that all visitors share: looked up once, loaded once, held in bounded caches."""

import time
from dataclasses import replace
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
from dale_demo.hub import Resolved, resolve
from dale_demo.hub.bounded_cache import PUBLIC_NETWORKS, touch
from dale_demo.hub.names import offered
from dale_demo.ui.shared.warm_up import freeze

RECHECK_SECONDS, RETRY_SECONDS = 600, 30
"""How long a look-up on the Hub is reused when it succeeded, and when it failed."""


def device() -> str:
    """Where networks run: the GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def network_names() -> list[str]:
    """Networks to choose from: the bundled ones, the default first, then the offered ones."""
    bundled = sorted(bundled_checkpoints(), key=lambda name: name != DEFAULT_NETWORK)
    return list(dict.fromkeys([*bundled, *offered()]))


def find(name: str) -> Resolved:
    """Look up a network by the name that a visitor chose or typed.

    Raises:
        CheckpointError: It is not available.
    """
    name = name.strip()
    if name in bundled_checkpoints():
        return resolve(name)
    public = name not in offered()
    outcome, when = _look_up(name, public)
    if _outdated(outcome, when):
        _look_up.clear(name, public)
        outcome, when = _look_up(name, public)
    if isinstance(outcome, str):
        raise CheckpointError(outcome)
    return outcome


def network(folder: Path) -> Checkpoint:
    """Load a network once for all visitors; read-only: never train it, move it or change its mode.

    Raises:
        CheckpointError: It is damaged.
    """
    return _checkpoint(str(folder), device(), None)


def network_config(folder: Path) -> CheckpointConfig:
    """Read what a network can do without its weights; raises CheckpointError."""
    return _config(str(folder), None)


def _outdated(outcome: Resolved | str, when: float) -> bool:
    """Whether to look up again: an old failure, or a network removed from the disk cache."""
    if isinstance(outcome, str):
        return time.monotonic() - when > RETRY_SECONDS
    return outcome.commit is not None and not touch(outcome.folder)


@st.cache_resource(
    ttl=RECHECK_SECONDS, max_entries=64, show_spinner="Asking the Hugging Face Hub …"
)
def _look_up(name: str, public: bool) -> tuple[Resolved | str, float]:
    """The network, or the message of the error, and when it was looked up.

    Errors are cached as well: else every click of a visitor would ask the Hub again.
    """
    try:
        found = resolve(name, public=public)
    except CheckpointError as error:
        return str(error), time.monotonic()
    if found.checkpoint:
        _config(str(found.folder), found.checkpoint.config)
        _checkpoint(str(found.folder), device(), found)
    # Of 64 look-ups only the few in _checkpoint's cache may keep their weights in memory.
    return replace(found, checkpoint=None), time.monotonic()


# Streamlit leaves arguments that begin with an underscore out of the key: what a look-up has
# already read fills the entry that later calls, by folder alone, find.


@st.cache_resource(max_entries=4, show_spinner=False)
def _checkpoint(folder: str, device: str, _found: Resolved | None) -> Checkpoint:
    loaded = _found.load(device) if _found else _load(folder, device)
    freeze()
    return loaded


def _load(folder: str, device: str) -> Checkpoint:
    with PUBLIC_NETWORKS.hold(Path(folder)):
        return load_checkpoint(folder, device)


@st.cache_resource(max_entries=64, show_spinner=False)
def _config(folder: str, _read: CheckpointConfig | None) -> CheckpointConfig:
    return _read or load_config(folder)
