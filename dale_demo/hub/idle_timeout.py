"""Work that may hang: done in a thread of its own, and given up after a silence.

A time-out on each request is not enough: none covers the look-up of a host's name, a server that
drips, or one that breaks off and is asked again. What counts is how long nothing has come forward.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

Result = TypeVar("Result")


class SilenceError(TimeoutError):
    """Nothing came forward for too long."""


class Pulse:
    """Signs of life from work that somebody waits for."""

    def __init__(self, silent: float = 0.0) -> None:
        self._last = time.monotonic() - silent
        self._abandoned = False

    @property
    def silence(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._last

    def beat(self) -> None:
        """Give a sign of life; raises SilenceError in work that nobody waits for any more."""
        if self._abandoned:
            raise SilenceError("given up")
        self._last = time.monotonic()

    def abandon(self) -> None:
        """Let the work end at its next sign of life."""
        self._abandoned = True


def patiently(work: Callable[[Pulse], Result], seconds: float, silent: float = 0.0) -> Result:
    """Return what `work` returns, or raise what it raises.

    Args:
        work: Called in a daemon thread; it should `beat` whenever it has come forward.
        seconds: The longest silence that is borne.
        silent: Seconds of it that went by before, in other work for the same end.

    Raises:
        SilenceError: Nothing came forward for so long. The thread ends by itself later.
    """
    pulse, outcome = Pulse(silent), Future[Result]()

    def run() -> None:
        try:
            outcome.set_result(work(pulse))
        except BaseException as error:  # whatever it is belongs to the one who waits
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True, name="patiently").start()
    while not wait([outcome], max(0.0, seconds - pulse.silence)).done:
        if pulse.silence >= seconds:
            pulse.abandon()
            raise SilenceError(f"no sign of life for {seconds:g} s")
    return outcome.result()
