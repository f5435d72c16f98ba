"""Run work that may hang in its own thread, and give it up after a time without progress.

A timeout on each request is not enough: none covers resolving a host name, a server that sends a
few bytes at a time, or one that drops the connection and is asked again. What is limited is the
time since the last progress.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from typing import TypeVar

Result = TypeVar("Result")

AHEAD, POLL_SECONDS = 16, 0.2
"""How many pieces a stream is ahead of its reader, and how often it looks whether that is still
there."""


class IdleTimeoutError(TimeoutError):
    """The work made no progress for too long."""


class Heartbeat:
    """What work uses to report progress, and its caller to watch it.

    Args:
        idle: Seconds without progress that count already.
    """

    def __init__(self, idle: float = 0.0) -> None:
        self._last = time.monotonic() - idle
        self._cancelled = False

    @property
    def idle(self) -> float:
        """Seconds since the last progress."""
        return time.monotonic() - self._last

    def beat(self) -> None:
        """Report progress; raises IdleTimeoutError in work that was cancelled."""
        if self._cancelled:
            raise IdleTimeoutError("cancelled")
        self._last = time.monotonic()

    def cancel(self) -> None:
        """Make the next `beat` raise; a thread cannot be stopped from outside."""
        self._cancelled = True


def with_idle_timeout(
    work: Callable[[Heartbeat], Result], seconds: float, idle: float = 0.0
) -> Result:
    """Return what `work` returns, or raise what it raises.

    Args:
        work: Called in a daemon thread; it should `beat` whenever it has made progress.
        seconds: Longest time without progress.
        idle: Seconds of that time which earlier steps of the same task have used up.

    Raises:
        IdleTimeoutError: No progress for `seconds`. The thread ends at its next `beat`.
    """
    heartbeat, outcome = Heartbeat(idle), Future[Result]()

    def run() -> None:
        try:
            outcome.set_result(work(heartbeat))
        except BaseException as error:  # of any kind: it is raised again in the caller's thread
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True, name="with_idle_timeout").start()
    while not wait([outcome], max(0.0, seconds - heartbeat.idle)).done:
        if heartbeat.idle >= seconds:
            heartbeat.cancel()
            raise IdleTimeoutError(f"no progress for {seconds:g} s")
    return outcome.result()


def stream_with_idle_timeout(
    source: Callable[[], Iterable[bytes]], seconds: float
) -> Iterator[bytes]:
    """Yield the pieces of `source`, or raise what it raises.

    The time in which the caller works on a piece does not count.

    Args:
        source: Called and iterated over in a daemon thread, at most `AHEAD` pieces in advance.
        seconds: Longest time to wait for a piece.

    Raises:
        IdleTimeoutError: None came for `seconds`. The thread ends with its next piece, as it does
            when the caller closes this generator.
    """
    pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(AHEAD)
    closed = threading.Event()

    def put(piece: bytes | BaseException | None) -> None:
        while not closed.is_set():
            try:
                return pieces.put(piece, timeout=POLL_SECONDS)
            except queue.Full:
                continue
        raise IdleTimeoutError("cancelled")

    def run() -> None:
        try:
            for piece in source():
                put(piece)
            put(None)
        except BaseException as error:  # of any kind: it is raised again in the caller's thread
            if not closed.is_set():
                put(error)

    threading.Thread(target=run, daemon=True, name="stream_with_idle_timeout").start()
    try:
        while (piece := _next(pieces, seconds)) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        closed.set()


def _next(
    pieces: "queue.Queue[bytes | BaseException | None]", seconds: float
) -> bytes | BaseException | None:
    try:
        return pieces.get(timeout=seconds)
    except queue.Empty:
        raise IdleTimeoutError(f"no progress for {seconds:g} s") from None
