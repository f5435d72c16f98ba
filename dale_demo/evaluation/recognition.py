"""How many images a classifier recognises as their class, with a confidence interval."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.data import Dataset
from dale_demo.evaluation.classifier import Classifier


@dataclass(frozen=True)
class Share:
    """A share, `hits` of `count`, with its 95 % confidence interval.

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
        """Wilson's 95 % confidence interval for the probability of a hit.

        The usual p ± 1.96 √(p(1 − p)/n) has no width at p = 1, which good samples come near;
        Wilson's stays within [0, 1] and covers the truth there too.
        """
        from scipy.stats import binomtest

        low, high = binomtest(self.hits, self.count).proportion_ci(0.95, method="wilson")
        return float(low), float(high)

    def to_dict(self) -> dict[str, Any]:
        """As JSON: share, interval, hits and count."""
        return {"share": self.value, "interval": self.interval} | dataclasses.asdict(self)


@dataclass(frozen=True)
class Recognition:
    """Which images a classifier took for what they should be.

    Args:
        hits: Whether each image was recognised, bool [N].
        labels: What it should be, int64 [N].
    """

    hits: Tensor
    labels: Tensor

    @property
    def share(self) -> Share:
        """Over all images."""
        return Share(int(self.hits.sum()), len(self.hits))

    @property
    def per_class(self) -> dict[int, Share]:
        """For each label that occurs, in order."""
        parts = {int(k): self.hits[self.labels == k] for k in self.labels.unique()}
        return {k: Share(int(part.sum()), len(part)) for k, part in parts.items()}


def recognise(
    classifier: Classifier, images: NDArray[np.uint8], labels: NDArray[np.int64] | Sequence[int]
) -> Recognition:
    """Classify images and compare with what they should be.

    Args:
        images: uint8 [N, H, W] or [N, H, W, C], as `sample` writes them.
        labels: Class of each image [N], in [0, classes).

    Raises:
        ValueError: Shapes or labels do not fit the classifier.
    """
    found = torch.from_numpy(np.ascontiguousarray(images))
    found = found.unsqueeze(1) if found.ndim == 3 else found.permute(0, 3, 1, 2)
    wanted = torch.tensor(np.asarray(labels, np.int64))
    channels, classes = classifier.config.image_channels, len(classifier.config.class_names)
    if found.shape[:2] != (len(wanted), channels) or found.dtype != torch.uint8:
        raise ValueError(
            f"Expected uint8 images [{len(wanted)}, H, W, {channels}], one for each label, "
            f"got {images.dtype} {list(images.shape)}."
        )
    if len(wanted) == 0 or wanted.min() < 0 or wanted.max() >= classes:
        raise ValueError(f"Recognition needs labels from 0 to {classes - 1} for every image.")
    return Recognition(classifier.predict(found) == wanted, wanted)


def accuracy(classifier: Classifier, data: Dataset) -> Share:
    """Share of the images of `data` that are classified correctly."""
    images = data.images.permute(0, 2, 3, 1).numpy()
    return recognise(classifier, images, data.labels.tolist()).share
