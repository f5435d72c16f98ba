"""Read weights piece by piece with a progress bar, so that a click loses nothing of what was read.

What is being read is kept in the visitor's session, and goes on where it was when the page's script
runs anew. Finished reports on networks that anyone may see are kept for all visitors.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dale_demo.drawing.markdown import plain
from dale_demo.ui.shared.queue import wait_turn
from dale_demo.ui.shared.warm_up import import_in_turn
from dale_demo.ui.weights.sources import Source
from dale_demo.ui.weights.stored_run import load_stored_network
from dale_demo.weights.change_report import ChangeReport
from dale_demo.weights.report import Report

ANALYSIS, CHANGE = "dale_demo.weights.analyse", "dale_demo.weights.change"
"""Modules that import PyTorch, which stored reports do not need."""
MAX_SHARED, MAX_OWN = 16, 6
"""Reports that are kept for all visitors, and for one."""
MAX_RUNNING = 4
"""What a visitor may have begun to read and left; each keeps its place in a download."""
TELL_SECONDS = 0.15
RETRY_SECONDS = 30.0
"""Time after which something that failed is tried again."""

Work = Generator[str, None, Any]


class Kept:
    """The results used last, at most `most`; for all threads."""

    def __init__(self, most: int):
        self._most, self._results = most, OrderedDict[Hashable, Any]()
        self._lock = Lock()

    def get(self, key: Hashable) -> Any:
        """A result, or None."""
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def keep(self, key: Hashable, result: Any) -> None:
        """Keep a result, and drop what was not used for longest."""
        with self._lock:
            self._results[key] = result
            self._results.move_to_end(key)
            while len(self._results) > self._most:
                self._results.popitem(last=False)


SHARED = Kept(MAX_SHARED)


@dataclass
class Failure:
    """One sentence on why something could not be read, and when that was."""

    sentence: str
    when: float = field(default_factory=time.monotonic)


@dataclass
class Reading:
    """Something that is being read.

    Args:
        work: Yields the name of a tensor after each piece.
        size: Bytes to be read.
        received: Bytes that have come.
    """

    size: int
    work: Work | None = None
    received: int = 0

    def take(self, count: int) -> None:
        """Note that `count` more bytes have come."""
        self.received += count

    @property
    def progress(self) -> float:
        """Share that has been read, in [0, 1]."""
        return min(1.0, self.received / max(1, self.size))


@dataclass
class Readings:
    """What a visitor's session keeps.

    Args:
        results: Of what has been read.
        running: What is being read, by the key of its result.
    """

    results: Kept = field(default_factory=lambda: Kept(MAX_OWN))
    running: dict[Hashable, Reading] = field(default_factory=dict)

    def reading(self, key: Hashable, size: int) -> Reading:
        """What is being read under a key, or a new one; of the others, the last few go on."""
        while len(self.running) >= MAX_RUNNING and key not in self.running:
            del self.running[next(iter(self.running))]
        return self.running.setdefault(key, Reading(size))


def known_report(source: Source) -> Report | None:
    """The report on a source, if it is stored or was made before."""
    if source.identity[0] == "bundled":
        return load_stored_network(source.title).report
    return _kept(("report", *source.identity), source.shared)


def report_of(source: Source, slot: DeltaGenerator) -> Report | None:
    """The report on a source, read now if it is not known; None, and a warning, where that fails.

    Args:
        slot: Where to draw the progress, and what is wrong.
    """

    def begin(reading: Reading) -> Work:
        return import_in_turn(ANALYSIS).analysing(source.read(reading.take))

    key = ("report", *source.identity)
    return _result(key, source.shared, source.size, f"Reading {source.title}", begin, slot)


def change_of(before: Source, after: Source, slot: DeltaGenerator) -> ChangeReport | None:
    """What changed between two sources; None, and a warning, where they cannot be compared."""

    def begin(reading: Reading) -> Work:
        module = import_in_turn(CHANGE)
        start = yield from module.remembering(before.read(reading.take))
        return (yield from module.comparing(start, after.read(reading.take)))

    key = ("change", *before.identity, *after.identity)
    shared, size = before.shared and after.shared, before.size + after.size
    return _result(key, shared, size, f"Comparing {after.title}", begin, slot)


def _session() -> Readings:
    return st.session_state.setdefault("weight-readings", Readings())


def _kept(key: Hashable, shared: bool) -> Any:
    return SHARED.get(key) if shared else _session().results.get(key)


def _result(
    key: Hashable,
    shared: bool,
    size: int,
    label: str,
    begin: Callable[[Reading], Work],
    slot: DeltaGenerator,
) -> Any:
    session = _session()
    result = _kept(key, shared)
    failed = session.results.get(("failed", key))
    if result is None and (failed is None or time.monotonic() - failed.when > RETRY_SECONDS):
        reading = session.reading(key, size)
        result = _read(reading, label, begin, slot)
        del session.running[key]
        failed = result if isinstance(result, Failure) else None
        if failed:
            session.results.keep(("failed", key), failed)
        else:
            (SHARED if shared else session.results).keep(key, result)
    if result is None or isinstance(result, Failure):
        slot.warning(plain(failed.sentence))
        return None
    return result


def _read(
    reading: Reading, label: str, begin: Callable[[Reading], Work], slot: DeltaGenerator
) -> Any:
    """Read on, in the visitor's turn, to the end; the result, or a Failure."""
    text = plain(label)
    with wait_turn(slot) as turn:
        slot.progress(reading.progress, f"{text} …")
        told = time.monotonic()
        try:
            reading.work = reading.work or begin(reading)
            while True:
                name = next(reading.work)
                if time.monotonic() - told > TELL_SECONDS:
                    # What is drawn is also where a click stops this run; the next one goes on here.
                    slot.progress(reading.progress, f"{text}: {plain(name)} …")
                    turn.give_way()
                    told = time.monotonic()
        except StopIteration as end:
            slot.empty()
            return end.value
        except ValueError as error:
            return Failure(str(error))
        except Exception as error:  # a stranger's file may fail in a way that nobody has foreseen
            return Failure(f"This cannot be read: {type(error).__name__}.")
