"""Which law do the weights follow? Fits, distances, Q–Q data and tests, on scipy.

Everywhere `weights` is an array or tensor of any shape, signs allowed, read as one sample. The
log-normal law of signed weights is: a sign, positive with probability q, times exp of a normal.
Distances are measured to a law whose parameters were fitted to the same sample, so the p-values
of textbooks do not hold for them: they are distances, not tests.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from dale_demo.plasticity.geometry import POTENTIALS, PotentialName, dual_change

Law = Literal["normal", "log-normal"]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """A normal law fitted by maximum likelihood, to w ("normal") or to ln|w| ("log-normal").

    Args:
        law: Which of the two.
        mean, std: Its parameters.
        mean_error, std_error: Their standard errors, std/√n and std/√(2n).
        ks: Kolmogorov–Smirnov distance, the largest gap between the distribution functions,
            in [0, 1]. For a true normal sample about 0.6/√n.
        anderson: Anderson–Darling A², the squared gap weighted towards the tails, times n. For a
            true normal sample about 0.4 at any n; above 1.04 in one of a hundred.
        count: n.
    """

    law: Law
    mean: float
    std: float
    mean_error: float
    std_error: float
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
        total: Σ ln p_log-normal(w) − ln p_normal(w); positive speaks for the log-normal law.
        per_weight: The same divided by n, in nats.
        z: The total over its standard error; standard normal if both laws fit equally well.
        p_value: Two-sided.
    """

    total: float
    per_weight: float
    z: float
    p_value: float


@dataclass(frozen=True)
class QuantilePlot:
    """Q–Q data against a fitted law: points on the diagonal where the law holds.

    Args:
        theory: Quantiles of the fitted law [P].
        sample: Quantiles of the sample [P], of w or of ln|w|.
    """

    theory: Array
    sample: Array


def fit(weights: ArrayLike | Tensor, law: Law) -> Fit:
    """Fit `law` and measure its distance.

    Raises:
        ValueError: Fewer than three weights, all equal, not finite, or zeros where the logarithm
            is asked for.
    """
    values = _transform(weights, law)
    n, mean, std = len(values), values.mean(), values.std()
    scores = np.sort((values - mean) / std)
    return Fit(
        law,
        float(mean),
        float(std),
        float(std / math.sqrt(n)),
        float(std / math.sqrt(2 * n)),
        float(stats.ks_1samp(scores, stats.norm.cdf, method="asymp").statistic),
        _anderson(scores),
        n,
    )


def likelihood_ratio(weights: ArrayLike | Tensor) -> LikelihoodRatio:
    """Compare the two laws on the same signed weights; see `LikelihoodRatio`.

    Raises:
        ValueError: As in `fit` for "log-normal".
    """
    w, y = _transform(weights, "normal"), _transform(weights, "log-normal")
    positive = w > 0
    share = np.where(positive, positive.mean(), 1 - positive.mean())
    log_normal = np.log(share) + stats.norm.logpdf(y, y.mean(), y.std()) - y
    gaps = log_normal - stats.norm.logpdf(w, w.mean(), w.std())
    total, n = gaps.sum(), len(gaps)
    z = total / (math.sqrt(n) * gaps.std())
    return LikelihoodRatio(
        float(total), float(total / n), float(z), float(2 * stats.norm.sf(abs(z)))
    )


def log_skew(weights: ArrayLike | Tensor) -> float:
    """Skewness of ln|w|: 0 for a log-normal law, −1.54 for a centred normal one.

    Raises:
        ValueError: As in `fit` for "log-normal".
    """
    return float(stats.skew(_transform(weights, "log-normal")))


def quantile_plot(weights: ArrayLike | Tensor, law: Law, points: int = 99) -> QuantilePlot:
    """Q–Q data at `points` ≥ 2 evenly spaced probabilities.

    Raises:
        ValueError: As in `fit`, or fewer than two points.
    """
    if points < 2:
        raise ValueError(f"A Q–Q plot needs at least two points, got {points}.")
    values = _transform(weights, law)
    probabilities = (np.arange(points) + 0.5) / points
    theory = stats.norm.ppf(probabilities, values.mean(), values.std())
    return QuantilePlot(theory, np.quantile(values, probabilities))


def dual_gaussianity(
    start: Tensor, end: Tensor, potentials: Iterable[PotentialName] = tuple(POTENTIALS)
) -> dict[PotentialName, Fit]:
    """Fit a normal law to the change of ∇φ(w) for every φ (Pogodin et al., 2024).

    The φ of the rule that changed the weights is the one with the smallest distance.

    Args:
        start, end: Weights before and after, one shape, none zero if "entropy" is asked for.

    Raises:
        ValueError: The shapes differ, a weight is zero, or nothing has changed.
    """
    return {
        name: fit(dual_change(start.double(), end.double(), name), "normal") for name in potentials
    }


def _transform(weights: ArrayLike | Tensor, law: Law) -> Array:
    """The sample that should be normal under `law`, checked."""
    if law not in ("normal", "log-normal"):
        raise ValueError(f'The law must be "normal" or "log-normal", got {law!r}.')
    if isinstance(weights, Tensor):
        weights = weights.detach().cpu().double().numpy()
    values = np.asarray(weights, dtype=np.float64).ravel()
    if len(values) < 3 or not np.isfinite(values).all() or np.ptp(values) == 0:
        raise ValueError(
            f"A fit needs at least three finite weights that are not all equal, got {len(values)}."
        )
    if law == "normal":
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


def _anderson(scores: Array) -> float:
    """A² of sorted standard scores; scipy's own warns in one version and lacks in another."""
    n = len(scores)
    odd = 2 * np.arange(1, n + 1) - 1
    tails = stats.norm.logcdf(scores) + stats.norm.logsf(scores[::-1])
    return float(-n - (odd * tails).sum() / n)
