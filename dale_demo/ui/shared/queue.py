"""A fair queue for the device: whoever came first computes first."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from streamlit.delta_generator import DeltaGenerator

POLL_SECONDS = 0.2
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


@contextmanager
def place(line: DeltaGenerator) -> Iterator[None]:
    """Hold a place for the length of the block, after telling the visitor who is before them."""
    with LINE.visit() as visit:
        while ahead := visit.ahead:
            people = "1 person" if ahead == 1 else f"{ahead} people"
            line.info(f"{people} before you; it starts by itself.", icon=":material/group:")
            time.sleep(POLL_SECONDS)
        yield
