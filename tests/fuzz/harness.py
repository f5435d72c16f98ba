"""Try hostile inputs one by one: each succeeds, or is refused in one short sentence, in time."""

import os
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

SEED = 20251002
LONGEST = 300
"""Characters of a sentence that refuses an input."""
CPU_SECONDS = 2.0
"""Processor time of one input; wall time would depend on what else the machine does."""
STUCK_SECONDS = 20
"""Wall time after which an input that waits, for instance for a FIFO, is given up."""
MEMORY = 2**29
"""Bytes of address space that one input may add."""
SIZE_FILE = Path("/proc/self/statm")

Input = TypeVar("Input")
Errors = tuple[type[Exception], ...]


class StuckError(BaseException):
    """An input took too long; no `except Exception` catches it."""


def failures(
    cases: Iterable[tuple[str, Input]], attempt: Callable[[Input], None], refusals: Errors
) -> list[str]:
    """Attempt every case; return a line for each that broke the promise.

    Args:
        cases: Name and input of each.
        attempt: What the program does with an input; it may raise AssertionError itself.
        refusals: Errors by which an input may be refused.
    """
    found = []
    for name, value in cases:
        started = _processor_time()
        problem = _problem(attempt, value, refusals)
        seconds = _processor_time() - started
        if problem is None and seconds > CPU_SECONDS:
            problem = f"took {seconds:.1f} s of processor time"
        if problem is not None:
            found.append(f"{name}: {problem}")
    return found


def fault_of(sentence: str) -> str | None:
    """What is wrong with a sentence that refuses an input; None where nothing is."""
    if not sentence.strip():
        return "was refused without a word"
    if len(sentence) > LONGEST:
        return f"was refused in {len(sentence):,} characters: {sentence[:100]!r} …"
    if len(sentence.splitlines()) > 1:
        return f"was refused in several lines: {sentence!r}"
    try:
        sentence.encode()
    except UnicodeEncodeError:
        return f"was refused in a sentence that cannot be printed: {sentence!r}"
    return None


def _processor_time() -> float:
    """Seconds that this process has computed, and the ones that it started and has waited for."""
    return sum(os.times()[:4])


def _problem(attempt: Callable[[Input], None], value: Input, refusals: Errors) -> str | None:
    """What is wrong with one attempt; None where nothing is."""
    try:
        with _limited_time(), _limited_memory():
            attempt(value)
    except refusals as error:
        if any(isinstance(cause, MemoryError) for cause in _causes(error)):
            return f"needed more than {MEMORY >> 20} MiB"
        if not str(error).endswith((".", "…")):
            return f"was refused in what is no sentence: {str(error)[:LONGEST]!r}"
        return fault_of(str(error))
    except (Exception, StuckError) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return f"{text[:300]} ({_place(error)})"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The errors behind an error, as far as they are known."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _place(error: BaseException) -> str:
    """Where an error was raised: the last line of the project, and the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/dale_demo/" in frame.filename]
    places = dict.fromkeys(f"{Path(f.filename).name}:{f.lineno}" for f in (*ours[-1:], frames[-1]))
    return " < ".join(places)


@contextmanager
def _limited_time() -> Iterator[None]:
    """Raise StuckError in the block after `STUCK_SECONDS`; pytest's own timer then goes on."""

    def give_up(*_: object) -> None:
        raise StuckError(f"not done after {STUCK_SECONDS} s")

    handler = signal.signal(signal.SIGALRM, give_up)
    began = time.monotonic()
    left, _ = signal.setitimer(signal.ITIMER_REAL, STUCK_SECONDS)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
        rest = max(left - (time.monotonic() - began), 1e-3) if left else 0
        signal.setitimer(signal.ITIMER_REAL, rest)


@contextmanager
def _limited_memory() -> Iterator[None]:
    """Let the block add at most `MEMORY` to the process, where the system can tell its size."""
    if not SIZE_FILE.exists():
        yield
        return
    now = int(SIZE_FILE.read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
