"""The nearest training images of samples: are samples copies of what the network has learned from?

A distance means something only beside those that unseen images have, since images of one data set
are near each other without being copies.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import CheckpointError
from dale_demo.data import Dataset, load_split
from dale_demo.datasets import DATASETS
from dale_demo.drawing.frames import ImageArray, grid
from dale_demo.evaluation import metrics
from dale_demo.evaluation.classifier import (
    BATCH,
    Classifier,
    find_classifier,
    load_classifier,
)

Space = Literal["pixels", "features"]
"""Where a distance is taken: pixels in [0, 1], or the features of a classifier."""
UNSEEN = 1000
"""Test images whose distances are measured; the first percentile is the tenth of them."""


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of each of N images.

    Args:
        images: uint8 [N, H, W, C].
        distances: Euclidean [N].
    """

    images: ImageArray
    distances: NDArray[np.float32]

    @property
    def least(self) -> float:
        """The smallest distance."""
        return float(self.distances.min())

    @property
    def median(self) -> float:
        """The median of the distances."""
        return float(np.median(self.distances))

    def below(self, distance: float) -> int:
        """How many images are nearer than `distance`."""
        return int((self.distances < distance).sum())


@dataclass(frozen=True)
class Neighbours:
    """N images and their nearest training images.

    Args:
        images: uint8 [N, H, W, C].
        nearest: By distance in pixels and in features.
    """

    images: ImageArray
    nearest: dict[Space, Nearest]

    def sheet(self) -> ImageArray:
        """The images above those nearest in pixels, above those nearest in features [H', W', C]."""
        rows = [self.images, *(one.images for one in self.nearest.values())]
        return grid(np.concatenate(rows), columns=len(self.images))


def find_neighbours(
    images: Tensor, features: Tensor, train: Tensor, training_features: Tensor
) -> Neighbours:
    """Find the nearest training images of `images`.

    Args:
        images, train: uint8 [N, C, H, W] and [M, C, H, W].
        features, training_features: Of the same images, [N, F] and [M, F].
    """
    spaces: dict[Space, tuple[Tensor, Tensor]] = {
        "pixels": (images, train),
        "features": (features, training_features),
    }
    nearest: dict[Space, Nearest] = {}
    for space, (rows, pool) in spaces.items():
        distances, indices = metrics.nearest(rows, pool)
        nearest[space] = Nearest(_last_channels(train[indices]), distances.numpy())
    return Neighbours(_last_channels(images), nearest)


def _last_channels(images: Tensor) -> ImageArray:
    return images.permute(0, 2, 3, 1).numpy()


class TrainingSet:
    """Training images with their features, and how far from them unseen images are.

    The features of 60,000 images take long, so they are computed in `prepare`, batch by batch and
    once only: threads that call it together share the work, and what one that is broken off has
    done stays. Afterwards nothing changes any more.

    Args:
        classifier: Distances are taken in its features; it is not changed.
        train: What the network was trained on.
        test: What it has not seen; `UNSEEN` of them at most are used.
    """

    def __init__(self, classifier: Classifier, train: Dataset, test: Dataset):
        self._classifier, self._train = classifier, train.images
        order = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
        self._test = test.images[order[:UNSEEN]]
        self._features = torch.empty(len(train), classifier.FEATURES)
        self._described = 0
        self._unseen: dict[Space, dict[str, float]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Training images."""
        return len(self._train)

    def check(self, config: CheckpointConfig) -> None:
        """Check that the images of a network can be compared with these; raises ValueError."""
        if (shape := config.network.image_shape) != self._train.shape[1:]:
            raise ValueError(
                f"The images of this network have the shape {list(shape)}, those of its training "
                f"data {list(self._train.shape[1:])}: they cannot be compared."
            )

    def prepare(self) -> Iterator[float]:
        """Compute what is still missing; after each batch, yields the share that is done."""
        while not self._unseen:
            with self._lock:
                self._advance()
            yield self._described / len(self)

    def _advance(self) -> None:
        """The features of one more batch, or, once all are there, the distances of test images."""
        if (first := self._described) < len(self):
            images = self._train[first : first + BATCH]
            self._features[first : first + len(images)] = self._classifier.describe(images)
            self._described += len(images)
        elif not self._unseen:
            found = self._find(self._test).nearest
            self._unseen = {
                space: metrics.summary(torch.from_numpy(one.distances))
                for space, one in found.items()
            }

    @property
    def unseen(self) -> dict[Space, dict[str, float]]:
        """Distances of test images to the nearest training image: "median", "lowest_percent".

        Raises:
            ValueError: `prepare` has not come to its end.
        """
        if not self._unseen:
            raise ValueError("The training set has not been prepared.")
        return self._unseen

    def neighbours(self, images: ImageArray) -> Neighbours:
        """The nearest training images of uint8 images [N, H, W, C]; raises as `unseen` does."""
        _ = self.unseen
        return self._find(torch.from_numpy(images).permute(0, 3, 1, 2))

    def _find(self, images: Tensor) -> Neighbours:
        features = self._classifier.describe(images)
        return find_neighbours(images, features, self._train, self._features)


def load_training_set(dataset: str, device: str = "cpu") -> TrainingSet:
    """The training images of a data set, not yet prepared; downloads them where they are missing.

    Args:
        dataset: Name of the data that a network was trained on.
        device: Where features are computed.

    Raises:
        ValueError: It is none of `DATASETS`, it cannot be had, or there is no classifier of it;
            one sentence says which.
    """
    info = DATASETS.get(dataset)
    if info is None:
        raise ValueError(
            "This network was trained on images of its own, which are not here to compare with."
        )
    try:
        classifier = load_classifier(find_classifier(info.name), device)
    except CheckpointError as error:
        raise ValueError(
            f"There is no classifier of {info.title} to compare images with."
        ) from error
    return TrainingSet(classifier, *load_split(info.name))
