"""How the Hub's client connects: no requests of its own, and progress that can be counted.

To be imported before any request is made; what is set here holds for the whole process.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from huggingface_hub import constants, set_client_factory
from huggingface_hub.utils import logging
from huggingface_hub.utils._http import default_client_factory

from dale_demo.hub.idle_timeout import Heartbeat, with_idle_timeout

constants.HF_HUB_DISABLE_TELEMETRY = True
"""Only the requests that were asked for: to describe itself, the client would else ask the Hub for
a list of programs whenever it first needs a header, even to look into its own cache."""
constants.HF_HUB_DISABLE_XET = True
"""Plain HTTP, whose bytes can be counted and whose requests can time out; Xet's client does
neither."""
constants.DOWNLOAD_CHUNK_SIZE = PIECE = 2**16
"""Progress is reported per chunk, in bytes: the client's 10 MiB would exceed the timeout on a slow
line."""

logging.set_verbosity_error()  # errors are raised; a thread that was given up has nothing to say

Result = TypeVar("Result")

_heartbeat: ContextVar[Heartbeat | None] = ContextVar("heartbeat", default=None)


def uploading(work: Callable[[], Result], seconds: float) -> Result:
    """Do work that sends something to the Hub; an answer, and each piece sent, are progress.

    Args:
        work: Called in a thread of its own; requests that it makes in further ones do not count.
        seconds: Longest time without progress.

    Raises:
        IdleTimeoutError: No progress for `seconds`; and whatever `work` raises.
    """

    def counted(heartbeat: Heartbeat) -> Result:
        _heartbeat.set(heartbeat)  # for the thread of this call alone
        return work()

    return with_idle_timeout(counted, seconds)


@dataclass
class _Pieces:
    """The body of a request in small pieces; to ask for the next reports the one before as sent.

    It can be read again, for a request that is repeated.
    """

    body: Any
    heartbeat: Heartbeat

    def __iter__(self) -> Iterator[bytes]:
        for part in self.body:
            for start in range(0, len(part), PIECE):
                yield part[start : start + PIECE]
                self.heartbeat.beat()


def _count_sent(request: Any) -> None:
    if heartbeat := _heartbeat.get():
        heartbeat.beat()
        # Of the new request only the body is used: the old one has the headers, with its length.
        pieces = _Pieces(request.stream, heartbeat)
        request.stream = type(request)(request.method, request.url, content=pieces).stream


def _count_answer(_: Any) -> None:
    if heartbeat := _heartbeat.get():
        heartbeat.beat()


def _counting_client() -> Any:
    """The client's own connections to the Hub, with progress counted."""
    client = default_client_factory()
    hooks = client.event_hooks
    client.event_hooks = {
        "request": [*hooks["request"], _count_sent],
        "response": [*hooks["response"], _count_answer],
    }
    return client


set_client_factory(_counting_client)
