"""Scores: their interface, conversions between score and denoiser, and exact scores.

A *score* is a callable `(x, t) -> h` with x [B, …] > 0, t [B] and the Hyvärinen score

    h_t(x) = x ∘ ∇_x ln p_t(x)   [B, …],   so that   ∇_y ln p_Y(y) = 1 + h   with y = ln x.

With Tweedie's formula in log space, D = E[ln X₀ | X_t] = y − m(t) + s(t)² (1 + h), a score and a
denoiser determine each other. Networks, exact mixtures and guided combinations are interchangeable.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from dale_demo.process import GeometricBrownianMotion, LogNormal, expand_as


class Score(Protocol):
    """(x [B, …], t [B]) → Hyvärinen score h [B, …]."""

    def __call__(self, x: Tensor, t: Tensor, /) -> Tensor: ...


LogDenoiser = Callable[[Tensor, Tensor], Tensor]
"""(u [B, …], s [B]) → E[ln X₀ | X_t] [B, …], with u = ln x − m(t) and noise level s."""


def denoise(score: Score, process: GeometricBrownianMotion, x: Tensor, t: Tensor) -> Tensor:
    """Tweedie's estimate D = ln x − m(t) + s(t)² (1 + h_t(x)); `x` [B, …], `t` [B] → [B, …]."""
    return denoised_from_hyvarinen(score(x, t), process, x, t)


def denoised_from_hyvarinen(
    h: Tensor, process: GeometricBrownianMotion, x: Tensor, t: Tensor
) -> Tensor:
    """D = ln x − m(t) + s(t)² (1 + h), for `h`, `x` [B, …] and `t` [B]."""
    t = expand_as(t, x)
    return x.log() - process.log_drift(t) + process.noise_level(t) ** 2 * (1 + h)


def hyvarinen_from_denoised(
    d: Tensor, process: GeometricBrownianMotion, x: Tensor, t: Tensor
) -> Tensor:
    """h = (D − ln x + m(t)) / s(t)² − 1, for `d`, `x` [B, …] and `t` [B] > 0."""
    t = expand_as(t, x)
    return (d - x.log() + process.log_drift(t)) / process.noise_level(t) ** 2 - 1


def hyvarinen_from_stein(stein: Tensor, x: Tensor) -> Tensor:
    """h = x ∘ ∇_x ln p, from the Stein score ∇_x ln p at `x`, both [B, …]."""
    return stein * x


def from_denoiser(denoiser: LogDenoiser, process: GeometricBrownianMotion) -> Score:
    """Wrap a log-space denoiser, a network for instance, as the score of `process`.

    The division by s² is in the precision of `x`, so that D survives the round trip: in float32, D
    recovered from h would lose its last digits for small s.
    """

    def score(x: Tensor, t: Tensor) -> Tensor:
        u = x.log() - process.log_drift(expand_as(t, x))
        d = denoiser(u, process.noise_level(t)).to(x.dtype)
        return hyvarinen_from_denoised(d, process, x, t)

    return score


def guided(conditional: Score, unconditional: Score, weight: float) -> Score:
    """Classifier-free guidance h = h_∅ + w (h_c − h_∅); w = 1 is the conditional score itself."""
    if weight == 1:
        return conditional

    def score(x: Tensor, t: Tensor) -> Tensor:
        base = unconditional(x, t)
        return base + weight * (conditional(x, t) - base)

    return score


def conditional_target(
    process: GeometricBrownianMotion, x0: Tensor, x: Tensor, t: Tensor
) -> Tensor:
    """The conditional Hyvärinen score h* = −1 − (ln x_t − ln x₀ − m(t)) / s(t)² of M-DSM."""
    return hyvarinen_from_denoised(x0.log(), process, x, t)


_Components = tuple[Tensor, Callable[[Tensor], Tensor]]
"""ln w_k N_k(y) [B, K] of every component, and ∇_y ln p_Y(y) [B, d] from its posterior [B, K]."""


class LogNormalMixtureScore:
    """Exact score of data Σ_k w_k LogNormal(a_k, b_k²) under the forward process.

    In log space the noised data are Σ_k w_k N(a_k + m(t), b_k² + s(t)²), with independent
    coordinates inside each component. K = 1 is log-normal data; b → 0 is a set of points.

    Args:
        process: The forward process.
        log_means: a [K, …], one row for each component.
        log_stds: b, broadcastable to [K, …], not negative.
        weights: w [K], not negative; normalised here. All equal if None.

    Raises:
        ValueError: A shape does not fit, a weight or a spread is negative, or all weights are 0.
    """

    def __init__(
        self,
        process: GeometricBrownianMotion,
        log_means: Tensor,
        log_stds: Tensor,
        weights: Tensor | None = None,
    ):
        weights = torch.ones(len(log_means)) if weights is None else weights
        _check_mixture(log_means, log_stds, weights)
        self.process = process
        self._a = log_means.double().flatten(1)
        self._shared = log_stds.numel() == 1
        b = log_stds.reshape(1, 1) if self._shared else log_stds.broadcast_to(log_means.shape)
        self._b2 = b.double().flatten(1) ** 2
        self._log_w = (weights.double() / weights.double().sum()).log()

    def __call__(self, x: Tensor, t: Tensor) -> Tensor:
        """Return h_t(x) [B, …] for `x` [B, …] and `t` [B]."""
        log_joint, gradient_of = self._components(x, t)
        return gradient_of(log_joint.softmax(1)).reshape(x.shape).to(x.dtype) - 1

    def log_density(self, x: Tensor, t: Tensor) -> Tensor:
        """ln p_t(x) [B], the density with respect to x itself (not ln x)."""
        log_joint, _ = self._components(x, t)
        return log_joint.logsumexp(1) - x.double().log().flatten(1).sum(1)

    def _components(self, x: Tensor, t: Tensor) -> _Components:
        t, a = t.double().reshape(-1, 1), self._a.to(x.device)
        u = x.double().log().flatten(1) - self.process.log_drift(t)
        parts = self._with_one_spread if self._shared else self._with_many_spreads
        log_normal, gradient_of = parts(u, a, self.process.noise_level(t) ** 2)
        return self._log_w.to(u.device) + log_normal, gradient_of

    def _with_many_spreads(self, u: Tensor, a: Tensor, s2: Tensor) -> _Components:
        """ln N_k at u = y − m(t) [B, d], where s² is [B, 1]."""
        variance = self._b2.to(u.device) + s2.unsqueeze(2)
        residual = a - u.unsqueeze(1)
        log_normal = -0.5 * (residual**2 / variance + (2 * torch.pi * variance).log()).sum(2)
        return log_normal, lambda posterior: (posterior.unsqueeze(2) * residual / variance).sum(1)

    def _with_one_spread(self, u: Tensor, a: Tensor, s2: Tensor) -> _Components:
        """The same where b is one number: matrix products, without anything of size [B, K, d]."""
        variance = self._b2.to(u.device) + s2
        square = (u**2).sum(1, keepdim=True) - 2 * u @ a.T + (a**2).sum(1)
        normaliser = u.shape[1] * (2 * torch.pi * variance).log()
        log_normal = -0.5 * (square.clamp_min(0) / variance + normaliser)
        return log_normal, lambda posterior: (posterior @ a - u) / variance


def _check_mixture(log_means: Tensor, log_stds: Tensor, weights: Tensor) -> None:
    if log_means.ndim < 2:
        raise ValueError(f"log_means must be [K, …], got shape {tuple(log_means.shape)}.")
    if weights.shape != (len(log_means),):
        raise ValueError(f"Expected {len(log_means)} weights, got shape {tuple(weights.shape)}.")
    if not (weights >= 0).all() or not weights.sum() > 0:
        raise ValueError("Mixture weights must not be negative and must not all be 0.")
    try:
        log_stds.broadcast_to(log_means.shape)
    except RuntimeError as error:
        raise ValueError(f"log_stds must broadcast to log_means: {error}") from error
    if not (log_stds >= 0).all():
        raise ValueError("log_stds must not be negative.")


def log_normal_score(process: GeometricBrownianMotion, data: LogNormal) -> Score:
    """Exact score of data with independent log-normal coordinates, of any shape."""

    def score(x: Tensor, t: Tensor) -> Tensor:
        t = expand_as(t, x)
        variance = data.log_std**2 + process.noise_level(t) ** 2
        return (data.log_mean + process.log_drift(t) - x.log()) / variance - 1

    return score
