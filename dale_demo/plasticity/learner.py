"""One learning rule and its copy of the network, trained on the batches that every rule sees."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from dale_demo.noise import seeds_of
from dale_demo.plasticity.rules import (
    ExponentiatedAdam,
    ExponentiatedGradient,
    SignConstrainedSGD,
)
from dale_demo.plasticity.sign_preserving import NonFiniteGradientError
from dale_demo.plasticity.tasks import Examples, Problem, Task, weight_parameters

RuleName = Literal["eg", "gd", "sign-constrained", "eg-adam", "adam"]
OPTIMIZERS: dict[RuleName, Callable[..., Optimizer]] = {
    "eg": ExponentiatedGradient,
    "gd": SGD,
    "sign-constrained": SignConstrainedSGD,
    "eg-adam": ExponentiatedAdam,
    "adam": Adam,
}

ORDER_STREAM, CORRUPTION_STREAM = 2**32, 2**34
"""Random streams of the first epoch's order and of what is drawn for the first batch; tasks draw
their data from streams below both."""


class DivergedError(ValueError):
    """A rule's weights or losses are no longer finite: its learning rate is too high."""


@dataclass(frozen=True)
class Rule:
    """A learning rule and its settings.

    Args:
        name: A key of `OPTIMIZERS`.
        learning_rate: η > 0; searched where left out.
        options: Further arguments of the optimiser, such as momentum or weight_decay.

    Raises:
        ValueError: The name is unknown or the rate is not positive and finite.
    """

    name: RuleName
    learning_rate: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in OPTIMIZERS:
            raise ValueError(f"Unknown rule {self.name!r}; use one of {', '.join(OPTIMIZERS)}.")
        rate = self.learning_rate
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"learning_rate must be positive and finite, got {rate}.")

    def optimizer(self, model: nn.Module) -> Optimizer:
        """Make the rule's optimiser for the parameters of `model`."""
        return OPTIMIZERS[self.name](model.parameters(), lr=self.learning_rate, **self.options)


class Learner:
    """One rule and its copy of the network.

    Args:
        label: Name of the rule in error messages.
        rule: With its learning rate.
        problem: Start and losses.

    Attributes:
        model: The network as it is now.
        steps: Updates so far.
        cumulative_loss: Sum of the losses of all examples so far, each before it was learned [].
    """

    def __init__(self, label: str, rule: Rule, problem: Problem):
        self.label, self.rule, self.problem = label, rule, problem
        self.model = copy.deepcopy(problem.start)
        self.optimizer = rule.optimizer(self.model)
        self.steps = 0
        device = problem.train.targets.device
        # float64, because a float32 sum over 10⁵ examples loses its last digits.
        self.cumulative_loss = torch.zeros((), dtype=torch.float64, device=device)

    def learn(self, batch: Examples) -> None:
        """Make one update.

        Raises:
            DivergedError: A gradient is not finite.
        """
        self.optimizer.zero_grad()
        losses = self.problem.losses(self.model(batch.inputs), batch.targets)
        losses.mean().backward()
        try:
            self.optimizer.step()
        except NonFiniteGradientError as error:
            raise self.diverged() from error
        self.steps += 1
        self.cumulative_loss += losses.detach().sum()

    def diverged(self) -> DivergedError:
        """The error to raise when this learner's numbers are no longer finite."""
        return DivergedError(
            f"{self.label} diverged within {self.steps + 1} steps at learning rate "
            f"{self.rule.learning_rate:g}; lower it."
        )


def batches(problem: Problem, examples: Examples, task: Task, seed: int) -> Iterator[Examples]:
    """Yield the batches of a whole run: shuffled each epoch, unless the task is online.

    Order and corruption depend on the task and the seed alone, so they are the same for every rule.
    """
    step = 0
    for epoch in range(task.epochs):
        if task.online or task.batch_size >= len(examples):
            rows = torch.arange(len(examples))
        else:
            generator = torch.Generator().manual_seed(seeds_of(seed, [ORDER_STREAM + epoch])[0])
            rows = torch.randperm(len(examples), generator=generator)
        for chunk in rows.split(task.batch_size):
            batch = examples[chunk.to(examples.targets.device)]
            yield problem.shown(batch, seed, CORRUPTION_STREAM + step)
            step += 1


@torch.no_grad()
def evaluate(model: nn.Module, problem: Problem, examples: Examples) -> tuple[float, float | None]:
    """Measure the mean loss and, for classes, the accuracy in [0, 1] of `model` on `examples`."""
    outputs = model(examples.inputs)
    loss = problem.losses(outputs, examples.targets).double().mean().item()
    if problem.hits is None:
        return loss, None
    return loss, problem.hits(outputs, examples.targets).double().mean().item()


def flat_weights(model: nn.Module) -> Tensor:
    """Copy all weights, without the biases, into one vector [W]."""
    return torch.cat([p.detach().flatten() for p in weight_parameters(model).values()])
