"""Linear regression: online, few or all inputs relevant; and far more weights than examples."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.signal import lfilter
from torch import Tensor, nn

from dale_demo.plasticity.layers import SplitLinear, log_normal_
from dale_demo.plasticity.tasks.problem import Examples, Problem
from dale_demo.plasticity.tasks.shared import coins, generator_of, require_at_most, require_counts

VALIDATION_EXAMPLES = 1_000


@dataclass(frozen=True)
class OnlineRegression:
    """Linear regression learned one example at a time (Kivinen and Warmuth, 1997).

    x ∈ {−1, 1}ᴺ, y = u·x with k weights of u ±1 and the others 0; no noise. The weights are split,
    w = w⁺ + w⁻ with Σ|w±| = k at the start, so exponentiated gradient is EG±. The loss is
    (y − w·x)², counted before the example is learned. Few relevant inputs favour EG±, a dense
    target gradient descent.

    Args:
        inputs: N ≥ 1.
        relevant: k, from 1 to N.
        trials: Examples, at least 1.

    Raises:
        ValueError: One of these does not hold.
    """

    inputs: int = 500
    relevant: int = 3
    trials: int = 2_000
    online = True
    epochs = 1
    batch_size = 1

    def __post_init__(self) -> None:
        require_counts(self, "inputs", "relevant", "trials")
        require_at_most(self, "relevant", "inputs")

    @property
    def rates(self) -> dict[str, float]:
        """For GD 1/(4N): 1/|x|², halved by the split weights, halved again by the square."""
        plain = 1 / (4 * self.inputs)
        return {
            "gd": plain,
            "sign-constrained": plain,
            "eg": 1 / (3 * self.relevant),
            "eg-adam": 0.05,
            "adam": 0.01,
        }

    def build(self, seed: int) -> Problem:
        generator = generator_of(seed)
        relevant = torch.zeros(self.inputs, dtype=torch.bool)
        relevant[torch.randperm(self.inputs, generator=generator)[: self.relevant]] = True
        target = torch.where(relevant, coins((self.inputs,), generator), 0.0)
        train, validation, test = (
            self._draw(count, target, generator)
            for count in (self.trials, self.trials, VALIDATION_EXAMPLES)
        )
        start = SplitLinear(self.inputs, self.relevant / (2 * self.inputs))
        return Problem(train, validation, test, start, _squared, relevant=relevant)

    def _draw(self, count: int, target: Tensor, generator: torch.Generator) -> Examples:
        x = coins((count, self.inputs), generator)
        return Examples(x, x @ target)


@dataclass(frozen=True)
class CorrelatedRegression:
    """Fit a few random targets with very many weights on correlated inputs (Pogodin et al., 2024).

    With D weights and N ≪ D examples there are many solutions, and the rule's geometry decides
    which one it finds: the dual variable moves by a sum of N inputs, which is nearly Gaussian.
    Inputs are normal with correlation ρ^|i−j|, targets standard normal. Nothing can generalise
    here, so the three splits are the same, and a search of rates looks at the training loss. The
    task follows Pogodin et al.; Cornford et al. (2024) have none like it.

    Args:
        inputs: D ≥ 1.
        examples: N ≥ 1.
        correlation: ρ of neighbours, in [0, 1).
        start: Distribution of the first weights, of variance 1/D: "log-normal" with random signs,
            or "normal".
        epochs: Steps on all examples, at least 1.

    Raises:
        ValueError: One of these does not hold.
    """

    inputs: int = 10_000
    examples: int = 100
    correlation: float = 0.5
    start: Literal["log-normal", "normal"] = "log-normal"
    epochs: int = 500
    online = False

    def __post_init__(self) -> None:
        require_counts(self, "inputs", "examples", "epochs")
        if not 0 <= self.correlation < 1:
            raise ValueError(f"correlation must be in [0, 1), got {self.correlation}.")
        if self.start not in ("log-normal", "normal"):
            raise ValueError(f'start must be "log-normal" or "normal", got {self.start!r}.')

    @property
    def batch_size(self) -> int:
        return self.examples

    @property
    def rates(self) -> dict[str, float]:
        plain = 0.2 * self.examples / self.inputs
        relative = plain * math.sqrt(self.inputs) / 2
        return {
            "gd": plain,
            "sign-constrained": plain,
            "eg": relative,
            "eg-adam": 0.01,
            "adam": 1e-4,
        }

    def build(self, seed: int) -> Problem:
        generator = generator_of(seed)
        noise = torch.randn(self.examples, self.inputs, generator=generator).numpy()
        # An autoregressive filter makes the correlation ρ^|i−j| without a D × D matrix.
        rho = self.correlation
        inputs = lfilter([math.sqrt(1 - rho**2)], [1, -rho], noise, axis=1)
        targets = torch.randn(self.examples, generator=generator)
        examples = Examples(torch.from_numpy(inputs).float(), targets)
        return Problem(examples, examples, examples, self._network(generator), _squared)

    def _network(self, generator: torch.Generator) -> nn.Module:
        layer = nn.Linear(self.inputs, 1, bias=False)
        if self.start == "log-normal":
            log_normal_(layer.weight, gain=1.0, generator=generator)
        else:
            nn.init.normal_(layer.weight, std=1 / math.sqrt(self.inputs), generator=generator)
        return nn.Sequential(layer, nn.Flatten(0))


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square()
