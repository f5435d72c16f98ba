"""r of k: a point neuron finds the few relevant inputs among many."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dale_demo.plasticity.tasks.problem import Examples, Problem
from dale_demo.plasticity.tasks.shared import generator_of, require_at_most, require_counts

TEST_EXAMPLES, VALIDATION_EXAMPLES = 5_000, 1_000


class PointNeuron(nn.Module):
    """x [B, n] → w·x − threshold [B], all weights equal and positive at the start.

    They start where half the inputs just reach the threshold: w = threshold/(n/2).
    """

    def __init__(self, inputs: int, threshold: float):
        super().__init__()
        self.threshold = threshold
        self.weight = nn.Parameter(torch.full((inputs,), 2 * threshold / inputs))

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.weight.dtype) @ self.weight - self.threshold


@dataclass(frozen=True)
class RelevantInputs:
    """r of k: is at least r of k relevant inputs on, among n − k others? (Cornford et al., Fig. 4B)

    x ∈ {0, 1}ⁿ, each input on with probability ½. A point neuron and the logistic loss. The labels
    are exact; as published, those of the training examples are noisy: the number of relevant inputs
    that are on is taken one too high or one too low, with a probability of 5 % each.

    Args:
        inputs: n ≥ 1.
        relevant: k, from 1 to n.
        threshold: r, from 1 to k.
        examples: For training, at least 1.
        epochs, batch_size: At least 1.

    Raises:
        ValueError: One of these does not hold.
    """

    inputs: int = 2_000
    relevant: int = 20
    threshold: int = 10
    examples: int = 3_000
    epochs: int = 20
    batch_size: int = 100
    online = False

    def __post_init__(self) -> None:
        require_counts(self, "inputs", "relevant", "threshold", "examples", "epochs", "batch_size")
        require_at_most(self, "relevant", "inputs")
        require_at_most(self, "threshold", "relevant")

    @property
    def rates(self) -> dict[str, float]:
        """EG's steps are relative, so its rate is about 1/w₀ times larger."""
        plain = 20 / self.inputs
        return {"gd": plain, "sign-constrained": plain, "eg": 0.5, "eg-adam": 0.05, "adam": 1e-3}

    def build(self, seed: int) -> Problem:
        generator = generator_of(seed)
        relevant = torch.zeros(self.inputs, dtype=torch.bool)
        relevant[torch.randperm(self.inputs, generator=generator)[: self.relevant]] = True
        train, validation, test = (
            self._draw(count, relevant, generator)
            for count in (self.examples, VALIDATION_EXAMPLES, TEST_EXAMPLES)
        )
        start = PointNeuron(self.inputs, self.threshold)
        return Problem(train, validation, test, start, _logistic, _right_side, relevant)

    def _draw(self, count: int, relevant: Tensor, generator: torch.Generator) -> Examples:
        x = torch.randint(0, 2, (count, self.inputs), generator=generator, dtype=torch.uint8)
        return Examples(x, (x[:, relevant].sum(1) >= self.threshold).float())


def _logistic(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none")


def _right_side(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs > 0) == (targets > 0.5)
