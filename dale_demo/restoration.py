"""Noise a picture, and take the noise off again by the reverse process, from the level it has.

Pictures are x₀ = 1 + pixel ∈ [1, 2] with x = x₀ ∘ exp(m + s z) at noise level s. What a network
knows lets one ask for two different things: the posterior mean, exp E[ln X₀ | x], which one
Tweedie step gives and which blurs what is unsure; or draws from the posterior X₀ | x, which the
reverse process gives when it starts from x itself, and which are sharp and differ from each other.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.folder import Checkpoint
from dale_demo.data import PositiveMap
from dale_demo.network import MAX_NOISE_LEVEL, MIN_NOISE_LEVEL
from dale_demo.noise import Noise
from dale_demo.process import DEFAULT_MIN_NOISE_LEVEL, GeometricBrownianMotion, LogNormal, make_grid
from dale_demo.samplers import SAMPLERS, Step, bridge
from dale_demo.score import LogNormalMixtureScore, Score, denoise, hyvarinen_from_denoised

Array = NDArray[np.float64]
Watch = Callable[[Step], object]
"""Looks at every step as it passes."""

PosteriorSamplerName = Literal["dale-langevin", "bridge"]
"""The samplers that draw from the posterior: both are stochastic and keep every sign."""
ReverseSamplerName = Literal["probability-flow"] | PosteriorSamplerName
"""Those that walk back from a noised picture."""

START_LEVEL = 8.0
"""Noise level from which holes are filled: nothing of a picture is left there."""


@dataclass(frozen=True)
class RestorationSettings:
    """How a picture is noised and restored.

    Args:
        noise_level: s, where the picture is noised to, in [0.002, 20].
        posterior_sampler: Which sampler draws from the posterior.
        steps: N, intervals of the Karras grid from s down to 0.
        draws: K, how many pictures are drawn.
        seed: Of the noise and of the draws.

    Raises:
        ValueError: A name is unknown, or a number outside its range.
    """

    noise_level: float = 0.8
    posterior_sampler: PosteriorSamplerName = "dale-langevin"
    steps: int = 20
    draws: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if not MIN_NOISE_LEVEL <= self.noise_level <= MAX_NOISE_LEVEL:
            raise ValueError(
                f"noise_level must be in [{MIN_NOISE_LEVEL:g}, {MAX_NOISE_LEVEL:g}], the range "
                f"that networks are trained for, got {self.noise_level}."
            )
        if self.posterior_sampler not in get_args(PosteriorSamplerName):
            names = " or ".join(get_args(PosteriorSamplerName))
            raise ValueError(
                f"Unknown posterior_sampler {self.posterior_sampler!r}; choose {names}."
            )
        for name in ("steps", "draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}.")

    @property
    def evaluations(self) -> dict[str, int]:
        """Network calls that each way of restoring takes for one picture, or one draw."""
        return {"tweedie": 1, "flow": 2 * self.steps - 1, "draws": self.steps}


@dataclass(frozen=True)
class Restoration:
    """A batch of noised pictures and what was made of them; B pictures, K draws each.

    Args:
        noised: The states x / exp(m), any positive value [B, C, H, W].
        tweedie: exp E[ln X₀ | x] as pixels in [0, 1] [B, C, H, W].
        flow: Where the probability flow leads from x, as pixels [B, C, H, W].
        draws: Draws from X₀ | x, as pixels [B, K, C, H, W].
    """

    noised: Array
    tweedie: Array
    flow: Array
    draws: Array

    @property
    def mean(self) -> Array:
        """Mean of the draws [B, C, H, W]."""
        return self.draws.mean(1)

    @property
    def spread(self) -> Array:
        """Standard deviation over the draws, pixel by pixel: where the network is unsure."""
        return self.draws.std(1)

    def arrays(self) -> dict[str, Array]:
        """Name → array, for `numpy.savez`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def until(process: GeometricBrownianMotion, noise_level: float) -> GeometricBrownianMotion:
    """The same process, stopped when s(T) = `noise_level`."""
    return replace(process, horizon=(noise_level / process.sigma) ** 2)


def intensity(x: Tensor) -> Array:
    """Positive pictures of any shape → pixels in [0, 1], clipped."""
    return PositiveMap.SHIFT.intensity(x.double()).cpu().numpy()


def noise(x0: Tensor, process: GeometricBrownianMotion, z: Tensor) -> Tensor:
    """X_T of the process from pictures `x0` and standard normals `z`, both [B, C, H, W]."""
    return process.forward(x0.to(z), torch.tensor(process.horizon, dtype=z.dtype), z)


def tweedie(score: Score, x: Tensor, process: GeometricBrownianMotion) -> Tensor:
    """exp E[ln X₀ | X_T = x] in one step, [B, …] → [B, …]: a geometric posterior mean."""
    t = torch.full((len(x),), process.horizon, dtype=x.dtype, device=x.device)
    return denoise(score, process, x, t).exp()


def reverse(
    sampler: ReverseSamplerName,
    score: Score,
    x: Tensor,
    process: GeometricBrownianMotion,
    steps: int,
    source: Noise,
    watch: Watch | None = None,
    min_noise_level: float = DEFAULT_MIN_NOISE_LEVEL,
) -> Tensor:
    """Walk the reverse process from x at t = T to t = 0 on a Karras grid that begins there.

    With an exact score, many steps and a stochastic sampler, what comes out is a draw from the
    posterior X₀ | X_T = x.

    Args:
        x: States at t = T [B, …]; `process` ends at the level that they have.
        source: Gives the noise of the walk, B samples at a time.
        watch: Called with every step.
        min_noise_level: Where the grid ends; see `process.make_grid`.
    """
    grid = make_grid(process, "karras", steps, min_noise_level)
    for step in SAMPLERS[sampler](score, x, process, grid, noise=source):
        if watch is not None:
            watch(step)
    return step.x


@torch.inference_mode()
def restore(
    checkpoint: Checkpoint, x0: Tensor, settings: RestorationSettings, watch: Watch | None = None
) -> Restoration:
    """Noise the pictures `x0` [B, C, H, W] and restore them in three ways, without their classes.

    Args:
        watch: Called with every step of both walks.

    Raises:
        ValueError: The network is not one of pictures 1 + pixel.
    """
    check_map(checkpoint.config)
    device = checkpoint.model.class_averages.device
    process = until(checkpoint.config.process, settings.noise_level)
    score = checkpoint.model.score(process)
    shape, count = x0.shape[1:], len(x0)
    x = noise(x0, process, Noise(settings.seed, range(count), shape, device)())
    copies = x.repeat_interleave(settings.draws, 0)
    source = Noise(settings.seed, range(count, count + len(copies)), shape, device)

    def walk(sampler: ReverseSamplerName, start: Tensor) -> Array:
        end = checkpoint.config.min_noise_level
        return intensity(
            reverse(sampler, score, start, process, settings.steps, source, watch, end)
        )

    return Restoration(
        noised=_without_drift(x, process),
        tweedie=intensity(tweedie(score, x, process)),
        flow=walk("probability-flow", x),
        draws=walk(settings.posterior_sampler, copies).reshape(count, settings.draws, *shape),
    )


def check_map(config: CheckpointConfig) -> None:
    """Raise ValueError unless the network is one of pictures 1 + pixel."""
    if config.positive_map is not PositiveMap.SHIFT:
        raise ValueError(
            "Restoration takes pictures as x₀ = 1 + pixel; this network was trained on "
            f"{config.positive_map.formula}."
        )


def _without_drift(x: Tensor, process: GeometricBrownianMotion) -> Array:
    drift = process.log_drift(torch.tensor(process.horizon, dtype=torch.float64)).exp()
    return (x.double() / drift).cpu().numpy()


# Holes


def knowing(score: Score, process: GeometricBrownianMotion, x0: Tensor, hole: Tensor) -> Score:
    """The score of one who knows the picture `x0` outside the `hole` (bool): there D = ln x₀.

    Under the bridge the known pixels then walk from their noise to their values by the exact law
    of the forward process, so that at every level they are noised as the rest is.
    """

    def score_with(x: Tensor, t: Tensor) -> Tensor:
        d = torch.where(hole, denoise(score, process, x, t), x0.to(x).log())
        return hyvarinen_from_denoised(d, process, x, t)

    return score_with


@torch.inference_mode()
def inpaint(
    score: Score,
    x0: Tensor,
    hole: Tensor,
    process: GeometricBrownianMotion,
    data: LogNormal,
    steps: int,
    source: Noise,
    watch: Watch | None = None,
    min_noise_level: float = DEFAULT_MIN_NOISE_LEVEL,
) -> Tensor:
    """Fill the holes of pictures by the bridge, the known pixels noised to each level beside it.

    The network sees the known pixels only as noised as the rest, so this is close to the law of
    the hole given the picture around it, and not exactly that law.

    Args:
        x0: Pictures [B, …]; what they have in the hole is never looked at.
        hole: Where to fill, bool, broadcastable to x0.
        process: Ends where nothing of a picture is left; see `START_LEVEL`.
        data: Log moments of the data, from which the start is drawn.
        source: Gives the noise, B samples at a time.
        watch: Called with every step.
        min_noise_level: Where the grid ends; see `process.make_grid`.

    Returns:
        Pictures [B, …] which are `x0` itself, bit for bit, outside the hole.

    Raises:
        ValueError: There is no hole.
    """
    if not hole.any():
        raise ValueError("The mask is empty: paint over what is to be filled.")
    z = source()
    known = torch.where(hole, torch.ones_like(x0), x0)
    start = torch.where(hole, LogNormal.terminal(process, data).sample(z), noise(known, process, z))
    grid = make_grid(process, "karras", steps, min_noise_level)
    walk = bridge(knowing(score, process, known, hole), start, process, grid, noise=source)
    for step in walk:
        if watch is not None:
            watch(step)
    return torch.where(hole, step.x.to(x0), x0)


def fill(
    checkpoint: Checkpoint,
    x0: Tensor,
    hole: Tensor,
    *,
    steps: int,
    answers: int,
    seed: int,
    watch: Watch | None = None,
) -> Tensor:
    """Several answers [K, C, H, W] to one picture `x0` [C, H, W] with a hole [H, W].

    Raises:
        ValueError: There is no hole, a number is outside its range, or the network is not one of
            pictures 1 + pixel.
    """
    check_map(checkpoint.config)
    device = checkpoint.model.class_averages.device
    process = until(checkpoint.config.process, START_LEVEL)
    copies = x0.to(device).expand(answers, *x0.shape)
    source = Noise(seed, range(answers), x0.shape, device)
    score, law = checkpoint.model.score(process), checkpoint.config.data_distribution
    end = checkpoint.config.min_noise_level
    return inpaint(score, copies, hole.to(device), process, law, steps, source, watch, end)


# What the noise is


def signal_to_noise(x0: Tensor, noise_level: float) -> float:
    """Var(ln x₀) over the picture's pixels, divided by s²: a ratio of powers, 0 for one grey."""
    return x0.double().log().var(correction=0).item() / noise_level**2


def decibels(ratio: float) -> float:
    """10 log₁₀ of a ratio of powers; −∞ for 0."""
    return 10 * math.log10(ratio) if ratio > 0 else -math.inf


def log_energy(ratio: float) -> float:
    """E[(ln|1 + r z|)²] for z ~ N(0, 1): the mean square change of ln|x| when r x z is added to x.

    Integrated over w = ln|1 + r z|, in which the density is smooth although the logarithm is not.
    """
    reach = 12 * ratio
    w = np.linspace(math.log1p(-reach) if reach < 0.99 else -30, math.log1p(reach), 4001)
    density = _folded(w, np.ones(1), np.ones(1), ratio)
    return float(np.trapezoid(w**2 * density, w))


@cache
def _energies() -> tuple[Array, Array]:
    """ln r and ln of `log_energy`(r), as a table to look up; it rises throughout."""
    log_ratio = np.linspace(-9, 23, 800)
    return log_ratio, np.log([log_energy(math.exp(v)) for v in log_ratio])


def additive_strength(x0: Tensor, noise_level: float) -> float:
    """τ such that x₀ + τ z changes ln|x| by as much as multiplicative noise at level s does.

    As much: E[(ln|x₀ + τ z| − ln x₀)²] = s² in the mean over the picture's pixels; s in
    [0.002, 20], good to three digits.
    """
    values, weights = _values(x0)
    log_ratio, log_energies = _energies()
    at_tau = np.interp(log_ratio[:, None] - np.log(values), log_ratio, log_energies)
    return math.exp(
        np.interp(2 * math.log(noise_level), np.log(np.exp(at_tau) @ weights), log_ratio)
    )


def crossing_share(x0: Tensor, strength: float) -> float:
    """Share of pixels that additive noise of strength τ is expected to push below zero."""
    from scipy.special import ndtr

    values, weights = _values(x0)
    return float(np.dot(weights, ndtr(-values / strength)))


def multiplicative_density(x0: Tensor, process: GeometricBrownianMotion, log_x: Array) -> Array:
    """Density of ln X_T for a pixel picked at random from the picture `x0`, at `log_x` [P].

    The exact mixture over the picture's own values v: Σ_v w_v N(ln v + m(T), s(T)²).
    """
    values, weights = (torch.from_numpy(a) for a in _values(x0))
    law = LogNormalMixtureScore(process, values.log()[:, None], torch.zeros(1), weights)
    x = torch.from_numpy(log_x).exp()[:, None]
    t = torch.full((len(x),), process.horizon, dtype=torch.float64)
    return (law.log_density(x, t).exp() * x[:, 0]).numpy()


def additive_density(x0: Tensor, strength: float, log_x: Array) -> Array:
    """Density of ln|x₀ + τ z| for a pixel picked at random from the picture, at `log_x` [P]."""
    values, weights = _values(x0)
    return _folded(log_x, values, weights, strength)


def _folded(w: Array, values: Array, weights: Array, strength: float) -> Array:
    """Density of ln|v + τ z| at w: e^w Σ_v w_v [φ((e^w − v)/τ) + φ((−e^w − v)/τ)] / τ."""
    size = np.exp(w)[:, None]
    z = (np.stack([size, -size]) - values) / strength
    normal = np.exp(-0.5 * z**2).sum(0) / (strength * math.sqrt(2 * math.pi))
    return size[:, 0] * (normal @ weights)


def _values(x0: Tensor) -> tuple[Array, Array]:
    """The picture's distinct values, and the share of pixels that each has."""
    values, counts = np.unique(x0.double().cpu().numpy(), return_counts=True)
    return values, counts / counts.sum()
