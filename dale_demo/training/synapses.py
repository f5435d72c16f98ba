"""The synapses of a network: how they start, what moves them, and what a run has done to them.

A synapse is a number of any tensor of two or more dimensions: of the convolutions, the linear maps
and the embedding of the labels. The rest are biases and the gains of norms, which have to cross
zero; under exponentiated gradient Adam moves them. `plasticity.Split` would let EG do so too, at
the price of two numbers for each and of a network of another shape than its additive twin's.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from dale_demo.network import Denoiser
from dale_demo.plasticity.layers import half_normal_, log_normal_
from dale_demo.plasticity.rules import ExponentiatedAdam
from dale_demo.training.config import TrainingConfig
from dale_demo.weights.tensors import NamedTensor, of_arrays

if TYPE_CHECKING:
    from dale_demo.plasticity.layers import Magnitudes, Signs

Weights = Mapping[str, Tensor]

ZERO_GAIN = 0.1
"""Gain of a layer that PyTorch's own start leaves at zero, where no multiplication could move it.

Small, so that a residual block still begins close to the identity.
"""


MEASURED = ("log_mean", "log_std", "log_skew", "ks_log_normal", "ks_normal")
"""What is recorded of a distribution of weights; see `weights.report.Layer`."""


def synapses(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of two or more dimensions, by name."""
    return {name: p for name, p in model.named_parameters() if p.ndim >= 2}


def copied(weights: Weights) -> dict[str, Tensor]:
    """Copies of weights on the CPU, which training does not move."""
    return {name: w.detach().cpu().clone() for name, w in weights.items()}


@torch.no_grad()
def draw_synapses(
    model: Denoiser, magnitudes: "Magnitudes", signs: "Signs", generator: torch.Generator
) -> None:
    """Draw the synapses of a new network anew, in place.

    Each tensor keeps the mean square of PyTorch's own start, or gets `ZERO_GAIN`²/fan_in where
    that is zero. A label is a presynaptic unit, its embedding the weights that go out from it.

    Args:
        magnitudes: Distribution of |w|.
        signs: See `log_normal_`.
        generator: Source of the draws, on the CPU.
    """
    fill = {"log-normal": log_normal_, "half-normal": half_normal_}[magnitudes]
    for weight in synapses(model).values():
        outgoing = weight.T if weight is model.unet.embed.label.weight else weight
        fan_in = outgoing.numel() // len(outgoing)
        gain = math.sqrt(fan_in * weight.square().mean().item()) or ZERO_GAIN
        fill(outgoing, gain=gain, signs=signs, generator=generator)


def optimizers(model: nn.Module, config: TrainingConfig) -> list[Optimizer]:
    """The optimisers of the rule in `config`; each group's peak rate is its "initial_lr"."""
    if config.rule == "adam":
        return [_with_peak(_adam(model.parameters(), config, config.learning_rate))]
    moved = synapses(model)
    rest = [p for name, p in model.named_parameters() if name not in moved]
    return [
        _with_peak(ExponentiatedAdam(moved.values(), lr=config.synapse_rate)),
        _with_peak(_adam(rest, config, config.learning_rate)),
    ]


def partner_optimizer(partner: nn.Module, config: TrainingConfig) -> Optimizer:
    """The optimiser of a network that is trained beside; it has to keep up with the student."""
    return _with_peak(_adam(partner.parameters(), config, 2 * config.learning_rate))


def _adam(parameters: Iterable[nn.Parameter], config: TrainingConfig, rate: float) -> Adam:
    # Two networks that chase each other are slowed by momentum.
    betas = (0.0, 0.99) if config.recipe == "matching" else (0.9, 0.999)
    return Adam(parameters, lr=rate, betas=betas, fused=True)


def _with_peak(optimizer: Optimizer) -> Optimizer:
    for group in optimizer.param_groups:
        group["initial_lr"] = group["lr"]
    return optimizer


def sign_changes(start: Weights, end: Weights) -> int:
    """How many weights have another sign than at the start; one that started at zero has none."""
    pairs = ((w, end[name].detach().cpu()) for name, w in start.items())
    return sum(int(((w != 0) & (w.sign() != now.sign())).sum()) for w, now in pairs)


def synapse_record(drawn: nn.Module, trained: nn.Module) -> dict[str, Any]:
    """What training has done to the synapses, for config.json and the card.

    Args:
        drawn, trained: The network before the first step of its first run, and after the last.

    Returns:
        "count" of the synapses, and "others", the other parameters; "signed", how many synapses had
        a sign at the start, and "changed_sign", how many of these have another; "start" and "end",
        each with `MEASURED` of all synapses; "layers", and "layers_log_normal", how many of them
        are nearer to log-normal than to normal at the end; "change", the Kolmogorov–Smirnov
        distance from normal of the change of ∇φ(w), by φ, and "nearest", the φ of the rule. What
        cannot be fitted is left out.
    """
    from dale_demo.weights.analyse import analyse  # they need scipy, at the end of a run alone
    from dale_demo.weights.change import compare
    from dale_demo.weights.change_report import POTENTIALS

    before, after = (analyse(tensors_of(network)) for network in (drawn, trained))
    change = compare(tensors_of(drawn), tensors_of(trained)).whole
    record: dict[str, Any] = {
        "count": after.whole.count,
        "others": after.others,
        "signed": change.signed,
        "changed_sign": change.flipped,
        "layers": len(after.layers),
        "layers_log_normal": after.nearer_log_normal,
    }
    if before.whole.fitted and after.whole.fitted:
        for name, report in (("start", before), ("end", after)):
            record[name] = {number: getattr(report.whole, number) for number in MEASURED}
    if change.used:
        record["change"] = dict(zip(POTENTIALS, change.ks, strict=True))
        record["nearest"] = change.nearest
    return record


def tensors_of(network: nn.Module) -> Iterator[NamedTensor]:
    """The parameters of a network as `weights` reads them."""
    return of_arrays({name: p.detach().cpu().numpy() for name, p in network.named_parameters()})
