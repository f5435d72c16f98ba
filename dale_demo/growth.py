"""A wider network that says what a narrower one says, and learns on from there.

Each channel of the wider one is a copy of one of the narrower's, and the weights that leave the
copies share out what left the original (Net2Net, Chen et al. 2016, arXiv 1511.05641). Shares are
drawn at random, without which copies would learn the same and stay copies.
"""

import math

import torch
from torch import Tensor

from dale_demo.network import GROUPS, MAX_NOISE_LEVEL, MIN_NOISE_LEVEL, Embedding, UNet

SPREAD = 0.5
"""How far a share may lie from its mean, relative to it, before the shares are made to sum to 1."""


@torch.no_grad()
def widen(narrow: UNet, wide: UNet, generator: torch.Generator) -> None:
    """Fill `wide`, which differs from `narrow` in nothing but its width, with its weights.

    The two then say the same if the one width is a multiple of the other and an attention's heads
    are as wide in both; otherwise only roughly, since a group norm then counts some channels more
    often than others.

    Args:
        generator: Of the shares, on the CPU.
    """
    for name, parameter in wide.named_parameters():
        inputs, outputs = _pieces(name.rpartition(".")[0])
        trained = narrow.get_parameter(name)
        values = trained[originals(len(trained), len(parameter), outputs)]
        if values.dim() > 1:
            columns = originals(values.shape[1], parameter.shape[1], inputs)
            values = _shared_out(values, columns, generator)
        parameter.copy_(values)
    _refit(narrow.embed, wide.embed)


def originals(narrow: int, wide: int, pieces: int) -> Tensor:
    """Which of `narrow` channels each of `wide` is a copy of, int64 [wide].

    Both fall into as many `pieces`, each filled from its own: so the groups of a norm keep their
    law, and tensors that lie side by side stay apart.
    """
    if narrow == wide:
        return torch.arange(wide)
    here, there = narrow // pieces, wide // pieces
    return (here * torch.arange(pieces)[:, None] + torch.arange(there) % here).flatten()


def _pieces(name: str) -> tuple[int, int]:
    """Into how many pieces the inputs and the outputs of a layer fall."""
    layer = name.rpartition(".")[-1]
    if layer == "qkv":
        return GROUPS, 3  # queries, keys and values: heads are copied whole
    if name == "middle.1.out":
        return 1, GROUPS
    if layer == "modulation":
        return GROUPS, 2 * GROUPS  # scale and shift
    if name.startswith("up.") and layer == "norm1":
        return 2 * GROUPS, 2 * GROUPS  # from below and across
    if name.startswith("up.") and layer in ("conv1", "skip"):
        return 2 * GROUPS, GROUPS
    return GROUPS, GROUPS


def _shared_out(weight: Tensor, columns: Tensor, generator: torch.Generator) -> Tensor:
    """Weights [out, in, …] for the copies `columns` [in′] of the inputs: they add up as before."""
    shares = 1 + SPREAD * (2 * torch.rand(len(weight), len(columns), generator=generator) - 1)
    totals = torch.zeros(weight.shape[:2]).index_add(1, columns, shares)
    shares = shares / totals[:, columns]
    return weight[:, columns] * shares.reshape(*shares.shape, *[1] * (weight.dim() - 2))


def _refit(narrow: Embedding, wide: Embedding, ridge: float = 1e-4) -> None:
    """Have other frequencies say the same of a noise level, by least squares over its range.

    Labels, which are inputs of another kind, are copied and not shared out.
    """
    rows = originals(len(narrow.hidden.bias), len(wide.hidden.bias), GROUPS)
    wide.label.weight.copy_(narrow.label.weight[:, rows])
    ends = math.log(MIN_NOISE_LEVEL) / 4, math.log(MAX_NOISE_LEVEL) / 4
    noise = torch.linspace(*ends, 2000, dtype=torch.float64)
    before, waves = (embed.waves(noise) for embed in (narrow, wide))
    said = before @ narrow.hidden.weight.T.double()
    normal = waves.T @ waves / len(noise) + ridge * torch.eye(waves.shape[1])
    weight = torch.linalg.solve(normal, waves.T @ said / len(noise))
    wide.hidden.weight.copy_(weight.T[rows])
