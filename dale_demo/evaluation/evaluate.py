"""Measure a network: sample under some settings, and compare the images with real ones.

The *floor* is what as many real images get under the same measures. Distances of finite sets are
never zero, so a number means something only beside its floor.
"""

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
from dale_demo.drawing.frames import ImageArray, enlarge, png_bytes
from dale_demo.evaluation import metrics
from dale_demo.evaluation.classifier import Classifier, check_classifier
from dale_demo.evaluation.inception import Inception
from dale_demo.evaluation.neighbours import find_neighbours
from dale_demo.evaluation.recognition import recognise
from dale_demo.hardware import hardware
from dale_demo.sampling import SamplingSettings, Watch, sample_images

Record = dict[str, Any]
"""What was measured, as JSON."""
SHOWN = 12
"""Images whose nearest neighbours are saved."""


@dataclass(frozen=True)
class Reference:
    """The real images that samples are compared with, and the features they are compared in.

    Args:
        classifier: Recognises classes; distances are in its features.
        train: Images that the network was trained on.
        test: Images that it has not seen; distances are to these.
        inception: Where given, distances are in its features instead.
    """

    classifier: Classifier
    train: Dataset
    test: Dataset
    inception: Inception | None = None

    def describe(self, images: Tensor) -> Tensor:
        """The features [N, F] of uint8 images [N, C, H, W]."""
        return (self.inception or self.classifier).describe(images)

    @cached_property
    def features(self) -> Tensor:
        """Of the test images [M, F]."""
        return self.describe(self.test.images)

    @cached_property
    def training_features(self) -> Tensor:
        """Of the training images [K, F]."""
        return self.describe(self.train.images)

    def some_training(self, count: int, in_turn: bool = False, seed: int = 0) -> Dataset:
        """Choose at most `count` training images at random.

        Args:
            in_turn: Take one of each class in turn, for as long as there are any.
        """
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(seed))
        if in_turn:
            labels = self.train.labels[order]
            # The k-th image of its class comes in round k, within a round in the order of classes.
            rounds = one_hot(labels).cumsum(0).gather(1, labels.unsqueeze(1)).squeeze(1)
            order = order[torch.argsort(rounds * (labels.max() + 1) + labels)]
        return self.train[order[:count]]

    def floor(self, count: int, conditional: bool, seed: int = 0) -> Record:
        """Measure `count` training images as samples are measured: no model can be expected below.

        The distance to the nearest training image is that of the test images, since training
        images would find themselves.

        Args:
            conditional: Take all classes in turn, as conditional samples do. The test set of MNIST
                holds more of some digits than of others, so even real images in equal numbers are
                some way from it: a floor of images at random would be unfair to the samples.
        """
        some = self.some_training(count, conditional, seed)
        record = self.compare(some.images, some.labels)
        return record | {
            "conditional": conditional,
            "nearest_training": self.nearest_training(self.test.images[:count]),
        }

    def compare(self, images: Tensor, labels: Tensor) -> Record:
        """Measure every distance of uint8 images [N, C, H, W] to the test images.

        Args:
            labels: The classes that the images were sampled for [N], −1 for none.

        Returns:
            "pictures" (N); of "frechet", "kernel", "precision" and "recall" those that so many
            images allow, each with its value and standard error; "pixel_law"; "imbalance", between
            the classes recognised and those sampled for (those of the test images where a label is
            −1); "nearest_training".
        """
        features = self.describe(images)
        measured = metrics.distances(features, self.features)
        classes = len(self.classifier.config.class_names)
        wanted = labels if labels.min() >= 0 else self.test.labels
        return {
            "pictures": len(images),
            **{name: measure.to_dict() for name, measure in measured.items()},
            "pixel_law": metrics.pixel_distribution(images, self.test.images),
            "imbalance": metrics.imbalance(self.classifier.predict(images), wanted, classes),
            "nearest_training": self.nearest_training(images),
        }

    def neighbours(self, images: ImageArray) -> ImageArray:
        """Put images [N, H, W, C] above their nearest training images, by pixels and by features.

        Returns:
            A grid of three rows [H', W', C].
        """
        tensors = torch.from_numpy(images).permute(0, 3, 1, 2)
        features = self.describe(tensors)
        return find_neighbours(tensors, features, self.train.images, self.training_features).sheet()

    def nearest_training(self, images: Tensor) -> dict[str, float]:
        """Euclidean distances from images to the nearest training image, pixels in [0, 1].

        Small ones mean memorised images: compare the lowest percent with that of the test images.

        Returns:
            "median"; "lowest_percent", the first percentile.
        """
        distances, _ = metrics.nearest(images, self.train.images)
        return metrics.summary(distances)


def sample(
    checkpoint: Checkpoint,
    settings: SamplingSettings,
    batch_size: int = 100,
    watch: Watch | None = None,
) -> tuple[ImageArray, float]:
    """Sample all images of a run, uint8 [N, H, W, C], and time it in seconds.

    Under `accelerate launch` or `torchrun` the processes share the work. Each returns all images,
    the same ones however many processes there are.

    Args:
        watch: Called with every step of this process.

    Raises:
        ValueError: There are more processes than images.
    """
    state, count = PartialState(), len(settings.labels)
    if count < state.num_processes:
        raise ValueError(f"{state.num_processes} processes cannot share {count} images.")
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
    """Measure images that were sampled under `settings`.

    Args:
        images: uint8 [N, H, W, C], in the order of `settings.labels`.
        seconds: How long sampling took.
        reference: Real images to measure distances to; only recognition without it.

    Returns:
        "settings"; "calls" (network evaluations for one image); "seconds" and "hardware" of
        sampling; "classifier" (its data and test accuracy); where labels are classes,
        "class_accuracy" (share, interval, hits, count) and "per_class"; with a reference, what
        `Reference.compare` returns.

    Raises:
        ValueError: The classifier is one of other images, or only some of the labels are classes.
    """
    check_classifier(classifier, checkpoint)
    labels = torch.tensor(settings.labels)
    if (labels < 0).any() and (labels >= 0).any():
        raise ValueError("Either all images of an evaluation have a class, or none.")
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
        result = recognise(classifier, images, settings.labels)
        names = checkpoint.config.class_names
        record["class_accuracy"] = result.share.to_dict()
        record["per_class"] = {names[k]: v.to_dict() for k, v in result.per_class.items()}
    if reference is not None:
        record |= reference.compare(torch.from_numpy(images).permute(0, 3, 1, 2), labels)
    return record


def save_images(
    folder: Path, images: ImageArray, settings: SamplingSettings, reference: Reference | None
) -> None:
    """Write images as NPZ (`images`, `labels`) and, with a reference, their neighbours as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{settings.sampler}-{settings.steps}-{settings.noise_level:g}-{settings.guidance:g}"
    np.savez_compressed(
        folder / f"{name}.npz", images=images, labels=np.array(settings.labels, np.int64)
    )
    if reference is not None:
        sheet = enlarge(reference.neighbours(images[:SHOWN]), 2)
        (folder / f"{name}-neighbours.png").write_bytes(png_bytes(sheet))


def described(settings: SamplingSettings) -> Record:
    """The settings as JSON; of the labels only how many there are and whether they are classes."""
    plain = {k: v for k, v in dataclasses.asdict(settings).items() if k != "labels"}
    # Records made before there were such settings do not name them, and must be found again.
    for name in ("tweedie_steps", "levels"):
        if not plain[name]:
            del plain[name]
    return plain | {"count": len(settings.labels), "conditional": min(settings.labels) >= 0}
