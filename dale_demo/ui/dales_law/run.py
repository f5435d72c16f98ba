"""A training that advances in short slices of time, so that the page can show, stop or leave it."""

import math
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import cast

from dale_demo.plasticity import Experiment, Snapshot, Trial
from dale_demo.plasticity.search import MARGIN, best, search
from dale_demo.ui.dales_law.record import NAMES, LearningRecord
from dale_demo.ui.dales_law.recording import finish, record
from dale_demo.ui.dales_law.settings import LearningRequest

FRAMES = 61
"""Snapshots of a run: the start and 60 more, six seconds of film."""
LEAST_TRIALS = 2 * MARGIN + 1
"""A search tries at least this many rates, which is what its progress is measured by."""


class Training:
    """Search the learning rates that are not given, then train; kept in one visitor's session.

    Args:
        request: What to train.

    Attributes:
        run: Identity, for the player.
        beat: Slices so far.
        trials: Of the searches, by rule.
        record: The run so far; None before the first snapshot.
        done: Whether it has ended, by itself or by `stop`.

    Raises:
        ValueError: The sizes do not go together, or no rule is chosen.
    """

    def __init__(self, request: LearningRequest):
        self.request = request
        self.run = uuid.uuid4().hex
        self.beat = 0
        self.trials: dict[str, list[Trial]] = {}
        self.record: LearningRecord | None = None
        self.done = False
        self._task, self._rules = request.build()
        self._snapshots: list[Snapshot] = []
        self._experiment: Experiment | None = None
        self._seconds = 0.0
        self._work = self._generate()
        # A click makes Streamlit start a new thread while the old one still works on its slice.
        self._lock = threading.Lock()

    def advance(self, seconds: float) -> None:
        """Work for about `seconds`, to the end of a snapshot or a few steps of a search.

        Raises:
            ValueError: A rule diverged, or no learning rate works.
        """
        with self._lock:
            self.beat += 1
            began = time.monotonic()
            for _ in self._work:
                if time.monotonic() - began > seconds:
                    break
            else:
                self.done = True
            self._seconds += time.monotonic() - began
            self._gather()

    def stop(self) -> None:
        """End here and measure what there is; a run of fewer than two snapshots is dropped."""
        with self._lock:
            self._work.close()
            self.done = True
            self._gather()

    @property
    def progress(self) -> float:
        """In [0, 1], of the search and then of the training."""
        if self._experiment is not None:
            return len(self._snapshots) / FRAMES
        wanted = sum(rate is None for rate in self.request.rates.values())
        tried = sum(min(LEAST_TRIALS, len(trials)) for trials in self.trials.values())
        return tried / (LEAST_TRIALS * wanted) if wanted else 0.0

    @property
    def status(self) -> str:
        """What is being done, in a few words."""
        if self._experiment is not None and self._snapshots:
            return f"Training: update {self._snapshots[-1].step:,} of {self._experiment.steps:,}"
        if not self.trials:
            return "Drawing the examples"
        name, trials = list(self.trials.items())[-1]
        return f"Searching the learning rate of {NAMES[name]}: trial {len(trials) + 1}"

    def _generate(self) -> Generator[None, None, None]:
        yield from self._search()
        self._experiment = Experiment(self._task, self._rules, seed=self.request.seed)
        for snapshot in self._experiment.snapshots(FRAMES):
            self._snapshots.append(snapshot)
            yield

    def _search(self) -> Iterator[None]:
        """Give every rule its rate; `trials` grows meanwhile, so that the page can show it."""
        task, seed = self._task, self.request.seed
        problem = task.build(seed)
        for name, rule in list(self._rules.items()):
            if rule.learning_rate is None:
                yield from self._search_one(name, search(task, rule, problem, seed))

    def _search_one(self, name: str, results: Iterator[Trial | None]) -> Iterator[None]:
        trials = self.trials[name] = []
        for trial in results:
            if trial:
                trials.append(trial)
            yield
        rate = best(tuple(trials)).learning_rate
        self._rules[name] = replace(self._rules[name], learning_rate=rate)

    def _gather(self) -> None:
        """Bring the record up to date; at the end, with what is measured once."""
        if self._experiment is None or not self._snapshots:
            return
        made = record(
            self.request.described(), self._experiment, self._snapshots, self.trials, self._seconds
        )
        if not self.done:
            self.record = made
        else:
            self.record = finish(made, self._experiment) if len(made) > 1 else None


def train_to_end(request: LearningRequest) -> LearningRecord:
    """Search and train to the end at once; raises ValueError as `Training` does."""
    training = Training(request)
    training.advance(math.inf)
    return cast(LearningRecord, training.record)
