"""Six reverse-time samplers with one signature, as generators of `Step`.

Every sampler walks a falling grid T = t₀ > t₁ > … > t_N = 0 and holds the state in logarithms,
as sign(x) and ln|x|, so that nothing overflows at any noise level. They differ only in the rule
that takes one interval. Below, δ = t_k − t_{k+1}, s and s' are the noise levels before and after,
u = ln x − m(t), D = u + s² (1 + h) is the estimate, z ~ N(0, I) and a ∈ [0, 1] an annealing factor.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from dale_demo.process import GeometricBrownianMotion
from dale_demo.score import Score

SamplerName = Literal[
    "dale-langevin", "unconstrained", "probability-flow", "bridge", "multistep", "multistep-bridge"
]
NoiseSource = Callable[[], Tensor]
LogFactor = tuple[Tensor, Tensor | None]
"""What a Langevin step multiplies by: ln|factor| and, where it can be negative, its sign."""

LOG_LIMIT = 700.0
"""|ln x| is held below this, so that exp(ln x) neither overflows nor vanishes in float64."""


@dataclass(frozen=True)
class Step:
    """One frame of a trajectory: the state at `t` and what the network makes of it.

    Args:
        index: k, from 0 (the start) to N (the result).
        t: Time of the state, falling from T to 0.
        x: State at `t`, float64 [B, …]; positive, except where the unconstrained sampler crossed.
        estimate: D = E[ln X₀ | X_t], float64 [B, …]; exp(estimate) is the picture meant. At
            t = 0 it is ln|x| itself.
        crossings: Times that a coordinate has changed sign so far, int64 [B], on the device.
        calls: Evaluations of the score so far.
    """

    index: int
    t: float
    x: Tensor
    estimate: Tensor
    crossings: Tensor
    calls: int


class Sampler(Protocol):
    """sampler(score, x, process, grid, *, noise, …) → the steps from T to 0.

    Args:
        score: Any callable (x, t) → Hyvärinen score; evaluated at |x|.
        x: Start [B, …] at t = T, nowhere 0.
        process: The forward process.
        grid: Falling times [N + 1] from T to 0; see `process.make_grid`.
        noise: Gives the next z [B, …]; only stochastic samplers ask.

    Raises:
        ValueError: The grid does not fall to 0 or starts beyond T; x holds 0 or NaN.
    """

    def __call__(
        self,
        score: Score,
        x: Tensor,
        process: GeometricBrownianMotion,
        grid: Tensor,
        *,
        noise: NoiseSource,
    ) -> Iterator[Step]: ...


@dataclass(frozen=True)
class LangevinOptions:
    """The paper's settings for the two Langevin samplers.

    Args:
        annealing: Factor per outer step on the noise, a_k = annealing^k, in [0, 1].
        repeats: L, updates at each time, at least 1.
        step_size: Fixed δ > 0 in place of t_k − t_{k+1}.
        tweedie: Replace the last interval by the noise-free estimate x = exp(D).

    Raises:
        ValueError: A number is outside its range.
    """

    annealing: float = 1.0
    repeats: int = 1
    step_size: float | None = None
    tweedie: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.annealing <= 1:
            raise ValueError(f"annealing must be in [0, 1], got {self.annealing}.")
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}.")
        if self.step_size is not None and not 0 < self.step_size < float("inf"):
            raise ValueError(f"step_size must be positive, got {self.step_size}.")


def dale_langevin(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
    options: LangevinOptions = LangevinOptions(),
) -> Iterator[Step]:
    """x ← x ∘ exp(σ²δ h − (μ − 3σ²/2) δ + a σ√δ z): never changes sign, at any step size."""

    def factor(x: Tensor, h: Tensor, delta: float, a: float, z: Tensor) -> LogFactor:
        mu, sigma = process.mu, process.sigma
        exponent = sigma**2 * delta * h - (mu - 1.5 * sigma**2) * delta + a * sigma * delta**0.5 * z
        return exponent, None

    return langevin(factor, score, x, process, grid, noise, options)


def unconstrained(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
    options: LangevinOptions = LangevinOptions(),
) -> Iterator[Step]:
    """x ← x ∘ (1 + 2σ²δ − μδ + σ²δ h + a σ√δ z): Euler–Maruyama in x, can cross zero."""

    def factor(x: Tensor, h: Tensor, delta: float, a: float, z: Tensor) -> LogFactor:
        mu, sigma = process.mu, process.sigma
        drift = 2 * sigma**2 * delta - mu * delta + sigma**2 * delta * h
        return log_factor(1 + drift + a * sigma * delta**0.5 * z)

    return langevin(factor, score, x, process, grid, noise, options)


@torch.inference_mode()
def probability_flow(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
) -> Iterator[Step]:
    """Heun's method on du/ds = (u − D)/s, the flow with the same marginals; deterministic.

    In time this is dy/dt = μ − σ²/2 − ½σ² (1 + h). The last interval is one Euler step, u = D.
    """
    walk = _Walk(score, x, process, grid)
    while not walk.finished:
        yield (step := walk.look())
        s, s_next = walk.levels
        start = walk.u
        slope = (start - step.estimate) / s
        walk.advance(start + (s_next - s) * slope)
        if s_next > 0:
            slope_next = (walk.u - walk.denoise()) / s_next
            walk.u = start + (s_next - s) * (slope + slope_next) / 2
    yield walk.last()


@torch.inference_mode()
def bridge(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
) -> Iterator[Step]:
    """u' = D + (s'²/s²)(u − D) + s' √(1 − s'²/s²) z: the exact GBM bridge towards exp(D)."""
    walk = _Walk(score, x, process, grid)
    while not walk.finished:
        yield (step := walk.look())
        walk.cross(step.estimate, noise)
    yield walk.last()


@torch.inference_mode()
def multistep(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
) -> Iterator[Step]:
    """DPM-Solver++(2M) (Lu et al. 2022) in u: second order with one call a step, deterministic.

    u' = D̃ + (s'/s)(u − D̃), with D̃ = D + (D − D_previous) / (2r), where λ = −ln s, η = λ' − λ and
    r = η_previous / η; the last interval is u = D.
    """
    walk = _Walk(score, x, process, grid)
    while not walk.finished:
        yield (step := walk.look())
        s, s_next = walk.levels
        target = walk.extrapolate(step.estimate)
        walk.advance(target + (s_next / s) * (walk.u - target))
    yield walk.last()


@torch.inference_mode()
def multistep_bridge(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
) -> Iterator[Step]:
    """SDE-DPM-Solver++(2M) (Lu et al. 2022) in u: a bridge of second order, towards exp(D̃).

    u' = D̃ + (s'²/s²)(u − D̃) + s' √(1 − s'²/s²) z, with D̃ as in `multistep`.
    """
    walk = _Walk(score, x, process, grid)
    while not walk.finished:
        yield (step := walk.look())
        walk.cross(walk.extrapolate(step.estimate), noise)
    yield walk.last()


SAMPLERS: dict[SamplerName, Sampler] = {
    "dale-langevin": dale_langevin,
    "unconstrained": unconstrained,
    "probability-flow": probability_flow,
    "bridge": bridge,
    "multistep": multistep,
    "multistep-bridge": multistep_bridge,
}
LANGEVIN: tuple[SamplerName, ...] = ("dale-langevin", "unconstrained")


def evaluations_needed(sampler: SamplerName, steps: int, options: LangevinOptions) -> int:
    """How often `sampler` evaluates the score on a grid of `steps` intervals."""
    if sampler == "probability-flow":
        return 2 * steps - 1
    if sampler in LANGEVIN:
        return options.repeats * (steps - options.tweedie) + options.tweedie
    return steps


def log_factor(product: Tensor) -> LogFactor:
    """A factor of either sign, as `langevin` takes it."""
    return product.abs().clamp_min(1e-300).log(), torch.where(product < 0, -1.0, 1.0)


@torch.inference_mode()
def langevin(
    factor: Callable[[Tensor, Tensor, float, float, Tensor], LogFactor],
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    noise: NoiseSource,
    options: LangevinOptions,
) -> Iterator[Step]:
    """Multiply the state x by `factor(x, h, δ, a, z)` at every time, `repeats` times."""
    walk = _Walk(score, x, process, grid)
    while not walk.finished:
        yield (step := walk.look())
        if options.tweedie and walk.index == walk.steps - 1:
            walk.advance(step.estimate)
            break
        delta = options.step_size or walk.interval
        a = options.annealing**walk.index
        for repeat in range(options.repeats):
            state, h = (step.x, walk.h) if repeat == 0 else (walk.x, walk.hyvarinen())
            walk.multiply(*factor(state, h, delta, a, noise()))
        walk.index += 1
    yield walk.last()


class _Walk:
    """The state of one run: where it stands on the grid, sign(x), ln|x|, and what was counted."""

    def __init__(self, score: Score, x: Tensor, process: GeometricBrownianMotion, grid: Tensor):
        check_start(x, process, grid)
        self._score = score
        self._times = grid.to(x.device, torch.float64)
        self._drifts = process.log_drift(grid.double()).tolist()
        self._levels = process.noise_level(grid.double()).tolist()
        self._grid: list[float] = grid.tolist()
        self._sign, self._y = x.sign().double(), x.double().abs().log()
        self._crossings = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        self._calls = 0
        self._before: tuple[Tensor, float] | None = None
        self.steps = len(grid) - 1
        self.index = 0

    @property
    def finished(self) -> bool:
        return self.index == self.steps

    @property
    def x(self) -> Tensor:
        """The state."""
        return self._sign * self._y.exp()

    @property
    def levels(self) -> tuple[float, float]:
        """Noise levels s, s' at both ends of the coming interval."""
        return self._levels[self.index], self._levels[self.index + 1]

    @property
    def interval(self) -> float:
        """δ, the length of the coming interval."""
        return self._grid[self.index] - self._grid[self.index + 1]

    @property
    def u(self) -> Tensor:
        """ln|x| − m(t)."""
        return self._y - self._drifts[self.index]

    @u.setter
    def u(self, value: Tensor) -> None:
        self._y = (value + self._drifts[self.index]).clamp(-LOG_LIMIT, LOG_LIMIT)

    def hyvarinen(self) -> Tensor:
        """Evaluate the score at |x|."""
        self._calls += 1
        t = self._times[self.index].expand(len(self._y))
        return self._score(self._y.exp(), t).double()

    def denoise(self) -> Tensor:
        """Evaluate the score and turn it into D = u + s² (1 + h)."""
        self.h = self.hyvarinen()
        return self.u + self._levels[self.index] ** 2 * (1 + self.h)

    def look(self) -> Step:
        """The frame at the present time, with its estimate."""
        return self._frame(self.denoise())

    def last(self) -> Step:
        """The frame at t = 0, which is its own estimate."""
        return self._frame(self._y)

    def advance(self, u: Tensor) -> None:
        """Go to the next time with ln|x| = u + m(t)."""
        self.index += 1
        self.u = u

    def extrapolate(self, estimate: Tensor) -> Tensor:
        """D̃, what `multistep` steps towards: D itself in the first interval and in the last."""
        (s, s_next), before = self.levels, self._before
        self._before = estimate, s
        if before is None or s_next == 0:
            return estimate
        d_before, s_before = before
        r = math.log(s_before / s) / math.log(s / s_next)
        return estimate + (estimate - d_before) / (2 * r)

    def cross(self, target: Tensor, noise: NoiseSource) -> None:
        """Go to the next time by the bridge from u to `target`, which it would reach at t = 0."""
        s, s_next = self.levels
        kept = (s_next / s) ** 2
        u = target + kept * (self.u - target)
        self.advance(u + s_next * (1 - kept) ** 0.5 * noise() if s_next > 0 else u)

    def multiply(self, log_factor: Tensor, sign: Tensor | None) -> None:
        """x ← x ∘ factor at the present time, counting the signs that change."""
        self._y = (self._y + log_factor).clamp(-LOG_LIMIT, LOG_LIMIT)
        if sign is not None:
            self._sign = self._sign * sign
            self._crossings = self._crossings + (sign < 0).flatten(1).sum(1)

    def _frame(self, estimate: Tensor) -> Step:
        t = self._grid[self.index]
        return Step(self.index, t, self.x, estimate, self._crossings, self._calls)


def check_start(x: Tensor, process: GeometricBrownianMotion, grid: Tensor) -> None:
    """Raise ValueError unless `grid` falls to 0 from T at most, and x is finite and nowhere 0."""
    if grid.ndim != 1 or len(grid) < 2 or not (grid.diff() < 0).all() or grid[-1] != 0:
        raise ValueError(f"A grid falls strictly to t = 0 in at least one step, got {grid}.")
    if grid[0] > process.horizon * (1 + 1e-9):
        raise ValueError(f"The grid starts at {grid[0]:g}, beyond the horizon {process.horizon:g}.")
    if not (x.isfinite() & (x != 0)).all():
        raise ValueError("The start must be finite and nowhere 0: a product cannot leave 0.")
