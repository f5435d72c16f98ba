"""Batches of images, labels, times and noise, all drawn from (seed, step)."""

from functools import lru_cache

import torch
from torch import Tensor

from dale_demo import paper
from dale_demo.data import Dataset
from dale_demo.network import MAX_NOISE_LEVEL, MIN_NOISE_LEVEL
from dale_demo.noise import seeds_of
from dale_demo.training.config import TrainingConfig


def global_batch(data: Dataset, config: TrainingConfig, step: int) -> tuple[Tensor, ...]:
    """x₀ [B, C, H, W], labels [B], t [B], z [B, C, H, W] of `step`, for all processes; on the CPU.

    x₀, t and z are float64, so that a score, which divides by s², keeps its precision at low noise
    levels. Labels are −1, the null class, where they were dropped.
    """
    size = config.batch_size
    epoch, index = divmod(step, len(data) // size)
    rows = _permutation(config.seed, epoch, len(data))[index * size : (index + 1) * size]
    generator = torch.Generator().manual_seed(seeds_of(config.seed, [step])[0])
    log_s = config.log_noise_mean + config.log_noise_std * torch.randn(
        size, generator=generator, dtype=torch.float64
    )
    dropped = torch.rand(size, generator=generator) < config.label_dropout
    z = torch.randn((size, *data.images.shape[1:]), generator=generator)
    t = paper.PROCESS.time(log_s.exp().clamp(MIN_NOISE_LEVEL, MAX_NOISE_LEVEL))
    batch = data[rows]
    labels = torch.where(dropped, -1, batch.labels)
    return batch.positive().double(), labels, t, z.double()


@lru_cache(maxsize=1)
def _permutation(seed: int, epoch: int, size: int) -> Tensor:
    """The order of an epoch, cached for the steps within it.

    Seeds of epochs start at 2³², above those of any step, so that the two never share a seed.
    """
    generator = torch.Generator().manual_seed(seeds_of(seed, [2**32 + epoch])[0])
    return torch.randperm(size, generator=generator)
