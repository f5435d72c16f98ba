"""A small classifier of real pictures: it recognises samples and lends its features to metrics."""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from dale_demo.checkpoint.card import (
    NOT_MEASURED,
    card_data,
    front_matter,
    training_section,
)
from dale_demo.checkpoint.config import FORMAT_VERSION, parse_config
from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    write_atomically,
)
from dale_demo.checkpoint.folder import (
    BUNDLED,
    Checkpoint,
    check_tensors,
    read_config,
    read_tensors,
)
from dale_demo.data import Dataset
from dale_demo.datasets import title_of
from dale_demo.drawing.markdown import plain

ARCHITECTURE = "small-cnn-classifier"
CLASSIFIERS = BUNDLED / "classifiers"
BATCH = 250


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
        ValueError: No classes, or no channels.
    """

    dataset: str
    class_names: tuple[str, ...]
    image_channels: int = 1
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        if not self.class_names or type(self.image_channels) is not int or self.image_channels < 1:
            raise ValueError(f"A classifier needs classes and at least one channel: {self}.")

    def to_json(self) -> str:
        """Serialise as config.json, with the format version first."""
        head = {"format_version": FORMAT_VERSION, "architecture": ARCHITECTURE}
        return json.dumps(head | dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


class Classifier(nn.Module):
    """Four convolutions and a linear layer: pictures of 28×28 or thereabouts → logits.

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
        """The vector before the last layer, float32 [N, 128], of uint8 pictures [N, C, H, W]."""
        centred = images.to(self.head.weight.device).float() / 255 - 0.5
        return self.body(centred.contiguous(memory_format=torch.channels_last))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, classes] of uint8 pictures [N, C, H, W]."""
        return self.head(self.features(images))

    @torch.inference_mode()
    def predict(self, images: Tensor) -> Tensor:
        """The likeliest class of each of the uint8 pictures [N, C, H, W]; int64 [N], on the CPU."""
        return torch.cat([self(part).argmax(1).cpu() for part in images.split(BATCH)])

    @torch.inference_mode()
    def describe(self, images: Tensor) -> Tensor:
        """The features of uint8 pictures [N, C, H, W], batch by batch; float32 [N, 128], on CPU."""
        return torch.cat([self.features(part).cpu() for part in images.split(BATCH)])


def new_classifier(data: Dataset, seed: int = 0) -> Classifier:
    """An untrained classifier for `data`, its weights drawn from `seed`."""
    config = ClassifierConfig(data.name, data.class_names, data.images.shape[1])
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return Classifier(config).to(memory_format=torch.channels_last)


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(outputs), nn.ReLU()


@dataclass(frozen=True)
class ClassifierProgress:
    """Pictures seen so far and in all, and the cross-entropy of the last batch."""

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
    seed: int = 0,
) -> Iterator[ClassifierProgress]:
    """Train `classifier` in place with AdamW, on pictures moved by up to `shift` pixels.

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
            logits = classifier(shifted(data.images[rows], shift, generator))
            loss = F.cross_entropy(logits, data.labels[rows].to(logits.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            seen += len(rows)
            yield ClassifierProgress(seen, epochs * len(data), loss.item())
    classifier.eval()


def shifted(images: Tensor, distance: int, generator: torch.Generator) -> Tensor:
    """Move each of the pictures [N, C, H, W] by up to `distance` pixels, repeating its border."""
    height, width = images.shape[2:]
    padded = F.pad(images.float(), (distance,) * 4, mode="replicate").to(images.dtype)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * distance + 1, (2, len(images)), generator=generator)
    return windows[torch.arange(len(images)), :, down, right]


def accuracy(classifier: Classifier, data: Dataset) -> "Share":
    """Share of the pictures of `data` that are classified rightly."""
    return recognise(
        classifier, data.images.permute(0, 2, 3, 1).numpy(), data.labels.tolist()
    ).share


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
        raise CheckpointError(f"{CONFIG_FILE} is incomplete or wrong: {error}") from error
    classifier = Classifier(config)
    tensors = read_tensors(folder / WEIGHTS_FILE)
    check_tensors(tensors, classifier.state_dict())
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


@dataclass(frozen=True)
class Share:
    """`hits` of `count`, with Wilson's 95 % interval.

    Raises:
        ValueError: No cases, or more hits than cases.
    """

    hits: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.count or self.count == 0:
            raise ValueError(f"A share needs 0 ≤ hits ≤ count > 0: {self.hits} of {self.count}.")

    @property
    def value(self) -> float:
        """hits / count."""
        return self.hits / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % confidence interval for the probability of a hit."""
        from scipy.stats import binomtest

        low, high = binomtest(self.hits, self.count).proportion_ci(0.95, method="wilson")
        return float(low), float(high)

    def to_dict(self) -> dict[str, Any]:
        """As JSON: share, interval, hits and count."""
        return {"share": self.value, "interval": self.interval} | dataclasses.asdict(self)


@dataclass(frozen=True)
class Recognition:
    """Which pictures a classifier took for what they should be.

    Args:
        hits: Whether each picture was recognised, bool [N].
        labels: What it should be, int64 [N].
    """

    hits: Tensor
    labels: Tensor

    @property
    def share(self) -> Share:
        """Over all pictures."""
        return Share(int(self.hits.sum()), len(self.hits))

    @property
    def per_class(self) -> dict[int, Share]:
        """For each label that occurs, in order."""
        parts = {int(k): self.hits[self.labels == k] for k in self.labels.unique()}
        return {k: Share(int(part.sum()), len(part)) for k, part in parts.items()}


def recognise(
    classifier: Classifier, images: NDArray[np.uint8], labels: NDArray[np.int64] | Sequence[int]
) -> Recognition:
    """Classify pictures and compare with what they should be.

    Args:
        images: uint8 [N, H, W] or [N, H, W, C], as `sample` writes them.
        labels: Class of each picture [N], in [0, classes).

    Raises:
        ValueError: Shapes or labels do not fit the classifier.
    """
    pictures = torch.from_numpy(np.ascontiguousarray(images))
    pictures = pictures.unsqueeze(1) if pictures.ndim == 3 else pictures.permute(0, 3, 1, 2)
    wanted = torch.tensor(np.asarray(labels, np.int64))
    channels, classes = classifier.config.image_channels, len(classifier.config.class_names)
    if pictures.shape[:2] != (len(wanted), channels) or pictures.dtype != torch.uint8:
        raise ValueError(
            f"Expected uint8 pictures [{len(wanted)}, H, W, {channels}], one for each label, "
            f"got {images.dtype} {list(images.shape)}."
        )
    if len(wanted) == 0 or wanted.min() < 0 or wanted.max() >= classes:
        raise ValueError(f"Recognition needs labels from 0 to {classes - 1} for every picture.")
    return Recognition(classifier.predict(pictures) == wanted, wanted)


def recognised_share(
    classifier: Classifier, images: NDArray[np.uint8], labels: NDArray[np.int64] | Sequence[int]
) -> float:
    """Share in [0, 1] of the pictures that `recognise` takes for what they should be."""
    return recognise(classifier, images, labels).share.value


def check_classifier(classifier: Classifier, checkpoint: Checkpoint) -> None:
    """Make sure that a classifier can judge a network; raises ValueError."""
    knows, makes = classifier.config, checkpoint.config
    if (knows.class_names, knows.image_channels) != (
        makes.class_names,
        makes.network.image_channels,
    ):
        raise ValueError(
            f"The classifier knows {', '.join(knows.class_names)} in {knows.image_channels} "
            f"channels, but the network makes {', '.join(makes.class_names)} in "
            f"{makes.network.image_channels}; name another classifier."
        )


def classifier_card(config: "ClassifierConfig") -> str:
    """Render a classifier's card as Markdown with Hub front matter."""
    accuracy = config.metrics.get("test_accuracy")
    measured = NOT_MEASURED
    if accuracy is not None:
        low, high = config.metrics["interval"]
        measured = f"Accuracy on the test pictures: {accuracy:.2%} ({low:.2%} to {high:.2%})."
    sections = (
        front_matter(card_data(config.dataset, "image-classification", ["evaluation"])),
        f"# A small classifier of {plain(title_of(config.dataset))}\n\n"
        "Four convolutions, with which `python -m dale_demo evaluate` counts how many sampled "
        "pictures are recognised as their class. It learns from the training pictures, moved by up "
        "to 2 pixels, and never sees a sampled one.",
        f"Classes: {', '.join(map(plain, config.class_names))}.",
        "## Training\n\n" + training_section(config.training),
        "## Measured quality\n\n" + measured,
    )
    return "\n\n".join(sections) + "\n"
