"""Search of a rule's learning rate on the validation examples.

Rules move weights by different amounts at one rate: exponentiated gradient by a share of each
weight, gradient descent by an amount. A comparison at one rate, or with a rate tuned for one rule
only, would say nothing, so every rule gets the best rate of the same search.
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from dale_demo.plasticity.learner import DivergedError, Learner, Rule, batches, evaluate
from dale_demo.plasticity.tasks import Problem, Task

FACTOR = 2.0
"""Ratio of neighbouring rates: fine enough that the best of them is near the true optimum."""
MARGIN = 2
"""Rates tried on both sides of the best, so that the best never lies at the edge of the search."""
PAUSE_STEPS = 100
"""Steps between two pauses: few enough that a page stays responsive, and pausing costs nothing."""


@dataclass(frozen=True)
class Trial:
    """One row of a search: what a rate achieved on the validation examples.

    Args:
        learning_rate: η.
        loss: Mean loss after training; for an online task, the mean during it. Infinite where the
            rule diverged.
        accuracy: In [0, 1]; None for regression.
    """

    learning_rate: float
    loss: float
    accuracy: float | None

    @property
    def merit(self) -> tuple[float, float]:
        """What a search maximises: accuracy where there is one, the lower loss among equals."""
        return (0.0 if self.accuracy is None else self.accuracy, -self.loss)


def search(task: Task, rule: Rule, problem: Problem, seed: int) -> Iterator[Trial | None]:
    """Try learning rates by factors of two around the task's guess, until the best is inside.

    Each trial trains as long as the real run, on the same examples in the same order (an online
    task: on the validation examples), and is measured on the validation examples. Between trials
    the search yields None every `PAUSE_STEPS` steps, so that a page can show progress or stop.
    """
    tried: dict[int, Trial] = {}
    centre = 0
    while pending := [k for k in range(centre - MARGIN, centre + MARGIN + 1) if k not in tried]:
        for k in pending:
            rate = task.rates[rule.name] * FACTOR**k
            tried[k] = yield from _trial(task, rule, rate, problem, seed)
            yield tried[k]
        centre = max(tried, key=lambda k: tried[k].merit)


def best(trials: tuple[Trial, ...]) -> Trial:
    """Pick the trial with the highest accuracy, or the lowest loss.

    Raises:
        DivergedError: All diverged.
    """
    winner = max(trials, key=lambda trial: trial.merit)
    if not math.isfinite(winner.loss):
        rates = ", ".join(f"{trial.learning_rate:.3g}" for trial in trials)
        raise DivergedError(f"No learning rate worked among {rates}; give one.")
    return winner


def _trial(
    task: Task, rule: Rule, rate: float, problem: Problem, seed: int
) -> Generator[None, None, Trial]:
    # An online task is scored by its losses during training, so training on the real run's
    # examples would choose the rate by the very number that is reported afterwards.
    examples = problem.validation if task.online else problem.train
    learner = Learner("search", replace(rule, learning_rate=rate), problem)
    failed = Trial(rate, math.inf, None if problem.hits is None else 0.0)
    try:
        for step, batch in enumerate(batches(problem, examples, task, seed), 1):
            learner.learn(batch)
            if step % PAUSE_STEPS == 0:
                yield
    except DivergedError:
        return failed
    loss, accuracy = evaluate(learner.model, problem, problem.validation)
    if task.online:
        loss = learner.cumulative_loss.item() / len(examples)
    return Trial(rate, loss, accuracy) if math.isfinite(loss) else failed
