"""Claims: a measured number, the value that theory predicts, and the error of the difference."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

LIMIT = 5.0
"""Largest accepted distance, in standard errors.

Normal errors exceed it once in two million times; a Kolmogorov–Smirnov distance, whose tail is
longer, once in 6,000.
"""

ROUNDING = 1e-12
"""Largest accepted difference of two equal float64 expressions: about 5,000 times their spacing."""


@dataclass(frozen=True)
class Claim:
    """A measured number and its expected value.

    Args:
        text: What was measured.
        measured: The number.
        expected: What the theory says.
        error: Standard error of the difference or, where nothing is random, its tolerance.
        random: Whether `error` is a standard error.
        control: Whether `expected` contains a deliberate mistake, which the measurement must find.
    """

    text: str
    measured: float
    expected: float
    error: float
    random: bool = True
    control: bool = False

    @property
    def apart(self) -> float:
        """Distance from what is expected, in errors."""
        return abs(self.measured - self.expected) / self.error

    @property
    def holds(self) -> bool:
        """Whether the numbers agree or, in a control, differ; not if anything is NaN."""
        return self.apart > LIMIT if self.control else self.apart <= LIMIT


def equal(text: str, difference: Tensor, control: bool = False) -> Claim:
    """Claim that `difference`, any shape, is zero up to rounding."""
    return Claim(text, difference.abs().max().item(), 0.0, ROUNDING, random=False, control=control)


def mean_of(text: str, values: Tensor, expected: float, control: bool = False) -> Claim:
    """Claim the mean of independent `values` [N], with its standard error."""
    error = values.std().item() / math.sqrt(len(values))
    return Claim(text, values.mean().item(), expected, error, control=control)


def follows(
    text: str, sample: Tensor, cdf: Callable[[NDArray], NDArray], control: bool = False
) -> Claim:
    """Claim that `sample` [N] has the distribution function `cdf`, by Kolmogorov–Smirnov distance.

    If it has, √N times the distance has mean √(π/2) ln 2 = 0.869 and standard deviation
    √(π²/12 − (π/2) ln² 2) = 0.260, for large N.
    """
    mean = math.sqrt(math.pi / 2) * math.log(2)
    spread = math.sqrt(math.pi**2 / 12 - mean**2)
    root = math.sqrt(len(sample))
    distance = stats.ks_1samp(sample.numpy(), cdf, method="asymp").statistic
    return Claim(text, float(distance), mean / root, spread / root, control=control)
