"""Standard normal noise from one generator per sample."""

from collections.abc import Iterable

import torch
from torch import Tensor


def seeds_of(seed: int, indices: Iterable[int]) -> list[int]:
    """Mix a run's seed with each sample's index into 64-bit seeds.

    PyTorch's CPU generator reads the low 32 bits of each, so two of n samples share their noise
    with probability about n²/2³³: one run in eighty of 10,000 samples has such a pair.
    """
    from numpy.random import SeedSequence

    return [int(SeedSequence((seed, i)).generate_state(1, "uint64")[0]) for i in indices]


class Noise:
    """Standard normal noise from one generator per sample.

    Sample *i* draws the same numbers alone as in any batch, and the same on CPU and GPU: the
    draws are made on the CPU and copied without waiting for the device.

    Args:
        seed: Seed of the run, non-negative.
        indices: Index of each sample in the run; their count is the batch size B.
        shape: Shape of one sample.
        device: Where the noise goes.
    """

    def __init__(
        self,
        seed: int,
        indices: Iterable[int],
        shape: Iterable[int],
        device: torch.device | str = "cpu",
    ):
        if seed < 0:
            raise ValueError(f"The seed must not be negative, got {seed}.")
        self._generators = [torch.Generator().manual_seed(s) for s in seeds_of(seed, indices)]
        self._shape = tuple(shape)
        self._device = torch.device(device)

    def __call__(self) -> Tensor:
        """Draw the next z ~ N(0, I), float64 [B, *shape]."""
        pinned = self._device.type == "cuda"
        z = torch.empty((len(self._generators), *self._shape), pin_memory=pinned)
        for row, generator in zip(z, self._generators, strict=True):
            row.normal_(generator=generator)
        return z.to(self._device, non_blocking=True).double()
