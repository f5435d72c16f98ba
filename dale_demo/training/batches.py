"""Batches of images, labels, times and noise, all drawn from (seed, step)."""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from dale_demo import paper
from dale_demo.augmentation import augmented
from dale_demo.data import Dataset
from dale_demo.network import MAX_NOISE_LEVEL, MIN_NOISE_LEVEL
from dale_demo.noise import seeds_of
from dale_demo.training.config import TrainingConfig


@dataclass(frozen=True)
class Draws:
    """What distribution matching draws beside a batch.

    Args:
        levels: Standard normals of the noise levels for the partner and for the student [B, 2].
        z: Standard normals [B, N + 1, C, H, W]: between the N leaps, then for the student's images
            and for the partner's.
    """

    levels: Tensor
    z: Tensor


NO_DRAWS = Draws(torch.empty(0), torch.empty(0))


@dataclass(frozen=True)
class Batch:
    """What the losses of a step are made of.

    Args:
        x0: Positive images [B, C, H, W].
        labels: Class of each, −1 where there is none [B].
        t: Times [B] of `paper.PROCESS`.
        z: Standard normals [B, C, H, W].
        step, steps: Of the run: those taken before, and all.
        draws: What distribution matching needs besides.
    """

    x0: Tensor
    labels: Tensor
    t: Tensor
    z: Tensor
    step: int
    steps: int
    draws: Draws = NO_DRAWS

    @property
    def progress(self) -> float:
        """Share of the run before this step, in [0, 1)."""
        return self.step / self.steps


def matching_draws(shape: torch.Size, config: TrainingConfig, step: int) -> Draws:
    """Draw `Draws` of `step` for all processes, on the CPU; `shape` is that of z in the batch."""
    size, *image = shape
    generator = torch.Generator().manual_seed(seeds_of(config.seed, [MATCHING_STREAM + step])[0])
    levels = torch.randn((size, 2), generator=generator)
    z = torch.randn((size, len(config.levels[0]) + 1, *image), generator=generator)
    return Draws(levels, z)


def global_batch(data: Dataset, config: TrainingConfig, step: int) -> tuple[Tensor, ...]:
    """x₀ [B, C, H, W], labels [B], t [B], z [B, C, H, W] of `step`, for all processes; on the CPU.

    x₀, t and z are float64, so that a score, which divides by s², keeps its precision at low noise
    levels. Labels are −1, the null class, where they were dropped.
    """
    size = config.batch_size
    epoch, index = divmod(step, len(data) // size)
    rows = _permutation(config.seed, epoch, len(data))[index * size : (index + 1) * size]
    generator = torch.Generator().manual_seed(seeds_of(config.seed, [step])[0])
    t = _times(config, generator)
    dropped = torch.rand(size, generator=generator) < config.label_dropout
    z = torch.randn((size, *data.images.shape[1:]), generator=generator)
    batch = data[rows]
    if config.augment:
        batch = replace(batch, images=augmented(batch.images, config.augment, generator))
    labels = torch.where(dropped, -1, batch.labels)
    return batch.positive().double(), labels, t, z.double()


def _times(config: TrainingConfig, generator: torch.Generator) -> Tensor:
    """Times t [B], float64, at which the recipe learns."""
    size = config.batch_size
    if config.recipe == "paper":
        t = 1 - torch.rand(size, generator=generator, dtype=torch.float64)
        return (t * paper.PROCESS.horizon).clamp_min((MIN_NOISE_LEVEL / paper.PROCESS.sigma) ** 2)
    normal = torch.randn(size, generator=generator, dtype=torch.float64)
    log_s = config.log_noise_mean + config.log_noise_std * normal
    return paper.PROCESS.time(log_s.exp().clamp(MIN_NOISE_LEVEL, MAX_NOISE_LEVEL))


MATCHING_STREAM = 2**48
"""Random stream of the first step's `Draws`; those of batches and epochs lie below."""


@lru_cache(maxsize=1)
def _permutation(seed: int, epoch: int, size: int) -> Tensor:
    """The order of an epoch, cached for the steps within it.

    Seeds of epochs start at 2³², above those of any step, so that the two never share a seed.
    """
    generator = torch.Generator().manual_seed(seeds_of(seed, [2**32 + epoch])[0])
    return torch.randperm(size, generator=generator)
