"""A queue for the device that all sessions share: first come, first served, a share at a time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamlit.delta_generator import DeltaGenerator

POLL_SECONDS = 0.2
"""How often a visitor who waits is told of it, which is also how one who has left is noticed."""
CONCURRENT_RUNS = 2
"""Runs at once: on two cores two take little longer than one, four take twice as long."""
SHARE_SECONDS = 20.0
"""How long a run may keep others waiting before it goes to the back of the queue."""


class Queue:
    """First come, first served: the holders of the first `capacity` tickets may run.

    Args:
        capacity: How many may run at once, at least 1.
        share: Seconds that a ticket may run while others wait; see `Ticket.yield_turn`.
        clock: Tells the time in seconds.

    Raises:
        ValueError: The capacity is less than 1.
    """

    def __init__(
        self,
        capacity: int,
        share: float = SHARE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ):
        if capacity < 1:
            raise ValueError(f"A queue needs a capacity of at least 1, got {capacity}.")
        self._capacity, self._share, self._clock = capacity, share, clock
        self._tickets: list[Ticket] = []
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """Tickets that run or wait."""
        return len(self._tickets)

    @contextmanager
    def ticket(self) -> "Iterator[Ticket]":
        """Hold a ticket for the length of the block; run once nobody is `ahead`.

        However the block ends, and wherever in the queue, those behind move up.
        """
        ticket = Ticket(self)
        with self._moving():
            self._tickets.append(ticket)
        try:
            yield ticket
        finally:
            with self._moving():
                self._tickets.remove(ticket)

    def ahead(self, ticket: "Ticket", patience: float = 0.0) -> int:
        """How many must finish before `ticket` may run; 0 if it may run now.

        Args:
            patience: Seconds to wait, at most, for its turn to come.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._before(ticket), patience)
            return self._before(ticket)

    def rotate(self, ticket: "Ticket") -> bool:
        """Send `ticket` to the back if its share of time is over and others wait.

        Returns:
            Whether its turn is over.
        """
        with self._changed:
            waiting = len(self._tickets) > self._capacity
            began = ticket.began
            if not waiting or began is None or self._clock() - began < self._share:
                return False
            with self._moving():
                self._tickets.remove(ticket)
                self._tickets.append(ticket)
                ticket.began = None
            return True

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Change the order in the block; then turns begin, and those who wait look again."""
        with self._changed:
            yield
            for ticket in self._tickets[: self._capacity]:
                if ticket.began is None:
                    ticket.began = self._clock()
            self._changed.notify_all()

    def _before(self, ticket: "Ticket") -> int:
        return max(0, self._tickets.index(ticket) - self._capacity + 1)


class Ticket:
    """A position in a `Queue`.

    Attributes:
        began: When its turn began, on the queue's clock; None while it waits.
    """

    def __init__(self, queue: Queue):
        self._queue = queue
        self.began: float | None = None

    @property
    def ahead(self) -> int:
        """How many must finish before this ticket may run; 0 if it may run now."""
        return self._queue.ahead(self)

    def wait(self, patience: float) -> int:
        """Wait for the turn, at most `patience` seconds; how many are still ahead, 0 if none."""
        return self._queue.ahead(self, patience)

    def yield_turn(self) -> bool:
        """Go to the back of the queue if the turn has lasted its share while others wait.

        Returns:
            Whether the turn is over: `wait` for the next one.
        """
        return self._queue.rotate(self)


QUEUE = Queue(CONCURRENT_RUNS)
"""The one queue of this process, for everything that keeps the device busy."""


class Turn:
    """A visitor's turn in the queue, with words for who has to wait.

    Args:
        ticket: The position in the queue.
        status: Where to show how many are ahead. Drawing there is also what ends the wait of a
            visitor who has left: Streamlit then raises.

    Attributes:
        paused: Seconds in which it has given way to others.
    """

    def __init__(self, ticket: Ticket, status: DeltaGenerator):
        self._ticket, self._status = ticket, status
        self.paused = 0.0

    def wait(self, then: str) -> None:
        """Return once the turn has come; `then` says what happens at that time."""
        if not self._ticket.ahead:
            return
        while ahead := self._ticket.ahead:
            people = "1 person is" if ahead == 1 else f"{ahead} people are"
            self._status.info(f"{people} ahead of you; {then}.", icon=":material/group:")
            self._ticket.wait(POLL_SECONDS)
        self._status.empty()

    def give_way(self) -> None:
        """Let others run if they have waited for long enough; to be called between two steps."""
        if self._ticket.yield_turn():
            began = time.monotonic()
            try:
                self.wait("your run pauses for them, and goes on by itself")
            finally:
                self.paused += time.monotonic() - began


@contextmanager
def wait_turn(status: DeltaGenerator) -> Iterator[Turn]:
    """Wait in the queue, and hold the turn for the length of the block.

    Work of more than a few seconds calls `give_way` on the turn between its steps.

    Args:
        status: Where to show how many are ahead; see `Turn`.
    """
    with QUEUE.ticket() as ticket:
        turn = Turn(ticket, status)
        turn.wait("your run starts by itself")
        yield turn
