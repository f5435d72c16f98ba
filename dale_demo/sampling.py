"""Sampling runs: their settings, presets, start distributions, and batches of images."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.checkpoint.config import CheckpointConfig, check_levels
from dale_demo.checkpoint.folder import Checkpoint
from dale_demo.checks import check_float, check_int, shown
from dale_demo.datasets import DATASETS
from dale_demo.network import MAX_NOISE_LEVEL, MIN_NOISE_LEVEL
from dale_demo.noise import Noise
from dale_demo.paper import PROCESS, STEPS
from dale_demo.process import GeometricBrownianMotion, GridName, class_averaged_start, make_grid
from dale_demo.samplers import (
    LANGEVIN,
    SAMPLERS,
    LangevinOptions,
    SamplerName,
    Step,
    Watch,
    dale_langevin,
    evaluations_needed,
    last_state,
    unconstrained,
)

StartName = Literal["exact", "fitted", "class-averaged"]
PresetName = Literal["wide", "live", "paper"]

UNCONDITIONAL = -1
"""The label of an image without a class."""


MAX_STEPS, MAX_EVALUATIONS = 100_000, 1_000_000
"""Steps, or repeats, of a run, and score evaluations for one image."""
MAX_IMAGES, MAX_GUIDANCE, MAX_SEED = 1_000_000, 1000, 2**64 - 1
MAX_BYTES = 4 * 2**30
"""The images of a run are kept in memory until all are sampled."""


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"Unknown {name} {value!r}; choose from {', '.join(choices)}.")


@dataclass(frozen=True)
class SamplingSettings:
    """Everything that determines a run, apart from the network.

    The process runs to T = 1, so that its volatility σ equals the noise level s(T).

    Args:
        sampler: Which of `samplers.SAMPLERS`.
        noise_level: s(T), where sampling starts, in [0.002, 20].
        mu: Drift μ; None means σ²/2, which keeps the median constant.
        steps: N, intervals of the grid, up to 100,000.
        grid: Spacing of the times: "karras" in noise level, or "uniform" in t.
        start: Distribution of X_T: "exact" has, at each pixel, the first two log moments of the
            noised data of the label, at any noise level; "fitted" is the one stored with the
            checkpoint, for the checkpoint's process only; "class-averaged" noises the mean image
            of each sample's class (of class i mod C for an unconditional sample i).
        labels: Class of each image, −1 where unconditional.
        guidance: Weight w, from 0 to 1000, of classifier-free guidance; 1 is the conditional score
            itself.
        seed: Seed of every random draw, not negative.
        levels: For the sampler "leap" only: noise levels [N] at which it evaluates the score, in
            place of the grid; `steps` and `noise_level` become N and the first of them. None for
            the grid's, or those of a few-step network; see `resolved`.
        annealing, repeats, step_size, tweedie, tweedie_steps: For the two Langevin samplers only;
            see `samplers.LangevinOptions`.

    Raises:
        ValueError: A name is unknown, or a number is outside its range.
    """

    sampler: SamplerName = "multistep-bridge"
    noise_level: float = 8.0
    mu: float | None = None
    steps: int = 20
    grid: GridName = "karras"
    start: StartName = "exact"
    labels: tuple[int, ...] = (UNCONDITIONAL,) * 16
    guidance: float = 1.0
    seed: int = 0
    annealing: float = 1.0
    repeats: int = 1
    step_size: float | None = None
    tweedie: bool = True
    tweedie_steps: int = 0
    levels: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if self.levels is not None:
            self._take_levels(tuple(self.levels))
        _check_choice("sampler", self.sampler, tuple(SAMPLERS))
        _check_choice("grid", self.grid, get_args(GridName))
        _check_choice("start", self.start, get_args(StartName))
        if not MIN_NOISE_LEVEL <= self.noise_level <= MAX_NOISE_LEVEL:
            raise ValueError(
                f"noise_level must be in [{MIN_NOISE_LEVEL:g}, {MAX_NOISE_LEVEL:g}], "
                f"the range that networks are trained for, got {self.noise_level}."
            )
        if isinstance(self.steps, int) and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {shown(self.steps)}.")
        check_int("steps", self.steps, 1, MAX_STEPS)
        check_int("repeats", self.repeats, 1, MAX_STEPS)
        check_int("tweedie_steps", self.tweedie_steps, 0, MAX_STEPS)
        if not self.labels:
            raise ValueError("labels must name at least one image; −1 means unconditional.")
        check_int("The number of images", len(self.labels), 1, MAX_IMAGES)
        if min(self.labels) < UNCONDITIONAL:
            raise ValueError(f"labels must be −1 or more, got {min(self.labels)}.")
        check_float("guidance", self.guidance, 0, MAX_GUIDANCE)
        if isinstance(self.seed, int) and self.seed < 0:
            raise ValueError(f"seed must not be negative, got {shown(self.seed)}.")
        check_int("seed", self.seed, 0, MAX_SEED)
        _ = self.process, self.langevin  # building them checks mu and the Langevin options
        check_int("The number of score evaluations", self.score_evaluations, 1, MAX_EVALUATIONS)

    def _take_levels(self, levels: tuple[float, ...]) -> None:
        if self.sampler != "leap":
            raise ValueError(f"levels belong to the sampler leap, not to {self.sampler}.")
        check_levels(levels)
        taken = {"levels": levels, "noise_level": levels[0], "steps": len(levels)}
        for name, value in taken.items():
            object.__setattr__(self, name, value)

    @property
    def process(self) -> GeometricBrownianMotion:
        """The forward process: σ = s(T), T = 1."""
        if self.mu is None:
            return GeometricBrownianMotion.median_preserving(self.noise_level)
        return GeometricBrownianMotion(self.mu, self.noise_level)

    @property
    def langevin(self) -> LangevinOptions:
        """The options of the two Langevin samplers."""
        return LangevinOptions(
            self.annealing, self.repeats, self.step_size, self.tweedie, self.tweedie_steps
        )

    @property
    def score_evaluations(self) -> int:
        """Score evaluations of the whole run; `Step.score_evaluations` counts up to this."""
        return evaluations_needed(self.sampler, self.steps, self.langevin)

    @property
    def can_cross(self) -> bool:
        """Whether a coordinate can change its sign."""
        return self.sampler == "unconstrained"

    @property
    def network_evaluations(self) -> int:
        """Network evaluations for one image: under guidance, two for each score evaluation."""
        guided = self.guidance != 1 and max(self.labels) > UNCONDITIONAL
        return self.score_evaluations * (2 if guided else 1)


PRESETS: dict[PresetName, SamplingSettings] = {
    "wide": SamplingSettings(),
    "live": SamplingSettings(sampler="leap", steps=4),
    "paper": SamplingSettings(
        sampler="dale-langevin",
        noise_level=PROCESS.max_noise_level,
        steps=STEPS,
        grid="uniform",
        start="fitted",
        tweedie=False,
    ),
}
"""Settings by purpose; set labels and seed with `dataclasses.replace`.

"wide" gives the best images in few network evaluations; "live" is for few-step networks, which need
one to four; "paper" reproduces arXiv 2510.02730.
"""


def paper_annealed(
    dataset: str, sampler: SamplerName, start: StartName = "fitted"
) -> SamplingSettings:
    """The preset "paper" with the paper's step size, repeats and annealing for `dataset`.

    Raises:
        ValueError: The paper has no constants for this data set and sampler.
    """
    tuned = DATASETS[dataset].annealed_from(start).get(sampler) if dataset in DATASETS else None
    if tuned is None:
        raise ValueError(
            f"The paper has no annealed constants for {dataset!r} with {sampler!r}; it has them "
            f"for {', '.join(sorted(DATASETS))} with {' and '.join(LANGEVIN)}."
        )
    return replace(
        PRESETS["paper"],
        sampler=sampler,
        start=start,
        step_size=tuned.step_size,
        repeats=tuned.repeats,
        annealing=tuned.annealing,
    )


def cycle_labels(classes: Sequence[int], count: int) -> tuple[int, ...]:
    """Repeat `classes` in turn up to `count` labels; no classes means unconditional."""
    return tuple((classes or (UNCONDITIONAL,))[i % max(1, len(classes))] for i in range(count))


def resolved(config: CheckpointConfig, settings: SamplingSettings) -> SamplingSettings:
    """`settings` with the noise levels of a few-step network, where they leave them open.

    Raises:
        ValueError: The network was not distilled for so many steps, or for another sampler.
    """
    if not config.levels:
        return settings
    if settings.sampler != "leap":
        config.check_posterior_mean(settings.sampler)
    if settings.levels is not None:
        return settings
    return replace(settings, levels=config.levels_for(settings.steps, settings.noise_level))


def run(
    checkpoint: Checkpoint, settings: SamplingSettings, *, indices: Sequence[int] | None = None
) -> Iterator[Step]:
    """Sample with a network, on the network's device.

    Args:
        checkpoint: The network with its configuration.
        settings: Settings of the run, resolved and checked against the network here.
        indices: Images of the run in this batch, as positions in `settings.labels`; all of them
            if None. Image i is the same in every batch.

    Returns:
        The sampler's steps, from t = T to t = 0.

    Raises:
        ValueError: As for `check`, or an index is outside the run.
    """
    settings = resolved(checkpoint.config, settings)
    check(checkpoint, settings)
    model, process = checkpoint.model, settings.process
    device = model.class_averages.device
    indices = range(len(settings.labels)) if indices is None else indices
    if not indices or min(indices) < 0 or max(indices) >= len(settings.labels):
        raise ValueError(
            f"indices must be positions of the run's {len(settings.labels)} images: {indices}."
        )
    labels = torch.tensor([settings.labels[i] for i in indices], device=device)
    noise = Noise(settings.seed, indices, model.config.image_shape, device)
    start = _start(checkpoint, settings, labels, indices, noise())
    conditional = labels if (labels > UNCONDITIONAL).any() else None
    score = model.score(process, conditional, settings.guidance)
    grid = _grid(checkpoint, settings)
    if settings.sampler == "dale-langevin":
        return dale_langevin(score, start, process, grid, noise=noise, options=settings.langevin)
    if settings.sampler == "unconstrained":
        return unconstrained(score, start, process, grid, noise=noise, options=settings.langevin)
    return SAMPLERS[settings.sampler](score, start, process, grid, noise=noise)


def _grid(checkpoint: Checkpoint, settings: SamplingSettings) -> Tensor:
    """The times of a run, float64 [N + 1]."""
    process = settings.process
    if settings.levels is None:
        return make_grid(process, settings.grid, settings.steps, checkpoint.config.min_noise_level)
    return process.time(torch.tensor([*settings.levels, 0.0], dtype=torch.float64))


def check(checkpoint: Checkpoint, settings: SamplingSettings) -> None:
    """Check `settings` against a network.

    Raises:
        ValueError: The network has no such class or was never trained at this noise level, its
            fitted start belongs to another process, or the images take more than `MAX_BYTES`.
    """
    classes, own = checkpoint.model.config.num_classes, checkpoint.config.process
    if max(settings.labels) >= classes:
        raise ValueError(
            f"Label {max(settings.labels)} is not one of this network's classes; "
            f"choose from 0 to {classes - 1}, or −1 for unconditional."
        )
    checkpoint.config.check_noise_level(settings.noise_level)
    size = len(settings.labels) * math.prod(checkpoint.config.network.image_shape)
    if size > MAX_BYTES:
        raise ValueError(
            f"{len(settings.labels):,} images of this network take {size / 2**30:,.0f} GiB, more "
            f"than {MAX_BYTES >> 30}; sample fewer at a time, each time with another seed."
        )
    if settings.start == "fitted" and settings.process != own:
        raise ValueError(
            f"The fitted start of this network belongs to noise level {own.sigma:g} and "
            f"μ = {own.mu:g}; use these, or the exact start."
        )


def sample_images(
    checkpoint: Checkpoint,
    settings: SamplingSettings,
    *,
    batch_size: int,
    watch: Watch | None = None,
    indices: Sequence[int] | None = None,
) -> NDArray[np.uint8]:
    """Sample the images of a run, uint8 [N, H, W, C], `batch_size` at a time.

    Args:
        watch: Called with every step of every batch.
        indices: Images to sample, as positions in `settings.labels`; all of them if None.

    Raises:
        ValueError: As for `run`, or batch_size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    indices = range(len(settings.labels)) if indices is None else indices
    pixels = checkpoint.config.positive_map.pixels
    parts = []
    for first in range(0, len(indices), batch_size):
        batch = indices[first : first + batch_size]
        x = last_state(run(checkpoint, settings, indices=batch), watch)
        parts.append(pixels(x.abs()).permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(parts)


def _start(
    checkpoint: Checkpoint,
    settings: SamplingSettings,
    labels: Tensor,
    indices: Sequence[int],
    z: Tensor,
) -> Tensor:
    """Draw X_T [B, C, H, W] from standard normals `z` of that shape."""
    process, config = settings.process, checkpoint.config
    if settings.start == "class-averaged":
        averages = checkpoint.model.class_averages
        own = torch.tensor(list(indices), device=labels.device) % len(averages)
        return class_averaged_start(process, averages, torch.where(labels < 0, own, labels), z)
    if settings.start == "fitted":
        return config.start.sample(z)
    horizon = torch.tensor(process.horizon, dtype=torch.float64, device=z.device)
    mean, spread = checkpoint.model.noised_moments(labels, process.noise_level(horizon))
    return torch.exp(mean + process.log_drift(horizon) + spread * z)
