"""Standard normal noise from one generator per sample."""

from collections.abc import Iterable

import torch
from torch import Tensor


def seeds_of(seed: int, indices: Iterable[int]) -> list[int]:
    """Mix a run's seed with each sample's index into 64-bit seeds.

    PyTorch's CPU generator reads the low 32 bits of each, so some two of n samples share their
    noise with probability about n²/2³³: about one run in eighty, for runs of 10,000 samples.
    """
    # Not seed + index: consecutive runs would then share all but one of their samples' noise.
    from numpy.random import SeedSequence

    return [int(SeedSequence((seed, i)).generate_state(1, "uint64")[0]) for i in indices]


class Noise:
    """Standard normal noise from one generator per sample.

    Sample *i* gets the same numbers alone as in any batch, and the same on CPU and GPU: they are
    drawn on the CPU and copied to the device without waiting for it.

    Args:
        seed: Seed of the run, not negative.
        indices: Index of each sample in the run; their number is the batch size B.
        shape: Shape of one sample.
        device: Device of the noise.

    Raises:
        ValueError: `seed` is negative.
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
        # Only a copy from pinned memory is asynchronous; from other memory it waits for the GPU.
        pinned = self._device.type == "cuda"
        z = torch.empty((len(self._generators), *self._shape), pin_memory=pinned)
        # One generator per sample and one draw per row: a draw of the whole batch from a single
        # generator would make each sample depend on its place and on the batch size.
        for row, generator in zip(z, self._generators, strict=True):
            row.normal_(generator=generator)
        return z.to(self._device, non_blocking=True).double()
