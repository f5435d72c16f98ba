"""Learning rules side by side: the same task, data, order and start, as a stream of snapshots.

    experiment = Experiment(RelevantInputs(), {"EG": Rule("eg"), "GD": Rule("gd")}, seed=0)
    for snapshot in experiment.snapshots():
        print(snapshot.step, snapshot.states["EG"].test_accuracy, snapshot.states["GD"].flips)

A rule without a learning rate gets the best of a search on the validation examples, with the task
and the seed at hand; the whole table of the search is kept in `experiment.trials`.
"""

import contextlib
import copy
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from dale_demo.noise import seeds_of
from dale_demo.plasticity import statistics
from dale_demo.plasticity.geometry import PotentialName
from dale_demo.plasticity.pruning import SHARES, pruning_curve
from dale_demo.plasticity.rules import (
    ExponentiatedAdam,
    ExponentiatedGradient,
    NonFiniteGradientError,
    SignConstrainedSGD,
)
from dale_demo.plasticity.statistics import Fit
from dale_demo.plasticity.tasks import Examples, Problem, Task, relevant_share, weight_parameters

RuleName = Literal["eg", "gd", "sign-constrained", "eg-adam", "adam"]
OPTIMIZERS: dict[RuleName, Callable[..., Optimizer]] = {
    "eg": ExponentiatedGradient,
    "gd": SGD,
    "sign-constrained": SignConstrainedSGD,
    "eg-adam": ExponentiatedAdam,
    "adam": Adam,
}

BINS_PER_DECADE = 10
BIN_EDGES = np.geomspace(1e-12, 1e2, 14 * BINS_PER_DECADE + 1)
"""Bins of |w|; what lies outside is counted in the first and last."""
PROBABILITIES = (np.arange(99) + 0.5) / 99
SAMPLED = 10_000
"""Fits and quantiles look at up to this many weights, the same ones at every snapshot."""
LOOKED_AT = 1_000
"""The training loss of a snapshot is that of the first so many examples."""
BREATHER = 100
"""A search can be left every so many steps."""
FACTOR, MARGIN = 2.0, 2
"""A search multiplies rates by this, and ends with the best this far from both ends."""


class DivergedError(ValueError):
    """A rule's weights or losses are no longer finite: its learning rate is too high."""


@dataclass(frozen=True)
class Rule:
    """A learning rule and its settings.

    Args:
        name: A key of `OPTIMIZERS`.
        learning_rate: η > 0; searched where left out.
        options: Further arguments of the optimiser, such as momentum or weight_decay.

    Raises:
        ValueError: The name is unknown or the rate is not positive and finite.
    """

    name: RuleName
    learning_rate: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in OPTIMIZERS:
            raise ValueError(f"Unknown rule {self.name!r}; use one of {', '.join(OPTIMIZERS)}.")
        rate = self.learning_rate
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"learning_rate must be positive and finite, got {rate}.")

    def optimizer(self, model: nn.Module) -> Optimizer:
        return OPTIMIZERS[self.name](model.parameters(), lr=self.learning_rate, **self.options)


@dataclass(frozen=True)
class Trial:
    """One row of a search: what a rate achieved on the validation examples.

    Args:
        learning_rate: η.
        loss: Mean loss after training; for an online task, that met on the way. Infinite where
            the rule diverged.
        accuracy: In [0, 1]; None for regression.
    """

    learning_rate: float
    loss: float
    accuracy: float | None

    @property
    def merit(self) -> tuple[float, float]:
        """What a search maximises: accuracy where there is one, the lower loss among equals."""
        return (0.0 if self.accuracy is None else self.accuracy, -self.loss)


@dataclass(frozen=True)
class RuleState:
    """What one rule has made of the weights so far. "Weights" are all but the biases.

    Args:
        train_loss: Mean loss on the first training examples, at most `LOOKED_AT`.
        test_loss: Mean loss on the test examples.
        test_accuracy: In [0, 1]; None for regression.
        cumulative_loss: Sum of the losses of all examples met in training, before each was learned.
        counts: Histogram of |w| between `BIN_EDGES`; positive, then negative weights [2, K].
        flips: Sign changes so far, every crossing counted.
        flipped: Share of weights whose sign is not that of the start, in [0, 1].
        relevant_share: Share of Σ|w| on the relevant inputs; None where the task has none.
        fits: By law, of up to `SAMPLED` weights; a law is missing where all weights are equal.
        log_quantiles: Quantiles of the same weights' ln|w| at `PROBABILITIES`, for a Q–Q plot.
        dual_change: Normal fit to the change of ∇φ(w) since the start, by φ; empty at the start.
        paths: The followed weights [P].
    """

    train_loss: float
    test_loss: float
    test_accuracy: float | None
    cumulative_loss: float
    counts: NDArray[np.int64]
    flips: int
    flipped: float
    relevant_share: float | None
    fits: Mapping[statistics.Law, Fit]
    log_quantiles: NDArray[np.float64]
    dual_change: Mapping[PotentialName, Fit]
    paths: NDArray[np.float64]


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
        watch = _Watch(self.problem, seed, followed)
        self._learners = {
            label: _WatchedLearner(label, rule, self.problem, watch)
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
        for step, batch in enumerate(_batches(self.problem.train, self.task, self.seed), 1):
            for learner in self._learners.values():
                learner.learn(batch)
            if step in wanted:
                yield self._snapshot(step)

    def pruning(self, shares: tuple[float, ...] = SHARES) -> dict[str, list[float]]:
        """Test accuracy (or minus the loss, for regression) of each rule's network, pruned."""
        return {
            label: pruning_curve(model, lambda m: _merit(m, self.problem), shares)
            for label, model in self.models.items()
        }

    def weights(self, label: str) -> Tensor:
        """All weights of a rule's network as they are now [W]."""
        return _flat(self.models[label])

    def start(self) -> Tensor:
        """All weights at the start [W]."""
        return _flat(self.problem.start)

    def _snapshot(self, step: int) -> Snapshot:
        states = {label: learner.observe() for label, learner in self._learners.items()}
        return Snapshot(step, self.task.epochs * step / self.steps, states)


def search(task: Task, rule: Rule, problem: Problem, seed: int) -> Iterator[Trial | None]:
    """Try learning rates by factors of two around the task's guess, until the best is inside.

    Each trial trains as long as the real run, on the same examples in the same order (an online
    task: on the validation examples), and is judged on the validation examples. Between trials
    come Nones, every `BREATHER` steps, so that whoever draws them can show that work goes on.
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
    """The trial with the highest accuracy, or the lowest loss.

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
    examples = problem.validation if task.online else problem.train
    learner = _Learner("search", replace(rule, learning_rate=rate), problem)
    failed = Trial(rate, math.inf, None if problem.hits is None else 0.0)
    try:
        for step, batch in enumerate(_batches(examples, task, seed), 1):
            learner.learn(batch)
            if step % BREATHER == 0:
                yield
    except DivergedError:
        return failed
    loss, accuracy = _evaluate(learner.model, problem, problem.validation)
    if task.online:
        loss = learner.cumulative_loss.item() / len(examples)
    return Trial(rate, loss, accuracy) if math.isfinite(loss) else failed


def _batches(examples: Examples, task: Task, seed: int) -> Iterator[Examples]:
    """Every rule sees these, in this order: shuffled each epoch, unless the task is online."""
    for epoch in range(task.epochs):
        if task.online or task.batch_size >= len(examples):
            rows = torch.arange(len(examples))
        else:
            generator = torch.Generator().manual_seed(seeds_of(seed, [2**32 + epoch])[0])
            rows = torch.randperm(len(examples), generator=generator)
        for chunk in rows.split(task.batch_size):
            yield examples[chunk.to(examples.targets.device)]


class _Watch:
    """Which weights are looked at closely; the same for every rule."""

    def __init__(self, problem: Problem, seed: int, followed: int):
        count = len(_flat(problem.start))
        generator = torch.Generator().manual_seed(seeds_of(seed, [2**33])[0])
        order = torch.randperm(count, generator=generator)
        self.sampled = order[:SAMPLED]
        self.followed = order[:followed]
        if problem.relevant is not None:
            special = problem.relevant.cpu().nonzero().flatten()[: followed // 2]
            others = order[~torch.isin(order, special)][: followed - len(special)]
            self.followed = torch.cat([special, others])


class _Learner:
    """One rule and its copy of the network."""

    def __init__(self, label: str, rule: Rule, problem: Problem):
        self.label, self.rule, self.problem = label, rule, problem
        self.model = copy.deepcopy(problem.start)
        self.optimizer = rule.optimizer(self.model)
        self.steps = 0
        device = problem.train.targets.device
        self.cumulative_loss = torch.zeros((), dtype=torch.float64, device=device)

    def learn(self, batch: Examples) -> None:
        """One update."""
        self.optimizer.zero_grad()
        losses = self.problem.losses(self.model(batch.inputs), batch.targets)
        losses.mean().backward()
        try:
            self.optimizer.step()
        except NonFiniteGradientError as error:
            raise self._diverged() from error
        self.steps += 1
        self.cumulative_loss += losses.detach().sum()

    def _diverged(self) -> DivergedError:
        return DivergedError(
            f"{self.label} diverged within {self.steps + 1} steps at learning rate "
            f"{self.rule.learning_rate:g}; lower it."
        )


class _WatchedLearner(_Learner):
    """A learner that counts sign changes and can be looked at."""

    def __init__(self, label: str, rule: Rule, problem: Problem, watch: _Watch):
        super().__init__(label, rule, problem)
        self.watch = watch
        self.first = _flat(self.model)
        self.negative = self.first.signbit()
        self.flips = torch.zeros((), dtype=torch.int64, device=self.first.device)

    def learn(self, batch: Examples) -> None:
        """One update, and the sign changes it made; never waits for the device."""
        super().learn(batch)
        negative = _flat(self.model).signbit()
        self.flips += (negative ^ self.negative).sum()
        self.negative = negative

    def observe(self) -> RuleState:
        """Look at the network; waits for the device."""
        problem, watch = self.problem, self.watch
        train_loss, _ = _evaluate(self.model, problem, problem.train[:LOOKED_AT])
        test_loss, accuracy = _evaluate(self.model, problem, problem.test)
        if not (math.isfinite(train_loss) and math.isfinite(test_loss)):
            raise self._diverged()
        weights = _flat(self.model).cpu()
        first, sample = self.first.cpu()[watch.sampled], weights[watch.sampled]
        relevant = problem.relevant
        return RuleState(
            train_loss=train_loss,
            test_loss=test_loss,
            test_accuracy=accuracy,
            cumulative_loss=self.cumulative_loss.item(),
            counts=_histogram(weights),
            flips=int(self.flips),
            flipped=(self.first.signbit() ^ self.negative).double().mean().item(),
            relevant_share=None
            if relevant is None
            else relevant_share(self.model, relevant).item(),
            fits=_fits(sample),
            log_quantiles=_log_quantiles(sample),
            dual_change=_dual_change(first, sample),
            paths=weights[watch.followed].double().numpy(),
        )


def _move(problem: Problem, device: torch.device | str) -> Problem:
    parts = {name: getattr(problem, name).to(device) for name in ("train", "validation", "test")}
    relevant = None if problem.relevant is None else problem.relevant.to(device)
    return replace(problem, **parts, relevant=relevant, start=problem.start.to(device))


def _flat(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in weight_parameters(model).values()])


@torch.no_grad()
def _evaluate(model: nn.Module, problem: Problem, examples: Examples) -> tuple[float, float | None]:
    """Mean loss and, for classes, accuracy."""
    outputs = model(examples.inputs)
    loss = problem.losses(outputs, examples.targets).double().mean().item()
    if problem.hits is None:
        return loss, None
    return loss, problem.hits(outputs, examples.targets).double().mean().item()


def _merit(model: nn.Module, problem: Problem) -> float:
    loss, accuracy = _evaluate(model, problem, problem.test)
    return -loss if accuracy is None else accuracy


def _histogram(weights: Tensor) -> NDArray[np.int64]:
    magnitudes = weights.abs().double().numpy().clip(BIN_EDGES[0], BIN_EDGES[-1])
    negative = weights.signbit().numpy()
    return np.stack(
        [np.histogram(magnitudes[side], BIN_EDGES)[0] for side in (~negative, negative)]
    )


def _fits(weights: Tensor) -> dict[statistics.Law, Fit]:
    fits: dict[statistics.Law, Fit] = {}
    for law in ("normal", "log-normal"):
        with contextlib.suppress(ValueError):  # equal weights follow no law
            fits[law] = statistics.fit(weights[weights != 0], law)
    return fits


def _log_quantiles(weights: Tensor) -> NDArray[np.float64]:
    return np.quantile(weights[weights != 0].abs().double().log().numpy(), PROBABILITIES)


def _dual_change(start: Tensor, end: Tensor) -> dict[PotentialName, Fit]:
    """By φ; weights that have not moved at all, as of pixels that are never lit, are left out."""
    moved = (start != end) & (start != 0) & (end != 0)
    try:
        return statistics.dual_gaussianity(start[moved], end[moved])
    except ValueError:  # too few have moved
        return {}
