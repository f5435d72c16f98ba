"""A first-come, first-served queue for the device that all sessions share."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from streamlit.delta_generator import DeltaGenerator

POLL_SECONDS = 0.2
CONCURRENT_RUNS = 2
"""Runs at once: on two cores two take little longer than one, four take twice as long."""


class Queue:
    """First come, first served: the holders of the first `capacity` tickets may run.

    Args:
        capacity: How many may run at once, at least 1.

    Raises:
        ValueError: The capacity is less than 1.
    """

    def __init__(self, capacity: int):
        if capacity < 1:
            raise ValueError(f"A queue needs a capacity of at least 1, got {capacity}.")
        self._capacity = capacity
        self._tickets: list[Ticket] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Tickets that run or wait."""
        return len(self._tickets)

    @contextmanager
    def ticket(self) -> "Iterator[Ticket]":
        """Hold a ticket for the length of the block; run once nobody is `ahead`.

        However the block ends, and wherever in the queue, those behind move up.
        """
        ticket = Ticket(self)
        with self._lock:
            self._tickets.append(ticket)
        try:
            yield ticket
        finally:
            with self._lock:
                self._tickets.remove(ticket)

    def ahead(self, ticket: "Ticket") -> int:
        """How many must finish before `ticket` may run; 0 if it may run now."""
        with self._lock:
            return max(0, self._tickets.index(ticket) - self._capacity + 1)


class Ticket:
    """A position in a `Queue`."""

    def __init__(self, queue: Queue):
        self._queue = queue

    @property
    def ahead(self) -> int:
        """How many must finish before this ticket may run; 0 if it may run now."""
        return self._queue.ahead(self)


QUEUE = Queue(CONCURRENT_RUNS)
"""The one queue of this process, for everything that keeps the device busy."""


@contextmanager
def wait_turn(status: DeltaGenerator) -> Iterator[None]:
    """Wait in the queue, and hold the turn for the length of the block.

    Args:
        status: Where to show how many are ahead. Drawing there is also what ends the wait of a
            visitor who has left: Streamlit then raises.
    """
    with QUEUE.ticket() as ticket:
        while ahead := ticket.ahead:
            people = "1 person is" if ahead == 1 else f"{ahead} people are"
            status.info(
                f"{people} ahead of you; your run starts by itself.", icon=":material/group:"
            )
            time.sleep(POLL_SECONDS)
        yield
