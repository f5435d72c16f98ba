"""Learning rules side by side: the same task, data, order and start, as a stream of snapshots.

    experiment = Experiment(RelevantInputs(), {"EG": Rule("eg"), "GD": Rule("gd")}, seed=0)
    for snapshot in experiment.snapshots():
        print(snapshot.step, snapshot.states["EG"].test_accuracy, snapshot.states["GD"].flips)

A rule without a learning rate gets the best of a search on the validation examples, with the same
task and seed; the whole table of the search is kept in `experiment.trials`.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from dale_demo.plasticity.learner import Rule, batches, evaluate, flat_weights
from dale_demo.plasticity.observation import RuleState, Watch, WatchedLearner
from dale_demo.plasticity.pruning import SHARES, pruning_curve
from dale_demo.plasticity.search import best, search
from dale_demo.plasticity.tasks import Problem, Task


@dataclass(frozen=True)
class Snapshot:
    """All rules at one moment.

    Args:
        step: Updates so far.
        epoch: Passes over the data so far, a fraction in between.
        states: By the label of each rule.
    """

    step: int
    epoch: float
    states: Mapping[str, RuleState]


class Experiment:
    """Run rules side by side.

    Args:
        task: What is learned.
        rules: By a label of your choice; at least one.
        seed: Of data, start and order; non-negative.
        device: Where to compute.
        followed: Weights whose path is kept; half of them on relevant inputs where there are any.

    Attributes:
        rules: As given, each with its learning rate.
        trials: The search's table, by label, for the rules that came without a rate.
        problem: Data and start.
        models: The network of each rule as it is now, by label.

    Raises:
        ValueError: No rule is given, or the seed is negative.
        DivergedError: A search found no rate that works.
    """

    def __init__(
        self,
        task: Task,
        rules: Mapping[str, Rule],
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        followed: int = 12,
    ):
        if not rules:
            raise ValueError("An experiment needs at least one rule.")
        if seed < 0:
            raise ValueError(f"The seed must be non-negative, got {seed}.")
        self.task, self.seed = task, seed
        self.problem = _move(task.build(seed), device)
        self.trials = {
            label: tuple(filter(None, search(task, rule, self.problem, seed)))
            for label, rule in rules.items()
            if rule.learning_rate is None
        }
        self.rules = {
            label: replace(rule, learning_rate=best(self.trials[label]).learning_rate)
            if label in self.trials
            else rule
            for label, rule in rules.items()
        }
        watch = Watch(self.problem, seed, followed)
        self._learners = {
            label: WatchedLearner(label, rule, self.problem, watch)
            for label, rule in self.rules.items()
        }

    @property
    def models(self) -> dict[str, nn.Module]:
        return {label: learner.model for label, learner in self._learners.items()}

    @property
    def steps(self) -> int:
        """Updates of a whole run."""
        return self.task.epochs * math.ceil(len(self.problem.train) / self.task.batch_size)

    def snapshots(self, count: int = 60) -> Iterator[Snapshot]:
        """Train to the end, yielding up to `count` ≥ 2 evenly spaced snapshots, first and last too.

        Once only: the models are left trained.

        Raises:
            ValueError: Fewer than two snapshots are asked for, or the run has been made.
            DivergedError: A rule's loss is no longer finite.
        """
        if count < 2:
            raise ValueError(f"A run has at least two snapshots, got {count}.")
        if any(learner.steps for learner in self._learners.values()):
            raise ValueError("This experiment has run; build another to run it again.")
        wanted = set(np.linspace(0, self.steps, count).round().astype(int).tolist())
        yield self._snapshot(0)
        for step, batch in enumerate(
            batches(self.problem, self.problem.train, self.task, self.seed), 1
        ):
            for learner in self._learners.values():
                learner.learn(batch)
            if step in wanted:
                yield self._snapshot(step)

    def pruning(self, shares: tuple[float, ...] = SHARES) -> dict[str, list[float]]:
        """Measure the test accuracy (regression: minus the loss) of each rule's network, pruned."""
        return {
            label: pruning_curve(model, lambda m: _merit(m, self.problem), shares)
            for label, model in self.models.items()
        }

    def weights(self, label: str) -> Tensor:
        """All weights of a rule's network as they are now [W]."""
        return flat_weights(self.models[label])

    def start(self) -> Tensor:
        """All weights at the start [W]."""
        return flat_weights(self.problem.start)

    def _snapshot(self, step: int) -> Snapshot:
        states = {label: learner.observe() for label, learner in self._learners.items()}
        return Snapshot(step, self.task.epochs * step / self.steps, states)


def _move(problem: Problem, device: torch.device | str) -> Problem:
    parts = {name: getattr(problem, name).to(device) for name in ("train", "validation", "test")}
    relevant = None if problem.relevant is None else problem.relevant.to(device)
    return replace(problem, **parts, relevant=relevant, start=problem.start.to(device))


def _merit(model: nn.Module, problem: Problem) -> float:
    loss, accuracy = evaluate(model, problem, problem.test)
    return -loss if accuracy is None else accuracy
