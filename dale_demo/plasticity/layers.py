"""Layers for learning without sign changes: log-normal starts, split parameters, Dale columns."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Signs = Literal["columns", "random"]
Magnitudes = Literal["log-normal", "half-normal"]

GAIN = math.sqrt(2)
"""Keeps the second moment through a rectifier (He et al., 2015)."""
RATIO = 1.5
"""Mean over standard deviation of |w|, the choice of Cornford et al. (2024)."""
BIAS_SCALE = 0.1
"""Start of b⁺ and −b⁻: what EG can change in a few steps, since its steps are relative."""


def log_normal_parameters(
    fan_in: int, gain: float = GAIN, ratio: float = RATIO
) -> tuple[float, float]:
    """Compute mean and standard deviation of ln|w| at the start, for `fan_in` inputs.

    |w| has standard deviation gain/√fan_in/√(1 + ratio²) and mean ratio times that, so that
    E w² = gain²/fan_in as in the usual normal start, whatever the ratio.

    Raises:
        ValueError: fan_in < 1, or gain or ratio is not positive and finite.
    """
    if fan_in < 1:
        raise ValueError(f"A layer needs at least one input, got {fan_in}.")
    for name, value in (("gain", gain), ("ratio", ratio)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive and finite, got {value}.")
    mean = ratio * gain / math.sqrt(fan_in * (1 + ratio**2))
    variance = math.log1p(1 / ratio**2)
    return math.log(mean) - variance / 2, math.sqrt(variance)


@torch.no_grad()
def log_normal_(
    weight: Tensor,
    *,
    gain: float = GAIN,
    ratio: float = RATIO,
    signs: Signs = "random",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill `weight` [out, in, …] in place with log-normal magnitudes and the signs asked for.

    Args:
        weight: Of a linear layer or a convolution; all dimensions but the first are the fan-in.
        gain, ratio: See `log_normal_parameters`.
        signs: "columns": one random sign per input unit, all of whose outgoing weights share it
            (Dale's law for neurons); "random": one per weight.
        generator: Source of the draws, on the CPU.

    Raises:
        ValueError: Fewer than two dimensions, unknown signs, or settings outside their domain.
    """
    log_mean, log_std = log_normal_parameters(_fan_in(weight), gain, ratio)
    magnitude = torch.exp(log_mean + log_std * torch.randn(weight.shape, generator=generator))
    return weight.copy_(magnitude * _draw_signs(signs, weight.shape, generator))


@torch.no_grad()
def half_normal_(
    weight: Tensor,
    *,
    gain: float = GAIN,
    signs: Signs = "random",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill `weight` as `log_normal_` does, with |w| = gain/√fan_in times |a normal number|.

    With random signs, w is then normal as usual; E w² is that of `log_normal_`.
    """
    normal = torch.randn(weight.shape, generator=generator)
    scale = gain / math.sqrt(_fan_in(weight))
    return weight.copy_(scale * normal.abs() * _draw_signs(signs, weight.shape, generator))


def _fan_in(weight: Tensor) -> int:
    if weight.ndim < 2 or weight.numel() == 0:
        raise ValueError(f"Expected weights [out, in, …], none empty, got {tuple(weight.shape)}.")
    return weight.numel() // len(weight)


def _draw_signs(signs: Signs, shape: torch.Size, generator: torch.Generator | None) -> Tensor:
    if signs not in ("columns", "random"):
        raise ValueError(f'signs must be "columns" or "random", got {signs!r}.')
    if signs == "columns":
        shape = torch.Size([1, shape[1], *[1] * len(shape[2:])])
    return 2.0 * torch.randint(0, 2, shape, generator=generator) - 1


class Split(nn.Module):
    """A tensor that may cross zero, made of two parts that never do: w = w⁺ + w⁻.

    Under a rule that keeps signs the sum can still take any value. This is the EG± of Kivinen and
    Warmuth (1997) for weights, and what a bias needs. Plain gradient descent moves both parts
    alike, so on a split tensor with rate η it is gradient descent on w with rate 2η.

    Args:
        shape: Of the sum.
        scale: Both parts start at this magnitude, > 0, so that the sum starts at zero.

    Attributes:
        parts: [2, *shape], the first positive, the second negative at the start.

    Raises:
        ValueError: The shape is empty, or scale is not positive and finite.
    """

    def __init__(self, shape: tuple[int, ...], scale: float):
        super().__init__()
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"scale must be positive and finite, got {scale}.")
        if math.prod(shape) < 1:
            raise ValueError(f"A split tensor needs at least one element, got shape {shape}.")
        start = torch.full(shape, scale)
        self.parts = nn.Parameter(torch.stack([start, -start]))

    def forward(self) -> Tensor:
        """w⁺ + w⁻, [*shape]."""
        return self.parts[0] + self.parts[1]


class SplitLinear(nn.Module):
    """x [B, inputs] → x·(w⁺ + w⁻) [B], with every part at `scale` at the start (EG±)."""

    def __init__(self, inputs: int, scale: float):
        super().__init__()
        self.weight = Split((inputs,), scale)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight()


class DaleLinear(nn.Module):
    """A linear layer x [B, inputs] → [B, outputs] that starts log-normal, with a split bias.

    With signs="columns" every input unit is excitatory or inhibitory: all its outgoing weights
    share one sign. The layer does not enforce it: a rule that keeps signs needs no projection.

    Args:
        inputs, outputs: Units, at least one each.
        gain, ratio, signs, generator: See `log_normal_`.

    Attributes:
        weight: [outputs, inputs].

    Raises:
        ValueError: An empty layer, or settings outside their domain.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        gain: float = GAIN,
        ratio: float = RATIO,
        signs: Signs = "columns",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        start = torch.empty(outputs, inputs)
        log_normal_(start, gain=gain, ratio=ratio, signs=signs, generator=generator)
        self.weight = nn.Parameter(start)
        self.bias = Split((outputs,), scale=BIAS_SCALE)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias())
