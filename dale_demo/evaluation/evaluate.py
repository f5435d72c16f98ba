"""Measure a network: sample under some settings, and hold the pictures against real ones."""

import dataclasses
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor
from torch.nn.functional import one_hot

from dale_demo.checkpoint.folder import Checkpoint
from dale_demo.data import Dataset
from dale_demo.drawing.frames import ImageArray, enlarge, grid, png_bytes
from dale_demo.evaluation import metrics
from dale_demo.evaluation.classifier import Classifier, check_classifier, recognise
from dale_demo.evaluation.inception import Inception
from dale_demo.hardware import hardware
from dale_demo.sampling import SamplingSettings, Watch, sample_images

Record = dict[str, Any]
"""What was measured, as JSON."""
SHOWN = 12
"""Pictures whose nearest neighbours are drawn."""


@dataclass(frozen=True)
class Reference:
    """Real pictures, as a classifier sees them.

    Args:
        classifier: Names the classes.
        train: What the network learned from.
        test: What it has not seen; distances are to these.
        inception: Lends its features; the classifier does where it is None.
    """

    classifier: Classifier
    train: Dataset
    test: Dataset
    inception: Inception | None = None

    def describe(self, images: Tensor) -> Tensor:
        """The features [N, F] of uint8 pictures [N, C, H, W]."""
        return (self.inception or self.classifier).describe(images)

    @cached_property
    def features(self) -> Tensor:
        """Of the test pictures [M, F]."""
        return self.describe(self.test.images)

    @cached_property
    def training_features(self) -> Tensor:
        """Of the training pictures [K, F]."""
        return self.describe(self.train.images)

    def some_training(self, count: int, in_turn: bool = False, seed: int = 0) -> Dataset:
        """Training pictures drawn at random, at most `count`; with `in_turn` they go round the
        classes for as long as there are any of each."""
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(seed))
        if in_turn:
            labels = self.train.labels[order]
            among_own = one_hot(labels).cumsum(0).gather(1, labels.unsqueeze(1)).squeeze(1)
            order = order[torch.argsort(among_own * (labels.max() + 1) + labels)]
        return self.train[order[:count]]

    def floor(self, count: int, conditional: bool, seed: int = 0) -> Record:
        """What `compare` says of `count` training pictures: no model can be expected below it.

        The distance to the nearest training picture is that of the test pictures.

        Args:
            conditional: They go round the classes, as samples do that are asked for these. Where
                the test pictures do not, even real ones are some way from them.
        """
        some = self.some_training(count, conditional, seed)
        record = self.compare(some.images, some.labels)
        return record | {
            "conditional": conditional,
            "nearest_training": self.nearest_training(self.test.images[:count]),
        }

    def compare(self, images: Tensor, labels: Tensor) -> Record:
        """Every distance of uint8 pictures [N, C, H, W], made for `labels` [N], to the test ones.

        Returns:
            "pictures" (N); "frechet", "kernel", "precision" and "recall", each with its value and
            standard error; "pixel_law"; "imbalance", between the classes seen and wanted (those of
            the test pictures where a label is −1); "nearest_training".
        """
        features = self.describe(images)
        precision, recall = metrics.precision_recall(features, self.features)
        classes = len(self.classifier.config.class_names)
        wanted = labels if labels.min() >= 0 else self.test.labels
        return {
            "pictures": len(images),
            "frechet": metrics.frechet(features, self.features).to_dict(),
            "kernel": metrics.kernel(features, self.features).to_dict(),
            "precision": precision.to_dict(),
            "recall": recall.to_dict(),
            "pixel_law": metrics.pixel_distribution(images, self.test.images),
            "imbalance": metrics.imbalance(self.classifier.predict(images), wanted, classes),
            "nearest_training": self.nearest_training(images),
        }

    def neighbours(self, images: ImageArray) -> ImageArray:
        """Three rows: pictures [N, H, W, C], their nearest training pictures in pixels, and in
        features; a grid [H', W', C]."""
        tensors = torch.from_numpy(images).permute(0, 3, 1, 2)
        _, by_pixels = metrics.nearest(tensors, self.train.images)
        features = self.describe(tensors)
        _, by_features = metrics.nearest(features, self.training_features)
        found = self.train.images[torch.cat([by_pixels, by_features])].permute(0, 2, 3, 1)
        return grid(np.concatenate([images, found.numpy()]), columns=len(images))

    def nearest_training(self, images: Tensor) -> dict[str, float]:
        """Distances from pictures to the nearest training picture, in pixel ranges over all pixels.

        Small ones betray a memory: compare the lowest percent with that of the test pictures.
        """
        distances, _ = metrics.nearest(images, self.train.images)
        low, median = torch.quantile(distances, torch.tensor([0.01, 0.5])).tolist()
        return {"median": median, "lowest_percent": low}


def sample(
    checkpoint: Checkpoint,
    settings: SamplingSettings,
    batch_size: int = 100,
    watch: Watch | None = None,
) -> tuple[ImageArray, float]:
    """Sample all pictures of a run, uint8 [N, H, W, C], and say how many seconds it took.

    Under `accelerate launch` or `torchrun` the pictures are shared out over the processes; each of
    these gets all of them, the same ones however many processes there are.

    Args:
        watch: Called with every step of this process.

    Raises:
        ValueError: There are more processes than pictures.
    """
    state, count = PartialState(), len(settings.labels)
    if count < state.num_processes:
        raise ValueError(f"{state.num_processes} processes cannot share {count} pictures.")
    began = time.perf_counter()
    with state.split_between_processes(list(range(count))) as indices:
        own = sample_images(
            checkpoint, settings, batch_size=batch_size, watch=watch, indices=indices
        )
    images = np.concatenate(gather_object([own]))
    return images, time.perf_counter() - began


def measure(
    checkpoint: Checkpoint,
    classifier: Classifier,
    settings: SamplingSettings,
    images: ImageArray,
    seconds: float,
    reference: Reference | None = None,
) -> Record:
    """Report on pictures that were sampled under `settings`.

    Args:
        images: uint8 [N, H, W, C], in the order of `settings.labels`.
        seconds: That sampling took.
        reference: Real pictures to measure distances to; only recognition without it.

    Returns:
        "settings"; "calls" (network calls for one picture); "seconds" and "hardware" of sampling;
        "classifier" (its data and test accuracy); where labels are classes, "class_accuracy"
        (share, interval, hits, count) and "per_class"; with a reference, what `Reference.compare`
        returns.

    Raises:
        ValueError: The classifier is one of other pictures, or only some of the labels are classes.
    """
    check_classifier(classifier, checkpoint)
    labels = torch.tensor(settings.labels)
    if (labels < 0).any() and (labels >= 0).any():
        raise ValueError("Either all pictures of an evaluation have a class, or none.")
    record: Record = {
        "settings": described(settings),
        "calls": settings.network_evaluations,
        "seconds": round(seconds, 2),
        "hardware": hardware(checkpoint.model.class_averages.device, checkpoint.model.bf16),
        "classifier": {
            "dataset": classifier.config.dataset,
            "test_accuracy": classifier.config.metrics.get("test_accuracy"),
        },
    }
    if labels.min() >= 0:
        result, names = (
            recognise(classifier, images, settings.labels),
            checkpoint.config.class_names,
        )
        record["class_accuracy"] = result.share.to_dict()
        record["per_class"] = {names[k]: v.to_dict() for k, v in result.per_class.items()}
    if reference is not None:
        record |= reference.compare(torch.from_numpy(images).permute(0, 3, 1, 2), labels)
    return record


def keep(
    folder: Path, images: ImageArray, settings: SamplingSettings, reference: Reference | None
) -> None:
    """Write pictures as NPZ (`images`, `labels`) and, with a reference, their neighbours as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{settings.sampler}-{settings.steps}-{settings.noise_level:g}-{settings.guidance:g}"
    np.savez_compressed(
        folder / f"{name}.npz", images=images, labels=np.array(settings.labels, np.int64)
    )
    if reference is not None:
        sheet = enlarge(reference.neighbours(images[:SHOWN]), 2)
        (folder / f"{name}-neighbours.png").write_bytes(png_bytes(sheet))


def described(settings: SamplingSettings) -> Record:
    """The settings as JSON, of the labels only their number and whether they are classes."""
    plain = {k: v for k, v in dataclasses.asdict(settings).items() if k != "labels"}
    return plain | {"count": len(settings.labels), "conditional": min(settings.labels) >= 0}
