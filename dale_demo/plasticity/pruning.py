"""Pruning: the accuracy of a trained network without its smallest weights."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn.utils import prune

from dale_demo.plasticity.tasks import weight_parameters

SHARES = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)


def pruned(model: nn.Module, share: float) -> nn.Module:
    """Copy `model` with the smallest `share` ∈ [0, 1) of all its weights' magnitudes set to zero.

    Biases are left alone.

    Raises:
        ValueError: The share is outside [0, 1).
    """
    if not 0 <= share < 1:
        raise ValueError(f"The share to prune must be in [0, 1), got {share}.")
    model = copy.deepcopy(model)
    slots = [
        (model.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2])
        for name in weight_parameters(model)
    ]
    # One threshold for all layers: by layer, a layer of large weights would lose as many as others.
    prune.global_unstructured(slots, pruning_method=prune.L1Unstructured, amount=float(share))
    for module, name in slots:
        prune.remove(module, name)
    return model


@torch.no_grad()
def pruning_curve(
    model: nn.Module, score: Callable[[nn.Module], float], shares: Sequence[float] = SHARES
) -> list[float]:
    """Compute the score, for instance the test accuracy, of `model` at each share pruned."""
    return [score(pruned(model, share)) for share in shares]
