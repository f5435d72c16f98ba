"""Distances of samples to real images: pure functions of features [N, F] and of pixels."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dale_demo.data import positive

NEIGHBOUR = 3
"""k of the manifolds of `precision_recall`, as in its paper."""
RESAMPLES = 20
"""Bootstrap resamples or subsets that a standard error comes from."""
SUBSET = 1000
"""Rows of a subset of the kernel distance, as in its paper."""
ROWS, POOL_ROWS = 1000, 10_000
"""Rows and columns of a distance matrix at a time, so that 10,000 × 60,000 distances need no 2 GB,
and 60,000 images of uint8 no copy in float32."""


MIN_ROWS = {"frechet": 2, "kernel": 2, "precision": NEIGHBOUR + 1, "recall": NEIGHBOUR + 1}
"""Images that a measure needs on either side."""


def needs(count: int, real: int) -> str:
    """What cannot be measured of `count` images beside `real` ones, in words; "" if all can."""
    few = [name for name, rows in MIN_ROWS.items() if min(count, real) < rows]
    return ", ".join(f"{_TITLES[name]} (needs {MIN_ROWS[name]} of each)" for name in few)


_TITLES = {
    "frechet": "Fréchet distance",
    "kernel": "kernel distance",
    "precision": "precision",
    "recall": "recall",
}


@dataclass(frozen=True)
class Measure:
    """A number and its standard error over samplings of the images."""

    value: float
    error: float

    @property
    def told(self) -> bool:
        """Whether it says anything: finite, and not 0 ± 0."""
        return (
            math.isfinite(self.value)
            and math.isfinite(self.error)
            and (self.value != 0 or self.error != 0)
        )

    def to_dict(self) -> dict[str, float]:
        """As JSON."""
        return {"value": self.value, "error": self.error}


def distances(features: Tensor, reference: Tensor) -> dict[str, Measure]:
    """Every measure of features [N, F] that so many rows allow, by its key in `MIN_ROWS`.

    A set whose images are all the same has no spread, and so no standard error: what comes out as
    no number, or as nothing but zeros, is left out too.
    """
    rows, found = min(len(features), len(reference)), dict[str, Measure]()
    if rows >= MIN_ROWS["frechet"]:
        found |= {"frechet": frechet(features, reference), "kernel": kernel(features, reference)}
    if rows >= MIN_ROWS["precision"]:
        found |= zip(("precision", "recall"), precision_recall(features, reference), strict=True)
    return {name: measure for name, measure in found.items() if measure.told}


class _Identity(nn.Module):
    """In place of the feature network that torchmetrics expects: features come computed."""

    def __init__(self, features: int):
        super().__init__()
        self.num_features = features

    def forward(self, features: Tensor) -> Tensor:
        return features


class FrechetDistance:
    """‖μ − μ'‖² + tr(Σ + Σ' − 2 (ΣΣ')^½), between normal distributions fitted to two sets.

    As in Heusel et al. (2017). The moments of the reference are computed once.

    Args:
        reference: Features [M, F].

    Raises:
        ValueError: A set has fewer than two rows, or the widths differ.
    """

    def __init__(self, reference: Tensor):
        from torchmetrics.image.fid import FrechetInceptionDistance

        _check(reference)
        self._width = reference.shape[1]
        self._metric = FrechetInceptionDistance(
            feature=_Identity(self._width), reset_real_features=False
        )
        self._metric.update(reference.double(), real=True)

    def __call__(self, features: Tensor) -> float:
        """The distance of features [N, F] to the reference."""
        _check(features)
        if features.shape[1] != self._width:
            raise ValueError(f"Expected {self._width} features, got {features.shape[1]}.")
        self._metric.reset()
        self._metric.update(features.double(), real=False)
        # `max(distance, 0)`, unlike `max(0, distance)`, keeps a distance that is no number.
        return max(self._metric.compute().item(), 0.0)


def frechet(features: Tensor, reference: Tensor, seed: int = 0) -> Measure:
    """The Fréchet distance, with its spread over bootstrap resamples of `features` [N, F].

    A resample repeats some rows and so lies a little further away; only the spread is used.
    """
    distance, generator = FrechetDistance(reference), torch.Generator().manual_seed(seed)
    count = len(features)
    resampled = torch.tensor(
        [
            distance(features[torch.randint(count, (count,), generator=generator)])
            for _ in range(RESAMPLES)
        ]
    )
    return Measure(distance(features), resampled.std().item())


def kernel(features: Tensor, reference: Tensor, seed: int = 0) -> Measure:
    """Unbiased squared maximum mean discrepancy with the kernel (x·y/F + 1)³ (Bińkowski 2018).

    Unlike the Fréchet distance it has the same mean at every number of images, so it can fall
    below zero. It is the mean over random subsets of b rows, b up to 1,000. Its standard error is
    the spread over subsets drawn with repetition, times √(b/2n): n rows hold n/b subsets that share
    no row, and half of the variance comes from the reference's subsets, over which the mean
    averages.

    Raises:
        ValueError: A set has fewer than two rows.
    """
    from torchmetrics.image.kid import poly_mmd

    _check(features)
    _check(reference)
    subset = min(SUBSET, len(features), len(reference))
    generator = torch.Generator().manual_seed(seed)

    def distinct(rows: Tensor) -> Tensor:
        return rows[torch.randperm(len(rows), generator=generator)[:subset]].double()

    # Where a subset holds all n rows, distinct subsets do not differ; repeated ones still do.
    def repeated(rows: Tensor) -> Tensor:
        return rows[torch.randint(len(rows), (subset,), generator=generator)].double()

    values, resampled = (
        torch.stack([poly_mmd(draw(reference), draw(features)) for _ in range(RESAMPLES)])
        for draw in (distinct, repeated)
    )
    return Measure(
        values.mean().item(), resampled.std().item() * (subset / len(features) / 2) ** 0.5
    )


def precision_recall(features: Tensor, reference: Tensor) -> tuple[Measure, Measure]:
    """Share of samples among the reference, and of the reference among the samples.

    A set's manifold is the union of balls around its rows, each out to the row's third nearest
    neighbour (Kynkäänniemi 2019). Errors are those of a share, √(p(1 − p)/n), for which a p of 0
    or 1 is moved inwards by one case.

    Args:
        features, reference: [N, F] and [M, F], N and M above 3.
    """
    return _coverage(features, reference), _coverage(reference, features)


def _coverage(rows: Tensor, manifold: Tensor) -> Measure:
    """Share of `rows` in the manifold of the other set."""
    if len(manifold) <= NEIGHBOUR:
        raise ValueError(f"A manifold needs more than {NEIGHBOUR} rows, got {len(manifold)}.")
    radii = torch.cat(
        [
            torch.cdist(part, manifold).kthvalue(NEIGHBOUR + 1, dim=1).values  # the first: itself
            for part in manifold.split(ROWS)
        ]
    )
    inside = torch.cat([(torch.cdist(part, manifold) <= radii).any(1) for part in rows.split(ROWS)])
    share = inside.double().mean().item()
    # At 0 and 1 the formula has no width; Laplace's estimate, one hit and one miss more, has.
    spread = share if 0 < share < 1 else (share * len(rows) + 1) / (len(rows) + 2)
    return Measure(share, (spread * (1 - spread) / len(rows)) ** 0.5)


def nearest(rows: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest of `pool` [M, …] to each of `rows` [N, …]: distances [N] and indices [N].

    Euclidean, over everything but the first dimension; uint8 pixels count as [0, 1].
    """
    found = [_nearest(part, pool) for part in rows.split(ROWS)]
    distances, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
    return distances, indices


def _nearest(rows: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    own = _flat(rows)
    least = torch.full((len(rows),), math.inf)
    indices = torch.zeros(len(rows), dtype=torch.int64)
    for first, part in zip(range(0, len(pool), POOL_ROWS), pool.split(POOL_ROWS), strict=True):
        values, places = torch.cdist(own, _flat(part)).min(1)
        indices = torch.where(values < least, first + places, indices)
        least = torch.minimum(values, least)
    # `cdist` multiplies matrices: its rounding leaves a distance between equal rows.
    return (own - _flat(pool[indices])).norm(dim=1), indices


def _flat(rows: Tensor) -> Tensor:
    return rows.flatten(1).float() / (255 if rows.dtype == torch.uint8 else 1)


def summary(distances: Tensor) -> dict[str, float]:
    """Of distances [N] to the nearest: "median", and "lowest_percent", the first percentile."""
    low, median = torch.quantile(distances, torch.tensor([0.01, 0.5])).tolist()
    return {"median": median, "lowest_percent": low}


def pixel_distribution(images: Tensor, reference: Tensor) -> dict[str, float]:
    """Compare the distribution of all pixels, whatever their place, with the real one.

    Args:
        images, reference: uint8 [N, C, H, W].

    Returns:
        "wasserstein": W₁ between the two distributions, pixels in [0, 1]; "log_mean" and
        "log_std": of ln x, x = 1 + pixel, for the images.
    """
    from scipy.stats import wasserstein_distance

    levels = torch.arange(256) / 255
    counts = [torch.bincount(part.flatten(), minlength=256) for part in (images, reference)]
    y = positive(images).double().log()
    return {
        "wasserstein": float(wasserstein_distance(levels, levels, *counts)),
        "log_mean": y.mean().item(),
        "log_std": y.std(correction=0).item(),
    }


def imbalance(classes: Tensor, wanted: Tensor, count: int) -> float:
    """Total variation distance, in [0, 1], between the shares of the classes seen and wanted.

    Args:
        classes, wanted: int64 [N] and [M], from 0 to `count` − 1.
    """
    seen, asked = (torch.bincount(k, minlength=count) / len(k) for k in (classes, wanted))
    return (seen - asked).abs().sum().item() / 2


def _check(features: Tensor) -> None:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"Expected features [N ≥ 2, F], got {list(features.shape)}.")
