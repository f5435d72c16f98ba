"""Seven reverse-time samplers with one signature, as generators of `Step`.

Every sampler follows a falling time grid T = t₀ > t₁ > … > t_N = 0 and keeps the state as sign(x)
and ln|x|, so that nothing overflows at any noise level. The samplers differ only in the update over
one interval of the grid. Below, δ = t_k − t_{k+1} is its length, s and s' are the noise levels
before and after it, u = ln x − m(t), D = u + s² (1 + h) is the estimate of ln x₀, z ~ N(0, I), and
a ∈ [0, 1] is an annealing factor.
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
    "dale-langevin",
    "unconstrained",
    "probability-flow",
    "bridge",
    "multistep",
    "multistep-bridge",
    "leap",
]
NoiseSource = Callable[[], Tensor]
"""Returns the next standard normals z [B, …]."""
LogFactor = tuple[Tensor, Tensor | None]
"""The factor of a Langevin update: ln|factor| and, where the factor can be negative, its sign."""

LOG_LIMIT = 700.0
"""Limit on |ln x|: float64 holds e^±709, so exp(ln x) is neither infinite nor 0 within it."""


@dataclass(frozen=True)
class Step:
    """The state of a sampling run at one time, and the estimate made from it.

    Args:
        index: k, from 0 (the start) to N (the result).
        t: Time of the state, falling from T to 0.
        x: State at `t`, float64 [B, …]; positive, except where the unconstrained sampler crossed.
        estimate: D = E[ln X₀ | X_t], float64 [B, …], so that exp(estimate) is the estimated data
            point. At t = 0 it is ln|x| itself.
        crossings: Sign changes of each sample's coordinates so far, int64 [B], on the device.
        score_evaluations: Evaluations of the score so far.
    """

    index: int
    t: float
    x: Tensor
    estimate: Tensor
    crossings: Tensor
    score_evaluations: int

    @property
    def calls(self) -> int:
        """The former name of `score_evaluations`, which published model cards use."""
        return self.score_evaluations


Watch = Callable[[Step], object]
"""A callback for every step of a run."""


class Sampler(Protocol):
    """sampler(score, x, process, grid, *, noise, …) → the steps from T to 0.

    Args:
        score: Any callable (x, t) → Hyvärinen score; evaluated at |x|.
        x: Start [B, …] at t = T, nowhere 0.
        process: The forward process.
        grid: Falling times [N + 1] from T to 0; see `process.make_grid`.
        noise: Returns the next z [B, …]; deterministic samplers never call it.

    Raises:
        ValueError: The grid does not fall to 0 or starts beyond T; x contains 0, NaN or ±∞.
            Raised when the first step is asked for.
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
        annealing: Base of the annealing factor a_k = annealing^k at step k, in [0, 1].
        repeats: L, updates at each time, at least 1.
        step_size: Fixed δ > 0 in place of t_k − t_{k+1}.
        tweedie: Replace the update of the last interval by x = exp(D), without noise.
        tweedie_steps: Noise-free updates x ← x ∘ (exp(D) / x)^c after the last interval, not
            negative, all at the lowest time t > 0 of the grid: with c = 1, or with c = δ/t where
            `step_size` is a shorter δ. The paper takes 25 on CIFAR-10.

    Raises:
        ValueError: A number is outside its range.
    """

    annealing: float = 1.0
    repeats: int = 1
    step_size: float | None = None
    tweedie: bool = True
    tweedie_steps: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.annealing <= 1:
            raise ValueError(f"annealing must be in [0, 1], got {self.annealing}.")
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats}.")
        if self.step_size is not None and not 0 < self.step_size < float("inf"):
            raise ValueError(f"step_size must be positive, got {self.step_size}.")
        if self.tweedie_steps < 0:
            raise ValueError(f"tweedie_steps must be at least 0, got {self.tweedie_steps}.")


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

    In time this is dy/dt = μ − σ²/2 − ½σ² (1 + h). The last interval is one Euler step, u' = D.
    """
    state = _SamplingState(score, x, process, grid)
    while not state.finished:
        yield (step := state.current_step())
        s, s_next = state.noise_levels
        u = state.u
        slope = (u - step.estimate) / s
        state.advance(u + (s_next - s) * slope)
        if s_next > 0:  # at s' = 0 the slope is 0/0
            slope_next = (state.u - state.denoise()) / s_next
            state.u = u + (s_next - s) * (slope + slope_next) / 2
    yield state.final_step()


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
    state = _SamplingState(score, x, process, grid)
    while not state.finished:
        yield (step := state.current_step())
        s, s_next = state.noise_levels
        d, ratio = step.estimate, (s_next / s) ** 2
        u = d + ratio * (state.u - d)
        if s_next > 0:  # the last interval ends at D and needs no draw
            u = u + s_next * (1 - ratio) ** 0.5 * noise()
        state.advance(u)
    yield state.final_step()


@torch.inference_mode()
def multistep(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
) -> Iterator[Step]:
    """DPM-Solver++(2M) (Lu et al. 2022) in u: second order with one score evaluation a step.

    u' = D̃ + (s'/s)(u − D̃) with D̃ = D + (D − D_previous) / (2r), where λ = −ln s, η = λ' − λ and
    r = η_previous / η. D̃ = D in the first interval, and in the last, where η = ∞. Deterministic.
    """
    state = _SamplingState(score, x, process, grid)
    previous: tuple[Tensor, float] | None = None
    while not state.finished:
        yield (step := state.current_step())
        s, s_next = state.noise_levels
        d = target = step.estimate
        if previous is not None and s_next > 0:
            d_previous, s_previous = previous
            r = math.log(s_previous / s) / math.log(s / s_next)
            target = d + (d - d_previous) / (2 * r)
        previous = d, s
        state.advance(target + (s_next / s) * (state.u - target))
    yield state.final_step()


@torch.inference_mode()
def multistep_bridge(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
) -> Iterator[Step]:
    """SDE-DPM-Solver++(2M) (Lu et al. 2022) in u: the bridge towards exp(D̃), of second order.

    u' = D̃ + (s'²/s²)(u − D̃) + s' √(1 − s'²/s²) z, with D̃ as in `multistep`.
    """
    state = _SamplingState(score, x, process, grid)
    previous: tuple[Tensor, float] | None = None
    while not state.finished:
        yield (step := state.current_step())
        s, s_next = state.noise_levels
        d = target = step.estimate
        if previous is not None and s_next > 0:
            d_previous, s_previous = previous
            r = math.log(s_previous / s) / math.log(s / s_next)
            target = d + (d - d_previous) / (2 * r)
        previous, ratio = (d, s), (s_next / s) ** 2
        u = target + ratio * (state.u - target)
        if s_next > 0:
            u = u + s_next * (1 - ratio) ** 0.5 * noise()
        state.advance(u)
    yield state.final_step()


@torch.inference_mode()
def leap(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
) -> Iterator[Step]:
    """u' = D + s' z: to the estimate, x ∘ exp(D − u), and by the forward process to the next level.

    The multistep sampling of consistency models (Song et al. 2023): for a network whose D is not
    the posterior mean but a sample. With a posterior mean, images lose variance at every step.
    """
    state = _SamplingState(score, x, process, grid)
    while not state.finished:
        yield (step := state.current_step())
        _, s_next = state.noise_levels
        u = step.estimate
        if s_next > 0:
            u = u + s_next * noise()
        state.advance(u)
    yield state.final_step()


SAMPLERS: dict[SamplerName, Sampler] = {
    "dale-langevin": dale_langevin,
    "unconstrained": unconstrained,
    "probability-flow": probability_flow,
    "bridge": bridge,
    "multistep": multistep,
    "multistep-bridge": multistep_bridge,
    "leap": leap,
}
SAMPLER_LABELS: dict[SamplerName, str] = {
    "dale-langevin": "dale-langevin: Euler–Maruyama in ln x",
    "unconstrained": "unconstrained: Euler–Maruyama in x",
    "probability-flow": "probability-flow: Heun",
    "bridge": "bridge: ancestral step",
    "multistep": "multistep: DPM-Solver++(2M)",
    "multistep-bridge": "multistep-bridge: SDE-DPM-Solver++(2M)",
    "leap": "leap: multistep consistency sampling",
}
"""Each sampler's name with the name under which the method is known elsewhere."""
LANGEVIN: tuple[SamplerName, ...] = ("dale-langevin", "unconstrained")
"""The samplers that take `LangevinOptions`."""


def evaluations_needed(sampler: SamplerName, steps: int, options: LangevinOptions) -> int:
    """Count the score evaluations of `sampler` on a grid of `steps` intervals."""
    if sampler == "probability-flow":
        return 2 * steps - 1
    if sampler in LANGEVIN:
        noisy = options.repeats * (steps - options.tweedie)
        return noisy + options.tweedie + options.tweedie_steps
    return steps


def log_factor(factor: Tensor) -> LogFactor:
    """Split a factor of either sign into ln|factor| and its sign."""
    # A factor of exactly 0 would be absorbing: ln 0 = −∞ has no way back.
    return factor.abs().clamp_min(1e-300).log(), torch.where(factor < 0, -1.0, 1.0)


def last_state(steps: Iterator[Step], watch: Watch | None = None) -> Tensor:
    """Run a sampler to its end and return the state at t = 0 [B, …].

    Args:
        steps: The steps of the run.
        watch: Called with every step.
    """
    for step in steps:
        if watch is not None:
            watch(step)
    return step.x


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
    """Multiply the state x by `factor(x, h, δ, a, z)` at every time, `repeats` times.

    Then, at the lowest time t, u ← u + c (D − u) without noise, `tweedie_steps` times. For c = δ/t
    this is x ← x ∘ exp(σ²δ (1 + h)), a step of gradient ascent on the log density of ln x.
    """
    state = _SamplingState(score, x, process, grid)
    while not state.finished:
        yield (step := state.current_step())
        if options.tweedie and state.index == state.steps - 1:
            state.advance(step.estimate)
            break
        delta = options.step_size or state.interval
        a = options.annealing**state.index
        for repeat in range(options.repeats):
            # The first update uses the score that the step's estimate was made from.
            x, h = (step.x, state.h) if repeat == 0 else (state.x, state.evaluate_score())
            state.multiply(*factor(x, h, delta, a, noise()))
        state.index += 1
    for _ in range(options.tweedie_steps):
        u = state.step_back()
        c = min(1.0, (options.step_size or state.interval) / state.interval)
        state.advance(u + c * (state.denoise() - u))
    yield state.final_step()


class _SamplingState:
    """Where a run is on its grid, its state as sign(x) and ln|x|, and its counters.

    All that depends on the grid is turned into Python numbers here, before the first step: reading
    it from a device tensor later would wait for the device.
    """

    def __init__(self, score: Score, x: Tensor, process: GeometricBrownianMotion, grid: Tensor):
        _check_start(x, process, grid)
        self._score = score
        self._times = grid.to(x.device, torch.float64)
        self._drifts = process.log_drift(grid.double()).tolist()
        self._levels = process.noise_level(grid.double()).tolist()
        self._grid: list[float] = grid.tolist()
        self._sign, self._y = x.sign().double(), x.double().abs().log()
        self._crossings = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        self._score_evaluations = 0
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
    def noise_levels(self) -> tuple[float, float]:
        """Noise levels s and s' at both ends of the current interval."""
        return self._levels[self.index], self._levels[self.index + 1]

    @property
    def interval(self) -> float:
        """δ, the length of the current interval."""
        return self._grid[self.index] - self._grid[self.index + 1]

    @property
    def u(self) -> Tensor:
        """ln|x| − m(t)."""
        return self._y - self._drifts[self.index]

    @u.setter
    def u(self, value: Tensor) -> None:
        self._y = (value + self._drifts[self.index]).clamp(-LOG_LIMIT, LOG_LIMIT)

    def evaluate_score(self) -> Tensor:
        """Evaluate the score at |x|.

        It is undefined for x ≤ 0, since the data are positive. Where the unconstrained sampler has
        crossed zero, the score of the mirror image |x| stands in for it.
        """
        self._score_evaluations += 1
        t = self._times[self.index].expand(len(self._y))
        return self._score(self._y.exp(), t).double()

    def denoise(self) -> Tensor:
        """Evaluate the score, keep it as `h`, and return D = u + s² (1 + h)."""
        self.h = self.evaluate_score()
        return self.u + self._levels[self.index] ** 2 * (1 + self.h)

    def current_step(self) -> Step:
        """Evaluate the score and return the step at the current time."""
        return self._step(self.denoise())

    def final_step(self) -> Step:
        """The step at t = 0, where the state is its own estimate."""
        return self._step(self._y)

    def advance(self, u: Tensor) -> None:
        """Move to the next time with ln|x| = u + m(t)."""
        self.index += 1
        self.u = u

    def step_back(self) -> Tensor:
        """Move to the time before with the same u, which is returned."""
        u = self.u
        self.index -= 1
        self.u = u
        return u

    def multiply(self, log_size: Tensor, sign: Tensor | None) -> None:
        """x ← x ∘ sign ∘ exp(log_size) at the current time, counting the sign changes."""
        self._y = (self._y + log_size).clamp(-LOG_LIMIT, LOG_LIMIT)
        if sign is not None:
            self._sign = self._sign * sign
            self._crossings = self._crossings + (sign < 0).flatten(1).sum(1)

    def _step(self, estimate: Tensor) -> Step:
        t = self._grid[self.index]
        return Step(self.index, t, self.x, estimate, self._crossings, self._score_evaluations)


def _check_start(x: Tensor, process: GeometricBrownianMotion, grid: Tensor) -> None:
    """Raise ValueError unless `grid` falls to 0 from at most T, and x is finite and nowhere 0."""
    if grid.ndim != 1 or len(grid) < 2 or not (grid.diff() < 0).all() or grid[-1] != 0:
        raise ValueError(f"A grid falls strictly to t = 0 in at least one step, got {grid}.")
    if grid[0] > process.horizon * (1 + 1e-9):  # rounding of (s/σ)² may end a little above T
        raise ValueError(f"The grid starts at {grid[0]:g}, beyond the horizon {process.horizon:g}.")
    if not (x.isfinite() & (x != 0)).all():
        raise ValueError("The start must be finite and nowhere 0: a product cannot leave 0.")
