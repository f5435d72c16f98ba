"""Normal and log-normal fits to weights: distances, likelihood ratio, skewness and Q–Q data.

Everywhere `weights` is an array or tensor of any shape, signs allowed, read as one sample. A signed
weight is log-normal if it is a sign, positive with probability q, times exp of a normal number.
Distances are measured to a distribution that was fitted to the same sample, so the p-values of
textbooks do not hold for them: they are distances, not tests.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import log_ndtr, ndtr
from torch import Tensor

from dale_demo.plasticity.geometry import MIRROR_MAPS, PotentialName, dual_change

Distribution = Literal["normal", "log-normal"]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """A normal distribution fitted by maximum likelihood, to w ("normal") or ln|w| ("log-normal").

    Args:
        mean, std: Its parameters.
        ks: Kolmogorov–Smirnov distance, the largest gap between the distribution functions,
            in [0, 1]. For a true normal sample about 0.6/√n.
        anderson: Anderson–Darling A², the squared gap weighted towards the tails, times n. For a
            true normal sample about 0.4 at any n; above 1.04 in one of a hundred.
        count: n.
    """

    mean: float
    std: float
    ks: float
    anderson: float
    count: int

    @property
    def anderson_distance(self) -> float:
        """A²/n, which can be compared between samples of different size."""
        return self.anderson / self.count


@dataclass(frozen=True)
class LikelihoodRatio:
    """Vuong's test (1989) of log-normal against normal, both fitted to the signed weights.

    Args:
        per_weight: Mean of ln p_log-normal(w) − ln p_normal(w), in nats; positive favours the
            log-normal distribution.
        z: That mean over its standard error; standard normal if both fit equally well.
    """

    per_weight: float
    z: float


@dataclass(frozen=True)
class QuantilePlot:
    """Q–Q data against a fitted distribution: points on the diagonal where it fits.

    Args:
        theory: Quantiles of the fitted distribution [P].
        sample: Quantiles of the sample [P], of w or of ln|w|.
    """

    theory: Array
    sample: Array


def fit(weights: ArrayLike | Tensor, distribution: Distribution) -> Fit:
    """Fit `distribution` and measure its distance.

    Raises:
        ValueError: Fewer than three weights, all equal, not finite, or zeros where the logarithm
            is needed.
    """
    values = _transform(weights, distribution)
    mean, std = values.mean(), values.std()
    scores = np.sort((values - mean) / std)
    return Fit(
        float(mean),
        float(std),
        _kolmogorov_smirnov(scores),
        _anderson(scores),
        len(values),
    )


def likelihood_ratio(weights: ArrayLike | Tensor) -> LikelihoodRatio:
    """Compare the two distributions on the same signed weights; see `LikelihoodRatio`.

    Raises:
        ValueError: As in `fit` for "log-normal".
    """
    w, y = _transform(weights, "normal"), _transform(weights, "log-normal")
    positive = w > 0
    share = np.where(positive, positive.mean(), 1 - positive.mean())
    log_normal = np.log(share) + stats.norm.logpdf(y, y.mean(), y.std()) - y
    gaps = log_normal - stats.norm.logpdf(w, w.mean(), w.std())
    total, n = gaps.sum(), len(gaps)
    return LikelihoodRatio(float(total / n), float(total / (math.sqrt(n) * gaps.std())))


def log_skew(weights: ArrayLike | Tensor) -> float:
    """Compute the skewness of ln|w|: 0 if w is log-normal, −1.54 if it is normal around 0.

    Raises:
        ValueError: As in `fit` for "log-normal".
    """
    return float(stats.skew(_transform(weights, "log-normal")))


def quantile_plot(
    weights: ArrayLike | Tensor, distribution: Distribution, points: int = 99
) -> QuantilePlot:
    """Compute Q–Q data at `points` ≥ 2 evenly spaced probabilities.

    Raises:
        ValueError: As in `fit`, or fewer than two points.
    """
    if points < 2:
        raise ValueError(f"A Q–Q plot needs at least two points, got {points}.")
    values = _transform(weights, distribution)
    # Midpoints of equal parts: the quantiles of 0 and 1 would be infinite.
    probabilities = (np.arange(points) + 0.5) / points
    theory = stats.norm.ppf(probabilities, values.mean(), values.std())
    return QuantilePlot(theory, np.quantile(values, probabilities))


def dual_gaussianity(start: Tensor, end: Tensor) -> dict[PotentialName, Fit]:
    """Fit a normal distribution to the change of ∇φ(w) for every φ (Pogodin et al., 2024).

    The φ of the rule that changed the weights is the one with the smallest distance.

    Args:
        start, end: Weights before and after, one shape, none zero.

    Raises:
        ValueError: The shapes differ, a weight is zero, or nothing has changed.
    """
    # In float64, because the change is a difference of nearly equal float32 numbers.
    return {
        name: fit(dual_change(start.double(), end.double(), name), "normal") for name in MIRROR_MAPS
    }


def _transform(weights: ArrayLike | Tensor, distribution: Distribution) -> Array:
    """Check the weights and return what is normal under `distribution`: w, or ln|w|."""
    if distribution not in ("normal", "log-normal"):
        raise ValueError(
            f'The distribution must be "normal" or "log-normal", got {distribution!r}.'
        )
    if isinstance(weights, Tensor):
        weights = weights.detach().cpu().double().numpy()
    values = np.asarray(weights, dtype=np.float64).ravel()
    if len(values) < 3 or not np.isfinite(values).all() or np.ptp(values) == 0:
        raise ValueError(
            f"A fit needs at least three finite weights that are not all equal, got {len(values)}."
        )
    if distribution == "normal":
        return values
    if (values == 0).any():
        raise ValueError(
            f"{(values == 0).sum()} of {len(values)} weights are zero and have no logarithm; "
            "leave them out first."
        )
    logs = np.log(np.abs(values))
    if np.ptp(logs) == 0:
        raise ValueError("A log-normal fit needs magnitudes that are not all equal.")
    return logs


def _kolmogorov_smirnov(scores: Array) -> float:
    """Compute the largest gap of sorted standard scores to the standard normal distribution.

    Written out because scipy's test spends ten times as long on its p-value and on checks.
    """
    n, expected = len(scores), ndtr(scores)
    # The empirical distribution function jumps at each score, from i/n to (i + 1)/n.
    steps = np.arange(n + 1) / n
    return float(max((steps[1:] - expected).max(), (expected - steps[:-1]).max()))


def _anderson(scores: Array) -> float:
    """Compute A² of sorted standard scores.

    Not by scipy.stats.anderson, whose result has changed between versions. Logarithms of the tails
    stay finite where the distribution function itself rounds to 0 or 1.
    """
    n = len(scores)
    odd = 2 * np.arange(1, n + 1) - 1
    tails = log_ndtr(scores) + log_ndtr(-scores[::-1])
    return float(-n - (odd * tails).sum() / n)
