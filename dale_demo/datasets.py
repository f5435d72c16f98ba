"""The facts about each named data set, in one table; needs no PyTorch.

Everything else that knows a data set by name looks here: the loader for torchvision's class, cards
for the title and the Hub's name, samplers for the paper's constants, pages for the class names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Annealed:
    """The constants to which arXiv 2510.02730 tuned a Langevin sampler, per data set.

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
    """What is known of a data set beforehand.

    Args:
        name: As `data.load` and the command line take it.
        title: For people.
        class_names: One for each label.
        torchvision_class: Its class in `torchvision.datasets`.
        hub_id: OWNER/NAME of the data set on the Hugging Face Hub, where there is one.
        network: Name of the bundled network that draws it, if any.
        test_name: The data set whose test images no bundled network has seen.
        fitted_start: Mean and standard deviation of ln x in the log-normal distribution from
            which the paper starts.
        annealed: Sampler → the paper's tuned constants.
        content_size: Longer side, in a frame of 28 pixels, of what an image shows: MNIST leaves a
            margin, the others fill the frame.
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
    content_size: int = 28


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
)  # fmt: skip
KMNIST_10K = replace(KMNIST, name="kmnist-10k", title="a part of KMNIST", network=None)
"""KMNIST's official test images alone: the last `KMNIST_10K_HELD_OUT` test, the others train."""
KMNIST_10K_HELD_OUT = 1_000

DATASETS = {info.name: info for info in (MNIST, FASHION_MNIST, KMNIST, KMNIST_10K)}
"""Name → facts."""
DEFAULT_NETWORK = "mnist"
"""The bundled network that is used where no other is asked for."""
BUNDLED_NETWORKS = {info.network: info for info in DATASETS.values() if info.network}
"""Bundled network → the data set that it draws."""


def title_of(dataset: str) -> str:
    """The title of a data set; of one that is not in the table, its name."""
    return DATASETS[dataset].title if dataset in DATASETS else dataset
