"""Digits: classify handwritten digits by two layers of neurons."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dale_demo.data import Dataset, load_split
from dale_demo.plasticity.layers import DaleLinear, Signs
from dale_demo.plasticity.tasks.problem import Examples, Problem
from dale_demo.plasticity.tasks.shared import generator_of, require_counts

STORED_DIGITS = Path(__file__).parents[1] / "digits.npz"


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
        require_counts(self, "hidden", "epochs", "batch_size")

    @property
    def rates(self) -> dict[str, float]:
        return {"gd": 0.1, "sign-constrained": 0.1, "eg": 1.0, "eg-adam": 0.03, "adam": 3e-3}

    def build(self, seed: int) -> Problem:
        train, test = _images(self.data)
        rows = torch.randperm(len(train), generator=generator_of(seed, 1))
        held = len(train) // 10
        return Problem(
            train[rows[held:]],
            train[rows[:held]],
            test,
            self._network(train, generator_of(seed)),
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


def stored_digits() -> tuple[Dataset, Dataset]:
    """Read the 2,000 + 500 images of MNIST that come with the package, to train and to test on."""
    with np.load(STORED_DIGITS) as file:
        train, test = (
            Dataset(
                "stored",
                torch.from_numpy(file[f"{split}_images"]).unsqueeze(1),
                torch.from_numpy(file[f"{split}_labels"]).long(),
                tuple("0123456789"),
            )
            for split in ("train", "test")
        )
    return train, test


def _images(name: str) -> tuple[Examples, Examples]:
    if name == "stored":
        train, test = stored_digits()
    else:
        train, test = load_split(name)
    return _flat(train), _flat(test)


def _flat(data: Dataset) -> Examples:
    return Examples(data.images.flatten(1).float() / 255, data.labels.long())


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, reduction="none")


def _right_class(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.argmax(1) == targets
