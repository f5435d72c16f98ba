"""What several tasks share: their generator, coins, and the checks of their settings."""

import torch
from torch import Tensor

from dale_demo.noise import seeds_of


def generator_of(seed: int, stream: int = 0) -> torch.Generator:
    """Make the generator of a random stream of a seed."""
    return torch.Generator().manual_seed(seeds_of(seed, [stream])[0])


def coins(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw −1 or 1 with equal probability."""
    return 2.0 * torch.randint(0, 2, shape, generator=generator) - 1


def require_counts(task: object, *names: str) -> None:
    """Raise ValueError unless each of these settings is a whole number of at least 1."""
    for name in names:
        value = getattr(task, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")


def require_at_most(task: object, smaller: str, larger: str) -> None:
    """Raise ValueError if the setting `smaller` is above the setting `larger`."""
    low, high = getattr(task, smaller), getattr(task, larger)
    if low > high:
        raise ValueError(f"{smaller} must be at most {larger} ({high}), got {low}.")
