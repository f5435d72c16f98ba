"""Noise an image multiplicatively, restore it by the reverse process, and fill holes in images.

Images are x₀ = 1 + pixel ∈ [1, 2], with x = x₀ ∘ exp(m + s z) at noise level s. A score gives two
kinds of restoration: the posterior mean exp E[ln X₀ | x], which is one Tweedie step and blurred
where the posterior is wide; and samples of the posterior X₀ | x, which the reverse process gives
when it starts from x itself, and which are sharp and differ from each other.
"""

import math
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
from dale_demo.samplers import SAMPLERS, Watch, bridge, last_state
from dale_demo.score import LogNormalMixtureScore, Score, denoise, hyvarinen_from_denoised

Array = NDArray[np.float64]

PosteriorSamplerName = Literal["dale-langevin", "bridge"]
"""The samplers offered for the posterior: both are stochastic and keep every sign."""
ReverseSamplerName = Literal["probability-flow"] | PosteriorSamplerName
"""The samplers offered for the reverse process from a noised image."""

START_LEVEL = 8.0
"""Noise level from which holes are filled: nothing of an image is left there."""


@dataclass(frozen=True)
class RestorationSettings:
    """Settings of noising and restoring an image.

    Args:
        noise_level: s, to which the image is noised, in [0.002, 20].
        posterior_sampler: Sampler of the posterior.
        steps: N, intervals of the Karras grid from s down to 0.
        draws: K, number of samples of the posterior.
        seed: Seed of the noise and of the samples, not negative.

    Raises:
        ValueError: A name is unknown, or a number is outside its range.
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
        """Network evaluations of each method, for one image or one sample of the posterior."""
        return {"tweedie": 1, "flow": 2 * self.steps - 1, "draws": self.steps}


@dataclass(frozen=True)
class Restoration:
    """A batch of noised images and their restorations; B images, K samples of each posterior.

    Args:
        noised: The states x / exp(m), any positive value [B, C, H, W].
        tweedie: exp E[ln X₀ | x] as pixels in [0, 1] [B, C, H, W].
        flow: End of the probability flow from x, as pixels [B, C, H, W].
        draws: Samples of X₀ | x, as pixels [B, K, C, H, W].
    """

    noised: Array
    tweedie: Array
    flow: Array
    draws: Array

    @property
    def mean(self) -> Array:
        """Mean of the samples [B, C, H, W]."""
        return self.draws.mean(1)

    @property
    def spread(self) -> Array:
        """Standard deviation of the samples at each pixel [B, C, H, W]: the uncertainty."""
        return self.draws.std(1)

    def arrays(self) -> dict[str, Array]:
        """Name → array, for `numpy.savez`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def until(process: GeometricBrownianMotion, noise_level: float) -> GeometricBrownianMotion:
    """The same process, stopped when s(T) = `noise_level`."""
    return replace(process, horizon=(noise_level / process.sigma) ** 2)


def intensity(x: Tensor) -> Array:
    """Positive images 1 + pixel of any shape → pixels clipped to [0, 1]."""
    return PositiveMap.SHIFT.intensity(x.double()).cpu().numpy()


def noise(x0: Tensor, process: GeometricBrownianMotion, z: Tensor) -> Tensor:
    """X_T of the process from images `x0` and standard normals `z`, both [B, C, H, W]."""
    return process.forward(x0.to(z), torch.tensor(process.horizon, dtype=z.dtype), z)


def tweedie(score: Score, x: Tensor, process: GeometricBrownianMotion) -> Tensor:
    """exp E[ln X₀ | X_T = x] in one step, [B, …] → [B, …]: the geometric posterior mean."""
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
    """Run the reverse process from x at t = T to t = 0 on a Karras grid.

    With an exact score, many steps and a stochastic sampler, the result is a sample of the
    posterior X₀ | X_T = x.

    Args:
        x: States at t = T [B, …]; s(T) of `process` is their noise level.
        source: Noise of the run, for B samples.
        watch: Called with every step.
        min_noise_level: s_min of the grid; see `process.make_grid`.
    """
    grid = make_grid(process, "karras", steps, min_noise_level)
    return last_state(SAMPLERS[sampler](score, x, process, grid, noise=source), watch)


@torch.inference_mode()
def restore(
    checkpoint: Checkpoint, x0: Tensor, settings: RestorationSettings, watch: Watch | None = None
) -> Restoration:
    """Noise the images `x0` [B, C, H, W] and restore them in three ways, without their classes.

    Args:
        watch: Called with every step of both sampling runs.

    Raises:
        ValueError: The network is not for images 1 + pixel, not for this noise level, or a few-step
            network.
    """
    check_map(checkpoint.config)
    checkpoint.config.check_posterior_mean("restoration")
    checkpoint.config.check_noise_level(settings.noise_level)
    device = checkpoint.model.class_averages.device
    process = until(checkpoint.config.process, settings.noise_level)
    score = checkpoint.model.score(process)
    shape, count = x0.shape[1:], len(x0)
    x = noise(x0, process, Noise(settings.seed, range(count), shape, device)())
    copies = x.repeat_interleave(settings.draws, 0)
    source = Noise(settings.seed, range(count, count + len(copies)), shape, device)

    def restored(sampler: ReverseSamplerName, start: Tensor) -> Array:
        low = checkpoint.config.min_noise_level
        return intensity(
            reverse(sampler, score, start, process, settings.steps, source, watch, low)
        )

    return Restoration(
        noised=_without_drift(x, process),
        tweedie=intensity(tweedie(score, x, process)),
        flow=restored("probability-flow", x),
        draws=restored(settings.posterior_sampler, copies).reshape(count, settings.draws, *shape),
    )


def check_map(config: CheckpointConfig) -> None:
    """Raise ValueError unless the network is for images 1 + pixel."""
    if config.positive_map is not PositiveMap.SHIFT:
        raise ValueError(
            "Restoration takes images as x₀ = 1 + pixel; this network was trained on "
            f"{config.positive_map.formula}."
        )


def _without_drift(x: Tensor, process: GeometricBrownianMotion) -> Array:
    """x / exp(m(T)), which has the median of the images."""
    drift = process.log_drift(torch.tensor(process.horizon, dtype=torch.float64)).exp()
    return (x.double() / drift).cpu().numpy()


# Holes


def with_known_pixels(
    score: Score, process: GeometricBrownianMotion, x0: Tensor, hole: Tensor
) -> Score:
    """Replace the estimate outside the `hole` (bool) by the known image: D = ln x₀ there.

    Under the bridge the known pixels then follow the exact forward distribution down to x₀, so
    that at every time they are as noisy as the rest.
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
    """Fill holes in images by the bridge, with the known pixels noised to the level of each step.

    The network never sees the known pixels without noise, so the result is only approximately a
    sample of the hole's distribution given the image around it.

    Args:
        x0: Images [B, …]; their values in the hole are not used.
        hole: Where to fill, bool, broadcastable to x0.
        process: Forward process, with s(T) so large that nothing of an image is left; see
            `START_LEVEL`.
        data: Log moments of the data, from which the start is drawn.
        source: Noise of the run, for B samples.
        watch: Called with every step.
        min_noise_level: s_min of the grid; see `process.make_grid`.

    Returns:
        Images [B, …], bit for bit equal to `x0` outside the hole.

    Raises:
        ValueError: There is no hole.
    """
    if not hole.any():
        raise ValueError("The mask is empty: paint over what is to be filled.")
    z = source()
    # Ones in the hole: whatever `x0` has there must not reach the network.
    known = torch.where(hole, torch.ones_like(x0), x0)
    start = torch.where(hole, LogNormal.terminal(process, data).sample(z), noise(known, process, z))
    grid = make_grid(process, "karras", steps, min_noise_level)
    known_score = with_known_pixels(score, process, known, hole)
    x = last_state(bridge(known_score, start, process, grid, noise=source), watch)
    return torch.where(hole, x.to(x0), x0)


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
    """Fill the hole [H, W] of one image `x0` [C, H, W] several times → [K, C, H, W].

    Args:
        steps: N, intervals of the Karras grid from `START_LEVEL` down to 0.
        answers: K, number of independent samples.
        seed: Seed of the samples, not negative.
        watch: Called with every step.

    Raises:
        ValueError: There is no hole, a number is outside its range, or the network is not for
            images 1 + pixel, not for `START_LEVEL`, or a few-step network.
    """
    check_map(checkpoint.config)
    checkpoint.config.check_posterior_mean("restoration")
    checkpoint.config.check_noise_level(START_LEVEL)
    device = checkpoint.model.class_averages.device
    process = until(checkpoint.config.process, START_LEVEL)
    copies = x0.to(device).expand(answers, *x0.shape)
    source = Noise(seed, range(answers), x0.shape, device)
    score, data = checkpoint.model.score(process), checkpoint.config.data_distribution
    low = checkpoint.config.min_noise_level
    return inpaint(score, copies, hole.to(device), process, data, steps, source, watch, low)


# Strength and distribution of the noise


def signal_to_noise(x0: Tensor, noise_level: float) -> float:
    """Var(ln x₀) over the image's pixels, divided by s²: a ratio of powers, 0 for uniform grey."""
    return x0.double().log().var(correction=0).item() / noise_level**2


def decibels(ratio: float) -> float:
    """10 log₁₀ of a ratio of powers; −∞ for 0."""
    return 10 * math.log10(ratio) if ratio > 0 else -math.inf


def log_energy(ratio: float) -> float:
    """E[(ln|1 + r z|)²] for z ~ N(0, 1): the mean square change of ln|x| when r x z is added to x.

    Integrated over w = ln|1 + r z|, in whose density the singularity of the logarithm is gone.
    """
    # |z| > 12 has a probability below 1e-32, so w ends at ln(1 + 12 r). If 12 r < 1, it starts at
    # ln(1 − 12 r); if not, 1 + r z can be 0 and w any negative number, but the density falls like
    # e^w, and what lies below −30 is less than the rounding of the sum.
    reach = 12 * ratio
    w = np.linspace(math.log1p(-reach) if reach < 0.99 else -30, math.log1p(reach), 4001)
    density = _folded(w, np.ones(1), np.ones(1), ratio)
    return float(np.trapezoid(w**2 * density, w))


@cache
def _energies() -> tuple[Array, Array]:
    """A table of ln r and ln of `log_energy`(r), which increases with r."""
    # From r = 1e-4 to 1e10, for noise levels s from 0.002 to 20: log_energy(r) is about r² for
    # small r and (ln r)² for large r.
    log_ratio = np.linspace(-9, 23, 800)
    return log_ratio, np.log([log_energy(math.exp(v)) for v in log_ratio])


def additive_strength(x0: Tensor, noise_level: float) -> float:
    """τ such that x₀ + τ z changes ln|x| by as much as multiplicative noise at level s does.

    That is, E[(ln|x₀ + τ z| − ln x₀)²] = s² in the mean over the image's pixels. For s in
    [0.002, 20], accurate to three digits.
    """
    values, weights = _values(x0)
    log_ratio, log_energies = _energies()
    at_tau = np.interp(log_ratio[:, None] - np.log(values), log_ratio, log_energies)
    return math.exp(
        np.interp(2 * math.log(noise_level), np.log(np.exp(at_tau) @ weights), log_ratio)
    )


def crossing_share(x0: Tensor, strength: float) -> float:
    """Expected share of pixels that additive noise of strength τ takes below zero."""
    from scipy.special import ndtr

    values, weights = _values(x0)
    return float(np.dot(weights, ndtr(-values / strength)))


def multiplicative_density(x0: Tensor, process: GeometricBrownianMotion, log_x: Array) -> Array:
    """Density of ln X_T for a random pixel of the image `x0`, at `log_x` [P].

    This is the exact mixture over the image's values v: Σ_v w_v N(ln v + m(T), s(T)²).
    """
    values, weights = (torch.from_numpy(a) for a in _values(x0))
    mixture = LogNormalMixtureScore(process, values.log()[:, None], torch.zeros(1), weights)
    x = torch.from_numpy(log_x).exp()[:, None]
    t = torch.full((len(x),), process.horizon, dtype=torch.float64)
    # `log_density` is that of x; the density of ln x is x times as large.
    return (mixture.log_density(x, t).exp() * x[:, 0]).numpy()


def additive_density(x0: Tensor, strength: float, log_x: Array) -> Array:
    """Density of ln|x₀ + τ z| for a random pixel of the image `x0`, at `log_x` [P]."""
    values, weights = _values(x0)
    return _folded(log_x, values, weights, strength)


def _folded(w: Array, values: Array, weights: Array, strength: float) -> Array:
    """Density of ln|v + τ z| at w: e^w Σ_v w_v [φ((e^w − v)/τ) + φ((−e^w − v)/τ)] / τ."""
    size = np.exp(w)[:, None]
    z = (np.stack([size, -size]) - values) / strength
    normal = np.exp(-0.5 * z**2).sum(0) / (strength * math.sqrt(2 * math.pi))
    return size[:, 0] * (normal @ weights)


def _values(x0: Tensor) -> tuple[Array, Array]:
    """The image's distinct values, and the share of pixels with each."""
    values, counts = np.unique(x0.double().cpu().numpy(), return_counts=True)
    return values, counts / counts.sum()
