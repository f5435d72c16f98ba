"""A table of facts about each named data set; importable without PyTorch.

It is the only place for such facts: the loader takes torchvision's class from it, model cards the
title and the Hub id, samplers the paper's constants, and pages the class names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Annealed:
    """The constants of arXiv 2510.02730 for a Langevin sampler, tuned for each data set.

    Args:
        step_size: δ of every update, in units of time.
        repeats: L, updates at each time.
        annealing: Factor on the noise, per step.
    """

    step_size: float
    repeats: int
    annealing: float


@dataclass(frozen=True)
class DatasetInfo:
    """Facts about a data set.

    Args:
        name: Its name in `data.load` and on the command line.
        title: Its display name.
        class_names: Display name of each label.
        torchvision_class: Its class in `torchvision.datasets`.
        hub_id: OWNER/NAME of the data set on the Hugging Face Hub, if it is there.
        network: Name of the bundled network trained on it, if any.
        test_name: The data set whose test images no bundled network has seen.
        fitted_start: Mean and standard deviation of ln x in the log-normal distribution from
            which the paper starts.
        annealed: Sampler → the paper's tuned constants.
        annealed_class_averaged: Sampler → its constants from class averages, where they differ.
        content_size: Longer side of an image's content, in pixels of 28: MNIST's digits leave a
            margin, the other sets fill the image.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    torchvision_class: str
    hub_id: str | None
    network: str | None
    test_name: str
    fitted_start: tuple[float, float]
    annealed: Mapping[str, Annealed] = field(default_factory=dict)
    annealed_class_averaged: Mapping[str, Annealed] = field(default_factory=dict)
    content_size: int = 28

    def annealed_from(self, start: str) -> Mapping[str, Annealed]:
        """Sampler → the paper's tuned constants for one of the starts of `sampling.StartName`."""
        if start == "class-averaged":
            return {**self.annealed, **self.annealed_class_averaged}
        return self.annealed


MNIST = DatasetInfo(
    name="mnist",
    title="MNIST",
    class_names=tuple("0123456789"),
    torchvision_class="MNIST",
    hub_id="ylecun/mnist",
    network="mnist",
    test_name="mnist",
    fitted_start=(0.1565, 0.8353),
    annealed={
        "dale-langevin": Annealed(6.17e-4, 1, 0.995),
        "unconstrained": Annealed(1.44e-4, 4, 0.995),
    },
    content_size=20,
)
FASHION_MNIST = DatasetInfo(
    name="fashion-mnist",
    title="Fashion-MNIST",
    class_names=(
        "T-shirt", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    torchvision_class="FashionMNIST",
    hub_id="zalando-datasets/fashion_mnist",
    network="fashion_mnist",
    test_name="fashion-mnist",
    fitted_start=(0.2771, 0.8428),
    annealed={
        "dale-langevin": Annealed(5.86e-4, 1, 0.995),
        "unconstrained": Annealed(1.47e-3, 3, 0.9995),
    },
    annealed_class_averaged={"unconstrained": Annealed(2.593e-4, 3, 0.9995)},
)  # fmt: skip
KMNIST = DatasetInfo(
    name="kmnist",
    title="KMNIST",
    class_names=(
        "お (o)", "き (ki)", "す (su)", "つ (tsu)", "な (na)",
        "は (ha)", "ま (ma)", "や (ya)", "れ (re)", "を (wo)",
    ),
    torchvision_class="KMNIST",
    hub_id=None,
    network="kmnist",
    test_name="kmnist-10k",
    fitted_start=(0.2140, 0.8290),
    annealed={
        "dale-langevin": Annealed(2.11e-4, 3, 0.995),
        "unconstrained": Annealed(2.11e-4, 3, 1.0),
    },
    annealed_class_averaged={"unconstrained": Annealed(3.36e-4, 2, 0.995)},
)  # fmt: skip
KMNIST_10K = replace(KMNIST, name="kmnist-10k", title="a part of KMNIST", network=None)
"""KMNIST's official test images alone: the last `KMNIST_10K_HELD_OUT` test, the rest train."""
KMNIST_10K_HELD_OUT = 1_000
KMNIST_7K_IMAGES = 7_011
KMNIST_7K = replace(
    KMNIST, name="kmnist-7k", title="KMNIST, its first 7,011 training images", network=None
)
"""KMNIST with the first `KMNIST_7K_IMAGES` of its training images, and all of its test images."""

DATASETS = {info.name: info for info in (MNIST, FASHION_MNIST, KMNIST, KMNIST_10K, KMNIST_7K)}
"""Name → facts."""
DEFAULT_NETWORK = "mnist"
"""The bundled network that is used by default."""
BUNDLED_NETWORKS = {info.network: info for info in DATASETS.values() if info.network}
"""Bundled network → the data set that it was trained on."""


def title_of(dataset: str) -> str:
    """The title of a data set, or its name if it is not in the table."""
    return DATASETS[dataset].title if dataset in DATASETS else dataset
