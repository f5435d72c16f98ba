"""A small classifier of real images: the network, its training, and its folder.

It recognises samples (`recognition`), and distances are taken in its features (`metrics`).
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from dale_demo.augmentation import augmented
from dale_demo.checkpoint.card import NOT_MEASURED
from dale_demo.checkpoint.config import FORMAT_VERSION, parse_config
from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    one_line,
    write_atomically,
)
from dale_demo.checkpoint.folder import (
    BUNDLED,
    Checkpoint,
    read_config,
)
from dale_demo.checkpoint.history import training_section
from dale_demo.checkpoint.metadata import front_matter, hub_metadata
from dale_demo.checkpoint.weights import read_tensors
from dale_demo.checks import check_float, check_int, check_word, shown
from dale_demo.data import Dataset
from dale_demo.datasets import title_of
from dale_demo.drawing.markdown import plain

ARCHITECTURE = "small-cnn-classifier"
CLASSIFIERS = BUNDLED / "classifiers"
MAX_CLASSES, MAX_NAME = 4096, 4096
BATCH = 250
"""Images at a time."""


@dataclass(frozen=True)
class ClassifierConfig:
    """What config.json of a classifier carries.

    Args:
        dataset: Name of the training data.
        class_names: One for each class.
        image_channels: 1 for grey, 3 for colour.
        training: Command, hardware and time, as JSON.
        metrics: Measured on the test data, as JSON.

    Raises:
        ValueError: No classes, no channels, or a field of another type or beyond its range.
    """

    dataset: str
    class_names: tuple[str, ...]
    image_channels: int = 1
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.class_names, list | tuple) or not self.class_names:
            raise ValueError(f"A classifier needs class names, got {shown(self.class_names)}.")
        object.__setattr__(self, "class_names", tuple(self.class_names))
        check_int("The number of classes", len(self.class_names), 1, MAX_CLASSES)
        for name in self.class_names:
            check_word("Each of the class names", name, MAX_NAME)
        check_word("dataset", self.dataset, MAX_NAME)
        check_int("image_channels", self.image_channels, 1, 3)
        if not (isinstance(self.training, Mapping) and isinstance(self.metrics, Mapping)):
            raise ValueError("training and metrics must be JSON objects.")
        accuracy, interval = self.metrics.get("test_accuracy"), self.metrics.get("interval", ())
        if accuracy is not None:
            check_float("test_accuracy", accuracy, 0, 1)
            if not isinstance(interval, list | tuple) or len(interval) != 2:
                raise ValueError(f"interval must be two shares, got {shown(interval)}.")
            for share in interval:
                check_float("interval", share, 0, 1)

    def to_json(self) -> str:
        """Serialise as config.json, with the format version first."""
        head = {"format_version": FORMAT_VERSION, "architecture": ARCHITECTURE}
        return json.dumps(head | dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


class Classifier(nn.Module):
    """Four convolutions and a linear layer: images of about 28×28 → logits.

    Args:
        config: Its channels and classes.
    """

    FEATURES = 128

    def __init__(self, config: ClassifierConfig):
        super().__init__()
        self.config = config
        self.body = nn.Sequential(
            *_convolution(config.image_channels, 32),
            nn.MaxPool2d(2),
            *_convolution(32, 64),
            *_convolution(64, 64),
            nn.MaxPool2d(2),
            *_convolution(64, self.FEATURES),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(self.FEATURES, len(config.class_names))

    def features(self, images: Tensor) -> Tensor:
        """The vectors before the last layer, float32 [N, 128], of uint8 images [N, C, H, W]."""
        centred = images.to(self.head.weight.device).float() / 255 - 0.5
        return self.body(centred.contiguous(memory_format=torch.channels_last))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of uint8 images [N, C, H, W]."""
        return self.head(self.features(images))

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """The likeliest class of each of the uint8 images [N, C, H, W]; int64 [N], on the CPU."""
        return torch.cat([self(part).argmax(1).cpu() for part in images.split(BATCH)])

    @torch.inference_mode()
    def describe(self, images: Tensor) -> Tensor:
        """`features` batch by batch, of any number of images; float32 [N, 128], on the CPU."""
        return torch.cat([self.features(part).cpu() for part in images.split(BATCH)])


def new_classifier(data: Dataset, seed: int = 0) -> Classifier:
    """Make an untrained classifier for `data`, with random weights from `seed`."""
    config = ClassifierConfig(data.name, data.class_names, data.images.shape[1])
    with torch.random.fork_rng(devices=()):  # leaves the global generator as it was
        torch.manual_seed(seed)
        return Classifier(config).to(memory_format=torch.channels_last)


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


@dataclass(frozen=True)
class ClassifierProgress:
    """Images seen so far and in all, and the cross-entropy of the last batch."""

    images: int
    total: int
    loss: float


def train_classifier(
    classifier: Classifier,
    data: Dataset,
    *,
    epochs: int = 4,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    shift: int = 2,
    augment: float = 0.0,
    seed: int = 0,
) -> Iterator[ClassifierProgress]:
    """Train `classifier` in place with AdamW, on images shifted by up to `shift` pixels.

    Args:
        augment: Share of images that are also turned, scaled and sheared; see `augmentation`.

    Raises:
        ValueError: A number is below 1 (`shift`: 0), or the learning rate is not positive.
    """
    if min(epochs, batch_size) < 1 or shift < 0 or not 0 < learning_rate < math.inf:
        raise ValueError(
            "epochs and batch_size must be at least 1, shift at least 0, and learning_rate "
            f"positive; got {epochs}, {batch_size}, {shift}, {learning_rate}."
        )
    steps = math.ceil(len(data) / batch_size)
    optimizer = torch.optim.AdamW(classifier.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, epochs * steps)
    generator = torch.Generator().manual_seed(seed)
    seen = 0
    classifier.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(data), generator=generator).split(batch_size):
            images = shifted(data.images[rows], shift, generator)
            if augment:
                images = augmented(images, augment, generator)
            logits = classifier(images)
            loss = F.cross_entropy(logits, data.labels[rows].to(logits.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            seen += len(rows)
            yield ClassifierProgress(seen, epochs * len(data), loss.item())
    classifier.eval()


def shifted(images: Tensor, distance: int, generator: torch.Generator) -> Tensor:
    """Shift each of the images [N, C, H, W] by up to `distance` pixels, repeating its border."""
    height, width = images.shape[2:]
    padded = F.pad(images.float(), (distance,) * 4, mode="replicate").to(images.dtype)
    # A view of every possible shift [N, C, 2d + 1, 2d + 1, H, W]: nothing is copied until indexed.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * distance + 1, (2, len(images)), generator=generator)
    return windows[torch.arange(len(images)), :, down, right]


def save_classifier(folder: Path | str, classifier: Classifier, config: ClassifierConfig) -> None:
    """Write a classifier's folder: its weights, `config` as config.json, and README.md."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().contiguous().cpu() for k, v in classifier.state_dict().items()}
    write_atomically(folder / WEIGHTS_FILE, save(tensors, {"format": "pt"}))
    write_atomically(folder / CONFIG_FILE, config.to_json().encode())
    write_atomically(folder / CARD_FILE, classifier_card(config).encode())


def load_classifier(folder: Path | str, device: torch.device | str = "cpu") -> Classifier:
    """Load and verify a classifier's folder, in inference mode.

    Raises:
        CheckpointError: A file is missing, too large, damaged, or of another architecture.
    """
    folder = Path(folder)
    raw = parse_config(read_config(folder), ARCHITECTURE)
    try:
        config = ClassifierConfig(**raw)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{CONFIG_FILE} is incomplete or wrong: {one_line(error)}."
        ) from error
    classifier = Classifier(config)
    tensors = read_tensors(folder / WEIGHTS_FILE, expected=classifier.state_dict())
    classifier.load_state_dict(tensors)
    classifier.requires_grad_(False).eval()
    return classifier.to(memory_format=torch.channels_last).to(device)


def find_classifier(dataset: str) -> Path:
    """The folder of the bundled classifier of `dataset`; raises CheckpointError without one."""
    folder = CLASSIFIERS / dataset
    if dataset and (folder / CONFIG_FILE).is_file():
        return folder
    raise CheckpointError(
        f"There is no classifier of {dataset!r}; make one with `python -m dale_demo "
        f"train-classifier --dataset {dataset} --out FOLDER` and name its folder."
    )


def check_classifier(classifier: Classifier, checkpoint: Checkpoint) -> None:
    """Check that a classifier knows the classes of a network; raises ValueError."""
    knows, makes = classifier.config, checkpoint.config
    channels = makes.network.image_channels
    if (knows.class_names, knows.image_channels) != (makes.class_names, channels):
        raise ValueError(
            f"The classifier knows {', '.join(knows.class_names)} in {knows.image_channels} "
            f"channels, but the network makes {', '.join(makes.class_names)} in "
            f"{channels}; name another classifier."
        )


def classifier_card(config: ClassifierConfig) -> str:
    """Render a classifier's card as Markdown with Hub front matter."""
    accuracy = config.metrics.get("test_accuracy")
    measured = NOT_MEASURED
    if accuracy is not None:
        low, high = config.metrics["interval"]
        measured = f"Accuracy on the test images: {accuracy:.2%} ({low:.2%} to {high:.2%})."
    sections = (
        front_matter(hub_metadata(config.dataset, "image-classification", ["evaluation"])),
        f"# A small classifier of {plain(title_of(config.dataset))}\n\n"
        "Four convolutions, with which `python -m dale_demo evaluate` counts how many sampled "
        "images are recognised as their class. It was trained on the training images, shifted by "
        "up to 2 pixels, and never on sampled ones.",
        f"Classes: {', '.join(map(plain, config.class_names))}.",
        "## Training\n\n" + training_section(config.training),
        "## Measured quality\n\n" + measured,
    )
    return "\n\n".join(sections) + "\n"
