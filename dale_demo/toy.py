"""Two-dimensional positive data with an exact score at every t, and particle simulations on them.

All data here are log-normal mixtures with one common spread, Σ_k LogNormal(a_k, b²) / K: points
with a kernel around each. Their score is known (`LogNormalMixtureScore`), so every error of a run
is the sampler's own. The process has μ = σ²/2 and T = 1: it keeps the median, and s(T) = σ.
Particles run down from noise to data (`simulate`), or up from data to noise (`add_noise`).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.noise import seeds_of
from dale_demo.process import (
    DEFAULT_MIN_NOISE_LEVEL,
    GeometricBrownianMotion,
    GridName,
    make_grid,
)
from dale_demo.samplers import (
    LANGEVIN,
    SAMPLERS,
    LangevinOptions,
    LogFactor,
    NoiseSource,
    Step,
    langevin,
    log_factor,
)
from dale_demo.score import LogNormalMixtureScore, Score

SIDE = 3.0
"""Data lie in the square (0, SIDE)²."""
KERNEL = 0.035
"""b, the standard deviation of ln x around a point."""
ROWS = 100
"""Particles per evaluation of the score; with more, the mixture leaves a processor's cache."""
LEAST, MOST = 1e-9, 1e9
"""Limits on |x| in the additive sampler, whose Stein score h/x diverges at 0."""
FARTHEST = 1e6
"""Limit on the coordinates of particles that diverged, when distances are measured."""


@dataclass(frozen=True, eq=False)
class ToyData:
    """The distribution Σ_k LogNormal(a_k, b²) / K in two dimensions.

    Args:
        log_means: a [K, 2].
        log_std: b > 0.
    """

    log_means: Tensor
    log_std: float

    @classmethod
    def around(cls, points: Tensor, log_std: float = KERNEL) -> "ToyData":
        """Put a kernel around each of `points` [K, 2].

        Raises:
            ValueError: There is no point, or one is not positive and finite.
        """
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise ValueError(f"Points must be [K, 2] with K ≥ 1, got {tuple(points.shape)}.")
        if not (points.isfinite() & (points > 0)).all():
            raise ValueError("Every coordinate of a point must be positive and finite.")
        return cls(points.double().log(), log_std)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw x [count, 2]."""
        which = torch.randint(len(self.log_means), (count,), generator=generator)
        z = torch.randn((count, 2), generator=generator, dtype=torch.float64)
        return torch.exp(self.log_means[which] + self.log_std * z)

    def log_moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of ln x, [2] each."""
        variance = self.log_means.var(0, correction=0) + self.log_std**2
        return self.log_means.mean(0), variance.sqrt()

    def noised_log_moments(self, process: GeometricBrownianMotion) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of ln x_T, [2] each: m(T) and s(T)² are added."""
        mean, std = self.log_moments()
        drift = process.log_drift(torch.tensor(process.horizon, dtype=torch.float64))
        return mean + drift, (std**2 + process.max_noise_level**2).sqrt()

    def distribution_function(
        self, process: GeometricBrownianMotion, t: float, x: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """P(X_t ≤ x) of each coordinate by itself, at `x` [N, 2] of any sign → [N, 2].

        Σ_k Φ((ln x − a_k − m(t)) / √(b² + s(t)²)) / K, and 0 where x ≤ 0.
        """
        from scipy.special import ndtr

        time = torch.tensor(t, dtype=torch.float64)
        spread = math.hypot(self.log_std, process.noise_level(time).item())
        centres = self.log_means.numpy() + process.log_drift(time).item()
        y = np.log(np.where(x > 0, x, 1.0))[:, None]
        return np.where(x > 0, ndtr((y - centres) / spread).mean(1), 0.0)

    def score(self, process: GeometricBrownianMotion) -> Score:
        """The exact score under `process`, evaluated `ROWS` rows at a time."""
        exact = LogNormalMixtureScore(process, self.log_means, torch.tensor(self.log_std))

        def score(x: Tensor, t: Tensor) -> Tensor:
            parts = zip(x.split(ROWS), t.split(ROWS), strict=True)
            return torch.cat([exact(*part) for part in parts])

        return score


# Shapes, as points of [-1, 1]²


def two_spirals(count: int = 128) -> Tensor:
    """Two arms of one and a fifth turns, evenly spaced along the arm [count, 2]."""
    # The radius grows with the angle, so arc length grows with its square: hence the root.
    along = torch.linspace(0, 1, count // 2, dtype=torch.float64).sqrt()
    angle, radius = 2.4 * math.pi * along, 0.15 + 0.85 * along
    arm = radius[:, None] * _circle(angle)
    return torch.cat([arm, -arm])


def rings(count: int = 120) -> Tensor:
    """Two rings around one centre; the outer has two thirds of the points [count, 2]."""
    outer, inner = _full(count - count // 3), 0.45 * _full(count // 3)
    return torch.cat([outer, inner])


def moons(count: int = 120) -> Tensor:
    """Two interlocking half circles [count, 2]."""
    half = _circle(torch.linspace(0, math.pi, count // 2, dtype=torch.float64))
    upper = half - half.new_tensor([0.5, 0.25])
    return torch.cat([upper, -upper]) / 1.5


def _full(count: int) -> Tensor:
    """`count` evenly spaced points of the unit circle."""
    return _circle(torch.arange(count, dtype=torch.float64) * (2 * math.pi / count))


def _circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], 1)


def _placed(points: Tensor) -> Tensor:
    """Map [-1, 1]² into the square of the data, near the axes but not on them."""
    return SIDE * (0.5 + 0.43 * points)


def log_normals() -> ToyData:
    """Five log-normal distributions with three times the spread of a kernel."""
    centres = torch.tensor([[0.3, 0.3], [0.3, 1.9], [1.0, 0.9], [2.2, 0.35], [2.2, 2.2]])
    return ToyData.around(centres.double(), 3 * KERNEL)


SHAPES: dict[str, Callable[[], ToyData]] = {
    "two spirals": lambda: ToyData.around(_placed(two_spirals())),
    "rings": lambda: ToyData.around(_placed(rings())),
    "moons": lambda: ToyData.around(_placed(moons())),
    "log-normal mixture": log_normals,
}


# Samplers


def additive_langevin(
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    grid: Tensor,
    *,
    noise: NoiseSource,
    options: LangevinOptions = LangevinOptions(),
) -> Iterator[Step]:
    """x ← x + (σ² − μ) δ x + ½σ²δ (x + 1/x) h + a σ√δ z: adds where the other samplers multiply.

    The first two terms and ½σ²δ x h are the probability flow in x; ½σ²δ h/x + σ√δ z is a Langevin
    step with the Stein score h/x, under which p_t is stationary (Song et al. 2021). So for δ → 0
    the marginals p_t are exact, while at any δ > 0 noise of one size for all x can carry a small x
    across zero.
    """

    def factor(x: Tensor, h: Tensor, delta: float, a: float, z: Tensor) -> LogFactor:
        mu, sigma = process.mu, process.sigma
        drift = (sigma**2 - mu) * delta * x + 0.5 * sigma**2 * delta * (x + 1 / x) * h
        # As a factor, so that the state and the sign changes are kept as in the other samplers.
        return log_factor(_bounded(x + drift + a * sigma * delta**0.5 * z) / x)

    return langevin(factor, score, x, process, grid, noise, options)


def _bounded(x: Tensor) -> Tensor:
    return torch.where(x < 0, -1.0, 1.0) * x.abs().clamp(LEAST, MOST)


TOY_SAMPLERS: dict[str, Callable[..., Iterator[Step]]] = {
    "dale-langevin": SAMPLERS["dale-langevin"],
    "unconstrained": SAMPLERS["unconstrained"],
    "additive": additive_langevin,
    "probability-flow": SAMPLERS["probability-flow"],
    "bridge": SAMPLERS["bridge"],
}
STEPPED = (*LANGEVIN, "additive")
"""The samplers that take a step size, and `LangevinOptions`."""


# Runs


@dataclass(frozen=True)
class ToySettings:
    """Settings of a particle simulation.

    Args:
        noise_level: s(T) > 0, where sampling starts.
        steps: N ≥ 1, intervals of the grid.
        grid: Spacing of the times: "karras" in noise level, or "uniform" in t.
        step_size: Fixed δ for the samplers in `STEPPED`, in place of the grid's spacing.
        seed: Seed of the start and the noise, not negative.
        particles: B ≥ 1.
    """

    noise_level: float = 1.5
    steps: int = 25
    grid: GridName = "karras"
    step_size: float | None = None
    seed: int = 0
    particles: int = 1000

    @property
    def process(self) -> GeometricBrownianMotion:
        """The forward process."""
        return GeometricBrownianMotion.median_preserving(self.noise_level)


@dataclass(frozen=True)
class Paths:
    """Recorded frames of one run; F frames, B particles.

    Args:
        steps: Index of the step of each frame, from 0 to N [F].
        times: t, falling from T to 0, or rising from 0 to T where noise is added [F].
        x: State [F, B, 2].
        crossings: Number of times each particle has crossed an axis so far [F, B].
        score_evaluations: Score evaluations of the whole run.
    """

    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    x: NDArray[np.float64]
    crossings: NDArray[np.int64]
    score_evaluations: int

    @property
    def crossed(self) -> int:
        """Number of particles that have crossed an axis at least once."""
        return int((self.crossings[-1] > 0).sum())

    @property
    def log_std(self) -> NDArray[np.float64]:
        """Standard deviation of ln|x| at the end [2]."""
        return np.log(np.abs(self.x[-1])).std(0)


def simulate(
    data: ToyData,
    sampler: str,
    settings: ToySettings,
    max_frames: int = 101,
    score: Score | None = None,
) -> Paths:
    """Sample particles, starting from exact draws of p_T.

    With the same seed every sampler gets the same start and the same noise.

    Args:
        data: The distribution to sample.
        sampler: A key of `TOY_SAMPLERS`.
        settings: Settings of the run.
        max_frames: Most frames that are kept: evenly spaced, the first and the last among them.
        score: Drives the sampler in place of the exact score.

    Raises:
        ValueError: A setting is outside its range.
    """
    process = settings.process
    starts, noises = _generators(settings.seed)[:2]
    shape = (settings.particles, 2)
    z = torch.randn(shape, generator=starts, dtype=torch.float64)
    x = process.forward(data.draw(len(z), starts), z.new_tensor(process.horizon), z)
    kept = _kept(settings.steps, max_frames)
    options = LangevinOptions(step_size=settings.step_size)
    steps = TOY_SAMPLERS[sampler](
        score or data.score(process),
        x,
        process,
        make_grid(process, settings.grid, settings.steps),
        noise=lambda: torch.randn(shape, generator=noises, dtype=torch.float64),
        **({"options": options} if sampler in STEPPED else {}),
    )
    return _paths([step for step in steps if step.index in kept])


def _kept(steps: int, max_frames: int) -> set[int]:
    """Indices of the frames to keep, evenly spaced from 0 to `steps`."""
    return set(np.linspace(0, steps, max_frames).round().astype(int).tolist())


def _generators(seed: int) -> list[torch.Generator]:
    """Generators for the start, the noise, a sample of the data, and a second sample."""
    return [torch.Generator().manual_seed(s) for s in seeds_of(seed, range(4))]


def _paths(frames: list[Step]) -> Paths:
    return Paths(
        steps=np.array([step.index for step in frames]),
        times=np.array([step.t for step in frames]),
        x=torch.stack([step.x for step in frames]).numpy(),
        crossings=torch.stack([step.crossings for step in frames]).numpy(),
        score_evaluations=frames[-1].score_evaluations,
    )


def score_field(
    score: Score, process: GeometricBrownianMotion, times: NDArray[np.float64], x: Tensor
) -> NDArray[np.float32]:
    """Evaluate h at the points `x` [P, 2] at each of `times` [F] → [F, P, 2].

    A time below that of the least noise level of a time grid counts as that: at t = 0 a network
    has no score, because h = (D − u) / s² − 1 is 0 / 0.
    """
    least = process.time(torch.tensor(DEFAULT_MIN_NOISE_LEVEL)).item()
    with torch.no_grad():
        field = [score(x, x.new_full((len(x),), max(t, least))) for t in times.tolist()]
    return torch.stack(field).numpy().astype(np.float32)


# Noise


NoiseFactor = Callable[[GeometricBrownianMotion, Tensor, Tensor], LogFactor]
"""(process, δ [], z [B, 2]) → the factor by which x is multiplied over an interval δ."""


def exponential(process: GeometricBrownianMotion, delta: Tensor, z: Tensor) -> LogFactor:
    """x ← x ∘ exp((μ − σ²/2) δ + σ√δ z): has the exact distribution at any step size."""
    return process.log_drift(delta) + process.noise_level(delta) * z, None


def euler_maruyama(process: GeometricBrownianMotion, delta: Tensor, z: Tensor) -> LogFactor:
    """x ← x ∘ (1 + μδ + σ√δ z): the same for small δ, and can be negative for large ones."""
    return log_factor(1 + process.mu * delta + process.noise_level(delta) * z)


FORWARD: dict[str, NoiseFactor] = {
    "exponential": exponential,
    "Euler–Maruyama": euler_maruyama,
}


def add_noise(data: ToyData, method: str, settings: ToySettings, max_frames: int = 101) -> Paths:
    """Multiply samples of the data by noise, step by step from t = 0 to T on the grid upside down.

    With the same seed every method gets the same samples and the same noise.

    Args:
        data: The distribution at t = 0.
        method: A key of `FORWARD`.
        settings: Settings of the run; `step_size` does not apply.
        max_frames: As for `simulate`.

    Raises:
        ValueError: A setting is outside its range.
    """
    process, (starts, noises) = settings.process, _generators(settings.seed)[:2]
    times = make_grid(process, settings.grid, settings.steps).flip(0)
    x = data.draw(settings.particles, starts)
    y, sign, crossings = x.log(), torch.ones_like(x), torch.zeros(len(x), dtype=torch.int64)
    kept = _kept(settings.steps, max_frames)
    frames = [Step(0, 0.0, x, x.log(), crossings, 0)]
    for k, delta in enumerate(times.diff(), 1):
        z = torch.randn(x.shape, generator=noises, dtype=torch.float64)
        log_size, turned = FORWARD[method](process, delta, z)
        y = y + log_size
        if turned is not None:
            sign, crossings = sign * turned, crossings + (turned < 0).sum(1)
        if k in kept:
            frames.append(Step(k, times[k].item(), sign * y.exp(), y, crossings, 0))
    return _paths(frames)


def ks_distance(x: NDArray[np.float64], data: ToyData, process: GeometricBrownianMotion) -> float:
    """Kolmogorov–Smirnov distance of particles `x` [B, 2] to p_T, the mean over both coordinates.

    For B exact samples it is about 0.87 / √B (`expected_ks_distance`).
    """
    x = np.sort(x, axis=0)
    exact = data.distribution_function(process, process.horizon, x)
    ranks = np.arange(len(x) + 1)[:, None] / len(x)
    gaps = np.maximum(exact - ranks[:-1], ranks[1:] - exact)
    return float(gaps.max(0).mean())


def expected_ks_distance(count: int) -> float:
    """√(π/2) ln 2 / √N, the mean distance of N exact samples, for large N (Kolmogorov 1933)."""
    return math.sqrt(math.pi / 2) * math.log(2) / math.sqrt(count)


# Distances


def samples(data: ToyData, settings: ToySettings) -> tuple[Tensor, Tensor]:
    """Two independent samples of the data, of as many points as there are particles [B, 2]."""
    first, second = (data.draw(settings.particles, g) for g in _generators(settings.seed)[2:])
    return first, second


def wasserstein(a: Tensor, b: Tensor) -> float:
    """W₁ between two samples of equal size [B, 2]: the least mean distance of moving a to b.

    Exact, by the optimal assignment between the points.

    Raises:
        ValueError: The shapes differ, or a value is not finite.
    """
    from scipy.optimize import linear_sum_assignment

    if a.shape != b.shape:
        raise ValueError(f"Samples must have one shape, got {tuple(a.shape)} and {tuple(b.shape)}.")
    if not (a.isfinite().all() and b.isfinite().all()):
        raise ValueError("Samples must be finite.")
    cost = torch.cdist(a.double(), b.double()).numpy()
    return float(cost[linear_sum_assignment(cost)].mean())


def distance(x: Tensor, reference: Tensor) -> float:
    """W₁ from particles `x` [B, 2] to a sample of the data, coordinates limited to ±`FARTHEST`."""
    return wasserstein(x.clamp(-FARTHEST, FARTHEST), reference)
