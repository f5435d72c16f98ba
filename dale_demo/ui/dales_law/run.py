"""A training that is advanced a slice of time at a time, and can be left at any moment."""

import math
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import cast

from dale_demo.plasticity import Experiment, Snapshot, Trial
from dale_demo.plasticity.experiment import best, search
from dale_demo.ui.dales_law.record import NAMES, LearningRecord, finish, record
from dale_demo.ui.dales_law.settings import Choice

FRAMES = 61
LEAST_TRIALS = 5
"""A search tries no fewer rates."""


class Training:
    """Search the learning rates that are not given, then train; one visitor's, kept in the session.

    Args:
        choice: What to train.

    Attributes:
        run: Identity, for the player.
        beat: Slices so far.
        trials: Of the searches, by rule.
        record: As far as it has got; None before the first snapshot.
        done: Whether it has ended, by itself or by `stop`.

    Raises:
        ValueError: The sizes do not go together, or no rule is chosen.
    """

    def __init__(self, choice: Choice):
        self.choice = choice
        self.run = uuid.uuid4().hex
        self.beat = 0
        self.trials: dict[str, list[Trial]] = {}
        self.record: LearningRecord | None = None
        self.done = False
        self._task, self._rules = choice.build()
        self._snapshots: list[Snapshot] = []
        self._experiment: Experiment | None = None
        self._seconds = 0.0
        self._work = self._go()
        # A click starts a new thread while the old one is still at work on its slice.
        self._alone = threading.Lock()

    def advance(self, seconds: float) -> None:
        """Work for about so long, to the end of a snapshot or a few steps of a search.

        Raises:
            ValueError: A rule diverged, or no learning rate works.
        """
        with self._alone:
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
        """End here, and measure what is there; of a run without two snapshots nothing is kept."""
        with self._alone:
            self._work.close()
            self.done = True
            self._gather()

    @property
    def progress(self) -> float:
        """In [0, 1], of the search and then of the training."""
        if self._experiment is not None:
            return len(self._snapshots) / FRAMES
        wanted = sum(rate is None for rate in self.choice.rates.values())
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

    def _go(self) -> Generator[None, None, None]:
        yield from self._search()
        self._experiment = Experiment(self._task, self._rules, seed=self.choice.seed)
        for snapshot in self._experiment.snapshots(FRAMES):
            self._snapshots.append(snapshot)
            yield

    def _search(self) -> Iterator[None]:
        """Give every rule its rate; the trials are there to be looked at as they come."""
        task, seed = self._task, self.choice.seed
        problem = task.build(seed)
        for name, rule in list(self._rules.items()):
            if rule.learning_rate is None:
                yield from self._search_one(name, search(task, rule, problem, seed))

    def _search_one(self, name: str, drawn: Iterator[Trial | None]) -> Iterator[None]:
        trials = self.trials[name] = []
        for trial in drawn:
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
            self.choice.described(), self._experiment, self._snapshots, self.trials, self._seconds
        )
        if not self.done:
            self.record = made
        else:
            self.record = finish(made, self._experiment) if len(made) > 1 else None


def whole(choice: Choice) -> LearningRecord:
    """Search and train to the end at once; raises ValueError as `Training` does."""
    training = Training(choice)
    training.advance(math.inf)
    return cast(LearningRecord, training.record)
