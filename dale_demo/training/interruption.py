"""Hold interruptions back while something must be done whole or not at all."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done; SIGTERM too, where a Python function handles it.

    In training, an interrupt between the optimiser's update and that of the average would leave the
    two a step apart, and the run could not resume exactly.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread alone
        return
    received: list[tuple[int, FrameType | None]] = []
    held: dict[int, Callable[[int, FrameType | None], Any]] = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    for number in held:
        signal.signal(number, lambda *call: received.append(call))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
    for number, frame in received:
        held[number](number, frame)
