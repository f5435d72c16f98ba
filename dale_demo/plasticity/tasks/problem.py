"""What a task makes of a seed: data, start and losses; and how its weights are found again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dale_demo.plasticity.layers import Split
from dale_demo.plasticity.tasks.shared import generator_of


@dataclass(frozen=True)
class Examples:
    """Inputs [N, …] and targets [N] or [N, …], on one device."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, rows: Tensor | slice) -> "Examples":
        return Examples(self.inputs[rows], self.targets[rows])

    def to(self, device: torch.device | str) -> "Examples":
        return Examples(self.inputs.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Problem:
    """Data, start and losses: what a task makes of a seed.

    Args:
        train, validation, test: Disjoint samples; rates are chosen on `validation` alone.
        start: The network that every rule begins with a copy of.
        losses: (outputs, targets) → the loss of each example [B].
        hits: (outputs, targets) → whether each example is right [B]; None for regression.
        relevant: Which inputs matter, bool [inputs]; None where that has no meaning.
        corrupt: (examples, generator) → what a network is shown of training examples, drawn anew
            for each batch; None where it is shown the examples themselves. The other two samples
            hold what is shown.
        draw: Network → images uint8 [P, H, W] that it draws, always from the same noise; None
            where a network draws nothing.
    """

    train: Examples
    validation: Examples
    test: Examples
    start: nn.Module
    losses: Callable[[Tensor, Tensor], Tensor]
    hits: Callable[[Tensor, Tensor], Tensor] | None = None
    relevant: Tensor | None = None
    corrupt: Callable[[Examples, torch.Generator], Examples] | None = None
    draw: Callable[[nn.Module], Tensor] | None = None

    def shown(self, examples: Examples, seed: int, stream: int) -> Examples:
        """What a network is shown of training examples; one seed and stream show the same."""
        if self.corrupt is None:
            return examples
        return self.corrupt(examples, generator_of(seed, stream))


class Task(Protocol):
    """Settings that define problems.

    Attributes:
        epochs: Passes over the training examples.
        batch_size: Examples a step.
        online: One pass in the order drawn, scored by the losses during training.
        rates: A first guess of each rule's learning rate, at which a search starts.
    """

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def online(self) -> bool: ...
    @property
    def rates(self) -> dict[str, float]: ...
    def build(self, seed: int) -> Problem: ...


def weight_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of a model by name: all its parameters but the biases."""
    return {name: p for name, p in model.named_parameters() if "bias" not in name}


def relevant_share(model: nn.Module, relevant: Tensor) -> Tensor:
    """Compute the share of Σ|w| on the relevant inputs [inputs] of a one-layer model, in [0, 1]."""
    weight: Any = model.weight
    magnitude = (weight() if isinstance(weight, Split) else weight).detach().abs()
    return magnitude[relevant].sum() / magnitude.sum()
