"""Tasks on which learning rules are compared; each builds a problem from a seed.

A task is a frozen set of settings; `build(seed)` draws the data and the start that all rules
share. The same seed gives the same problem.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor, nn
from torch.nn import functional as F

from dale_demo.data import load
from dale_demo.noise import seeds_of
from dale_demo.plasticity.layers import DaleLinear, Signs, Split, SplitLinear, log_normal_

STORED_DIGITS = Path(__file__).with_name("digits.npz")
TEST_EXAMPLES, VALIDATION_EXAMPLES = 5_000, 1_000


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
    """

    train: Examples
    validation: Examples
    test: Examples
    start: nn.Module
    losses: Callable[[Tensor, Tensor], Tensor]
    hits: Callable[[Tensor, Tensor], Tensor] | None = None
    relevant: Tensor | None = None


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

    x ∈ {0, 1}ⁿ, each input on with probability ½. A point neuron and the logistic loss.

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
        _require_counts(self, "inputs", "relevant", "threshold", "examples", "epochs", "batch_size")
        _require_at_most(self, "relevant", "inputs")
        _require_at_most(self, "threshold", "relevant")

    @property
    def rates(self) -> dict[str, float]:
        """EG's steps are relative, so its rate is about 1/w₀ times larger."""
        plain = 20 / self.inputs
        return {"gd": plain, "sign-constrained": plain, "eg": 0.5, "eg-adam": 0.05, "adam": 1e-3}

    def build(self, seed: int) -> Problem:
        generator = _generator(seed)
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
        _require_counts(self, "inputs", "relevant", "trials")
        _require_at_most(self, "relevant", "inputs")

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
        generator = _generator(seed)
        relevant = torch.zeros(self.inputs, dtype=torch.bool)
        relevant[torch.randperm(self.inputs, generator=generator)[: self.relevant]] = True
        target = torch.where(relevant, _coins((self.inputs,), generator), 0.0)
        train, validation, test = (
            self._draw(count, target, generator)
            for count in (self.trials, self.trials, VALIDATION_EXAMPLES)
        )
        start = SplitLinear(self.inputs, self.relevant / (2 * self.inputs))
        return Problem(train, validation, test, start, _squared, relevant=relevant)

    def _draw(self, count: int, target: Tensor, generator: torch.Generator) -> Examples:
        x = _coins((count, self.inputs), generator)
        return Examples(x, x @ target)


@dataclass(frozen=True)
class CorrelatedRegression:
    """Fit a few random targets with very many weights on correlated inputs (Pogodin et al., 2024).

    With D weights and N ≪ D examples there are many solutions, and the rule's geometry decides
    which one it finds: the dual variable moves by a sum of N inputs, which is nearly Gaussian.
    Inputs are normal with correlation ρ^|i−j|, targets standard normal. Nothing can generalise
    here, so the three splits are the same, and a search of rates looks at the training loss.

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
        _require_counts(self, "inputs", "examples", "epochs")
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
        generator = _generator(seed)
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


@dataclass(frozen=True)
class Digits:
    """Classify images of digits by two log-normal layers with a rectifier between them.

    Args:
        data: "stored" for the 2,000 + 500 images of MNIST that come with the package, or any
            name for `dale_demo.data.load`, such as "mnist", read from the folder in the
            environment variable DALE_DATA where that is set. A tenth of the training images is
            set aside for validation.
        hidden: Units between the layers, at least 1.
        signs: "columns" for excitatory and inhibitory units, "random" for each weight its own.
        epochs, batch_size: At least 1.

    Raises:
        ValueError: One of these does not hold, or the data cannot be read.
    """

    data: str = "stored"
    hidden: int = 100
    signs: Signs = "columns"
    epochs: int = 10
    batch_size: int = 50
    online = False

    def __post_init__(self) -> None:
        _require_counts(self, "hidden", "epochs", "batch_size")

    @property
    def rates(self) -> dict[str, float]:
        return {"gd": 0.1, "sign-constrained": 0.1, "eg": 1.0, "eg-adam": 0.03, "adam": 3e-3}

    def build(self, seed: int) -> Problem:
        train, test = _images(self.data)
        rows = torch.randperm(len(train), generator=_generator(seed, 1))
        held = len(train) // 10
        return Problem(
            train[rows[held:]],
            train[rows[:held]],
            test,
            self._network(train, _generator(seed)),
            _cross_entropy,
            _right_class,
        )

    def _network(self, train: Examples, generator: torch.Generator) -> nn.Module:
        inputs, classes = train.inputs.shape[1], int(train.targets.max()) + 1
        return nn.Sequential(
            DaleLinear(inputs, self.hidden, signs=self.signs, generator=generator),
            nn.ReLU(),
            DaleLinear(self.hidden, classes, signs=self.signs, generator=generator),
        )


def weight_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The weights of a model by name: all its parameters but the biases."""
    return {name: p for name, p in model.named_parameters() if "bias" not in name}


def relevant_share(model: nn.Module, relevant: Tensor) -> Tensor:
    """Compute the share of Σ|w| on the relevant inputs [inputs] of a one-layer model, in [0, 1]."""
    weight: Any = model.weight
    magnitude = (weight() if isinstance(weight, Split) else weight).detach().abs()
    return magnitude[relevant].sum() / magnitude.sum()


def _images(name: str) -> tuple[Examples, Examples]:
    if name == "stored":
        with np.load(STORED_DIGITS) as file:
            parts = [torch.from_numpy(file[key]) for key in _STORED_KEYS]
        return _flat(*parts[:2]), _flat(*parts[2:])
    root = os.environ.get("DALE_DATA")
    train, test = load(name, "train", root), load(name, "test", root)
    return _flat(train.images, train.labels), _flat(test.images, test.labels)


_STORED_KEYS = ("train_images", "train_labels", "test_images", "test_labels")


def _flat(images: Tensor, labels: Tensor) -> Examples:
    return Examples(images.flatten(1).float() / 255, labels.long())


def _logistic(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none")


def _right_side(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs > 0) == (targets > 0.5)


def _squared(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square()


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="none")


def _right_class(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.argmax(1) == targets


def _generator(seed: int, stream: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seeds_of(seed, [stream])[0])


def _coins(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw −1 or 1 with equal probability."""
    return 2.0 * torch.randint(0, 2, shape, generator=generator) - 1


def _require_counts(task: object, *names: str) -> None:
    for name in names:
        value = getattr(task, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")


def _require_at_most(task: object, smaller: str, larger: str) -> None:
    low, high = getattr(task, smaller), getattr(task, larger)
    if low > high:
        raise ValueError(f"{smaller} must be at most {larger} ({high}), got {low}.")
