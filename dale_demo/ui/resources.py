"""What all visitors share: the networks, the device, and the line for a place to sample."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
import torch

from dale_demo.checkpoint import (
    Checkpoint,
    CheckpointConfig,
    bundled_checkpoints,
    find_checkpoint,
    load_checkpoint,
    load_config,
)

PLACES = 2
"""Runs at once: on two cores two share their time nearly without loss, four take twice as long."""


class Line:
    """First come, first served: a line whose first `places` visitors may work at the same time.

    A visitor who leaves, from whatever reason and wherever in the line, lets the others move up.

    Args:
        places: How many may work at once, at least 1.

    Raises:
        ValueError: There is no place.
    """

    def __init__(self, places: int):
        if places < 1:
            raise ValueError(f"A line needs at least 1 place, got {places}.")
        self._places = places
        self._visitors: list[Visit] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Visitors who work or wait."""
        return len(self._visitors)

    @contextmanager
    def visit(self) -> "Iterator[Visit]":
        """Stand in the line for the length of the block, and work once nobody is `ahead`."""
        visit = Visit(self)
        with self._lock:
            self._visitors.append(visit)
        try:
            yield visit
        finally:
            with self._lock:
                self._visitors.remove(visit)

    def ahead(self, visit: "Visit") -> int:
        """How many must leave before `visit` has a place; 0 where it has one."""
        with self._lock:
            return max(0, self._visitors.index(visit) - self._places + 1)


class Visit:
    """One visitor's stay in a `Line`."""

    def __init__(self, line: Line):
        self._line = line

    @property
    def ahead(self) -> int:
        """How many must leave before this visitor has a place; 0 means go."""
        return self._line.ahead(self)


LINE = Line(PLACES)
"""The one line of this process, for everything that keeps the device busy."""


def device() -> str:
    """Where networks run: the GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def network_names() -> list[str]:
    """Networks to choose from, the first being the default."""
    return list(bundled_checkpoints())


def network(name: str) -> Checkpoint:
    """Load a network once for all visitors; read-only, so never train, move or seed it.

    Raises:
        CheckpointError: There is no such network, or it is damaged.
    """
    return _network(str(find_checkpoint(name)), device())


def network_config(name: str) -> CheckpointConfig:
    """Read what a network can do without its weights; raises CheckpointError."""
    return _config(str(find_checkpoint(name)))


@st.cache_resource(max_entries=4, show_spinner=False)
def _network(folder: str, device: str) -> Checkpoint:
    return load_checkpoint(folder, device)


@st.cache_resource(max_entries=16, show_spinner=False)
def _config(folder: str) -> CheckpointConfig:
    return load_config(folder)
