"""Geometric Brownian motion, the multiplicative forward process, and its time grids.

Itô throughout, everything elementwise, x > 0, z ~ N(0, I):

    dX = μ X dt + σ X dW   ⇒   X_t = X₀ ∘ exp(m(t) + s(t) z),
    m(t) = (μ − σ²/2) t    (log drift),
    s(t) = σ √t            (noise level).

Time runs up from data (t = 0) to noise (t = T).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dale_demo.checks import check_float

GridName = Literal["uniform", "karras"]

DEFAULT_MIN_NOISE_LEVEL = 0.005
"""s_min of a Karras grid: the noise level from which the last step goes to t = 0."""


def expand_as(values: Tensor, x: Tensor) -> Tensor:
    """Reshape per-sample `values` [B] (or a scalar []) to broadcast against `x` [B, …]."""
    return values.reshape(values.shape + (1,) * (x.ndim - values.ndim)) if values.ndim else values


@dataclass(frozen=True)
class GeometricBrownianMotion:
    """dX = μ X dt + σ X dW on [0, T].

    Args:
        mu: Drift μ per unit of time, in [−10⁶, 10⁶]. The paper's μ = σ²/2 keeps the median.
        sigma: Volatility σ per square root of unit time, in [10⁻⁶, 10³].
        horizon: Final time T, in [10⁻¹², 10⁶].

    Raises:
        ValueError: A parameter is outside its domain.
    """

    mu: float
    sigma: float
    horizon: float = 1.0

    def __post_init__(self) -> None:
        # Finite is not enough: σ = 10²⁰⁰ or a subnormal one overflows in σ², σ √T or (s/σ)².
        check_float("mu", self.mu, -1e6, 1e6)
        check_float("sigma", self.sigma, 1e-6, 1e3)
        check_float("horizon", self.horizon, 1e-12, 1e6)

    @classmethod
    def median_preserving(cls, sigma: float, horizon: float = 1.0) -> "GeometricBrownianMotion":
        """Build the process with μ = σ²/2, for which the log drift m(t) is zero."""
        return cls(sigma**2 / 2, sigma, horizon)

    @property
    def max_noise_level(self) -> float:
        """s(T) = σ √T, the standard deviation of ln X_T given X₀."""
        return self.sigma * math.sqrt(self.horizon)

    def noise_level(self, t: Tensor) -> Tensor:
        """s(t) = σ √t, elementwise, any shape."""
        return self.sigma * t.sqrt()

    def time(self, noise_level: Tensor) -> Tensor:
        """The time t at which s(t) = `noise_level`: t = (s/σ)², elementwise, any shape."""
        return (noise_level / self.sigma) ** 2

    def log_drift(self, t: Tensor) -> Tensor:
        """m(t) = (μ − σ²/2) t, elementwise, any shape."""
        return (self.mu - self.sigma**2 / 2) * t

    def forward(self, x0: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """Draw X_t = x₀ ∘ exp(m(t) + s(t) z) in one step; `x0`, `z` [B, …], `t` [B] or []."""
        t = expand_as(t, x0)
        return x0 * torch.exp(self.log_drift(t) + self.noise_level(t) * z)

    def log_moments(self, x0: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of ln X_t given X₀ = x₀ [B, …]: (ln x₀ + m(t), s(t))."""
        t = expand_as(t, x0)
        return x0.log() + self.log_drift(t), self.noise_level(t)

    def path(self, x0: Tensor, times: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Simulate one exact path per sample on rising `times` [K]; `x0` [B, …] → [K, B, …].

        The increments of ln X are independent normals with variance σ² Δt, so the path has the
        exact distribution of the process at these times, whatever the spacing.

        Raises:
            ValueError: `times` do not rise, or leave [0, T].
        """
        steps = torch.diff(times, prepend=times.new_zeros(1))
        if (steps < 0).any() or times[-1] > self.horizon:
            raise ValueError(f"times must rise within [0, {self.horizon}], got {times.tolist()}.")
        z = torch.randn(
            (len(times), *x0.shape), generator=generator, dtype=x0.dtype, device=x0.device
        )
        steps = expand_as(steps.to(x0), z)
        increments = self.log_drift(steps) + self.noise_level(steps) * z
        return x0 * increments.cumsum(0).exp()


@dataclass(frozen=True)
class LogNormal:
    """The distribution ln x ~ N(log_mean, log_std²), the same and independent for every coordinate.

    Raises:
        ValueError: log_mean is outside [−10¹⁵, 10¹⁵], or log_std outside [10⁻¹², 10⁹].
    """

    log_mean: float
    log_std: float

    def __post_init__(self) -> None:
        # Wide enough for the noised data of any process, and far from where squares overflow.
        check_float("log_mean", self.log_mean, -1e15, 1e15)
        check_float("log_std", self.log_std, 1e-12, 1e9)

    @classmethod
    def terminal(cls, process: GeometricBrownianMotion, data: "LogNormal") -> "LogNormal":
        """The distribution of X_T for log-normal X₀ with the data's log moments.

        Log means add and log variances add, so this matches the first two log moments of p_T
        exactly, and p_T itself in the limit s(T) → ∞.
        """
        shift = process.log_drift(torch.tensor(process.horizon, dtype=torch.float64)).item()
        return cls(data.log_mean + shift, math.hypot(data.log_std, process.max_noise_level))

    def sample(self, z: Tensor) -> Tensor:
        """Map standard normals `z` of any shape to x = exp(log_mean + log_std z)."""
        return torch.exp(self.log_mean + self.log_std * z)


def class_averaged_start(
    process: GeometricBrownianMotion, averages: Tensor, labels: Tensor, z: Tensor
) -> Tensor:
    """Noise the mean image of each sample's class forward to t = T (the paper's second start).

    Args:
        averages: Mean of the positive data of each class [C, …].
        labels: Class of each sample [B], in [0, C).
        z: Standard normals [B, …].
    """
    horizon = torch.tensor(process.horizon, dtype=z.dtype, device=z.device)
    return process.forward(averages.to(z)[labels.to(z.device)], horizon, z)


def uniform_grid(process: GeometricBrownianMotion, steps: int) -> Tensor:
    """Times T = t₀ > … > t_N = 0 at equal spacing, float64 [N + 1] (the paper's grid)."""
    _check_steps(steps)
    return torch.linspace(process.horizon, 0.0, steps + 1, dtype=torch.float64)


def karras_grid(
    process: GeometricBrownianMotion,
    steps: int,
    min_noise_level: float = DEFAULT_MIN_NOISE_LEVEL,
    rho: float = 7.0,
) -> Tensor:
    """Times whose noise levels follow Karras et al. (2022, eq. 5), then t = 0; float64 [N + 1].

    s_k = (s(T)^(1/ρ) + k/(N − 1) (s_min^(1/ρ) − s(T)^(1/ρ)))^ρ for k < N, and s_N = 0.

    Raises:
        ValueError: N < 1, ρ < 1, or s_min is not in (0, s(T)).
    """
    _check_steps(steps)
    top = process.max_noise_level
    if not 0 < min_noise_level < top:
        raise ValueError(f"min_noise_level must be in (0, {top:g}), got {min_noise_level}.")
    if not rho >= 1:
        raise ValueError(f"rho must be at least 1, got {rho}.")
    # Evenly spaced in s^(1/ρ), so that the steps are shortest near s_min, where Karras et al. find
    # that errors cost most.
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    levels = (top ** (1 / rho) + ramp * (min_noise_level ** (1 / rho) - top ** (1 / rho))) ** rho
    return torch.cat([process.time(levels), levels.new_zeros(1)])


def make_grid(
    process: GeometricBrownianMotion,
    name: GridName,
    steps: int,
    min_noise_level: float = DEFAULT_MIN_NOISE_LEVEL,
) -> Tensor:
    """Build the grid called `name` with `steps` intervals; see `uniform_grid` and `karras_grid`.

    Args:
        min_noise_level: s_min of a Karras grid, lowered to s(T)/2 where that is less.
    """
    if name == "uniform":
        return uniform_grid(process, steps)
    if name == "karras":
        # A restoration may start from a noise level at or below s_min, where a grid that falls
        # needs a lower end.
        return karras_grid(process, steps, min(min_noise_level, process.max_noise_level / 2))
    raise ValueError(f"Unknown grid {name!r}; choose uniform or karras.")


def _check_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"A grid needs at least 1 step, got {steps}.")
