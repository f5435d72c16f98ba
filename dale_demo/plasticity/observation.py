"""What is measured of a network while a rule trains it: losses, signs, weights and their fits."""

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.noise import seeds_of
from dale_demo.plasticity import statistics
from dale_demo.plasticity.geometry import PotentialName
from dale_demo.plasticity.learner import Learner, Rule, evaluate, flat_weights
from dale_demo.plasticity.statistics import Distribution, Fit
from dale_demo.plasticity.tasks import Examples, Problem, relevant_share

BINS_PER_DECADE = 10
# Spaced evenly in ln|w|: a log-normal distribution is a bell in such bins, and weights under
# exponentiated gradient spread over many decades.
BIN_EDGES = np.geomspace(1e-12, 1e2, 14 * BINS_PER_DECADE + 1)
"""Bins of |w|; what lies outside is counted in the first and last."""
SAMPLED = 10_000
"""Fits look at up to this many weights, the same ones at every snapshot.

Enough for a Kolmogorov–Smirnov distance of 0.006, and a sort of them takes a millisecond.
"""
LOSS_EXAMPLES = 1_000
"""The training loss of a snapshot is that of the first so many examples: its cost is bounded."""
WATCH_STREAM = 2**33
"""Random stream that chooses weights to follow, and the next, that corrupts training examples to
measure a loss on; apart from those of data, start, order and batches."""


@dataclass(frozen=True)
class RuleState:
    """What one rule has made of the weights so far. "Weights" are all but the biases.

    Args:
        train_loss: Mean loss on the first training examples, at most `LOSS_EXAMPLES`.
        test_loss: Mean loss on the test examples.
        test_accuracy: In [0, 1]; None for regression.
        cumulative_loss: Sum of the losses of all examples so far, each before it was learned.
        counts: Histogram of |w| between `BIN_EDGES`; positive, then negative weights [2, K].
        flips: Sign changes so far, every crossing counted.
        flipped: Share of weights whose sign is not that of the start, in [0, 1].
        relevant_share: Share of Σ|w| on the relevant inputs; None where the task has none.
        fits: By distribution, of up to `SAMPLED` weights; missing where all weights are equal.
        dual_change: Normal fit to the change of ∇φ(w) since the start, by φ; empty at the start.
        paths: The followed weights [P].
        images: What the network draws, uint8 [I, H, W]; None where the task has no images.
    """

    train_loss: float
    test_loss: float
    test_accuracy: float | None
    cumulative_loss: float
    counts: NDArray[np.int64]
    flips: int
    flipped: float
    relevant_share: float | None
    fits: Mapping[Distribution, Fit]
    dual_change: Mapping[PotentialName, Fit]
    paths: NDArray[np.float64]
    images: NDArray[np.uint8] | None


class Watch:
    """Which weights are measured closely; the same for every rule.

    Args:
        problem: The network and its relevant inputs.
        seed: Of the choice.
        followed: How many weights have their path kept.

    Attributes:
        train: The training examples that the loss of a snapshot is measured on, as shown.
        sampled: Indices of the weights that fits look at.
        followed: Indices of the followed weights; the first half are on relevant inputs, if any.
    """

    def __init__(self, problem: Problem, seed: int, followed: int):
        self.train = problem.shown(problem.train[:LOSS_EXAMPLES], seed, WATCH_STREAM + 1)
        count = len(flat_weights(problem.start))
        generator = torch.Generator().manual_seed(seeds_of(seed, [WATCH_STREAM])[0])
        order = torch.randperm(count, generator=generator)
        self.sampled = order[:SAMPLED]
        self.followed = order[:followed]
        if problem.relevant is not None:
            special = problem.relevant.cpu().nonzero().flatten()[: followed // 2]
            others = order[~torch.isin(order, special)][: followed - len(special)]
            self.followed = torch.cat([special, others])


class WatchedLearner(Learner):
    """A learner that counts sign changes and measures its network on request."""

    def __init__(self, label: str, rule: Rule, problem: Problem, watch: Watch):
        super().__init__(label, rule, problem)
        self.watch = watch
        self.first = flat_weights(self.model)
        self.negative = self.first.signbit()
        self.flips = torch.zeros((), dtype=torch.int64, device=self.first.device)

    def learn(self, batch: Examples) -> None:
        """Make one update and count the sign changes in it; never waits for the device."""
        super().learn(batch)
        negative = flat_weights(self.model).signbit()
        self.flips += (negative ^ self.negative).sum()
        self.negative = negative

    def observe(self) -> RuleState:
        """Measure the network; waits for the device.

        Raises:
            DivergedError: A loss is not finite.
        """
        problem, watch = self.problem, self.watch
        train_loss, _ = evaluate(self.model, problem, watch.train)
        test_loss, accuracy = evaluate(self.model, problem, problem.test)
        if not (math.isfinite(train_loss) and math.isfinite(test_loss)):
            raise self.diverged()
        weights = flat_weights(self.model).cpu()
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
            dual_change=_dual_change(first, sample),
            paths=weights[watch.followed].double().numpy(),
            images=None if problem.draw is None else problem.draw(self.model).cpu().numpy(),
        )


def _histogram(weights: Tensor) -> NDArray[np.int64]:
    magnitudes = weights.abs().double().numpy().clip(BIN_EDGES[0], BIN_EDGES[-1])
    negative = weights.signbit().numpy()
    return np.stack(
        [np.histogram(magnitudes[side], BIN_EDGES)[0] for side in (~negative, negative)]
    )


def _fits(weights: Tensor) -> dict[Distribution, Fit]:
    fits: dict[Distribution, Fit] = {}
    for distribution in ("normal", "log-normal"):
        with contextlib.suppress(ValueError):  # nothing can be fitted to equal weights
            fits[distribution] = statistics.fit(weights[weights != 0], distribution)
    return fits


def _dual_change(start: Tensor, end: Tensor) -> dict[PotentialName, Fit]:
    """By φ; weights that have not moved at all, as of pixels that are never lit, are left out."""
    moved = (start != end) & (start != 0) & (end != 0)
    try:
        return statistics.dual_gaussianity(start[moved], end[moved])
    except ValueError:  # too few have moved
        return {}
