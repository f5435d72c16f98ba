"""Averages of a run: of its weights, and of its loss."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

Tensors = tuple[Tensor, ...] | list[Tensor]


def ema_update(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """The update of an exponential average of weights, for torch's `AveragedModel`.

    Of n steps it averages over about the last n/10 at first, and over 1/(1 − `decay`) at most, so
    that a short run forgets its start as well as a long one does.
    """

    @torch.no_grad()
    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        share = (9 / (10 + torch.as_tensor(count))).clamp_min(1 - decay)
        torch._foreach_lerp_(averaged, current, [share] * len(averaged))

    return update


def thinned(curve: list[tuple[int, float]], points: int = 100) -> list[tuple[int, float]]:
    """Average neighbours of a curve until at most `points` remain."""
    width = math.ceil(len(curve) / points)
    chunks = [curve[i : i + width] for i in range(0, len(curve), width or 1)]
    return [(c[-1][0], round(sum(loss for _, loss in c) / len(c), 5)) for c in chunks]
