"""Compare two networks of the same shapes: which signs changed, and in which geometry.

The first network is remembered by the signs of all its weights, two bits each, and by the values of
a random sample; the second is then compared with that as it is read. So neither is ever in memory.
"""

import zlib
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dale_demo.checks import shown
from dale_demo.plasticity import statistics
from dale_demo.plasticity.geometry import dual_change
from dale_demo.weights.analyse import SEED
from dale_demo.weights.change_report import POTENTIALS, ChangeReport, LayerChange
from dale_demo.weights.report import POINTS
from dale_demo.weights.tensors import NamedTensor, WeightsError, check_count, finished

SAMPLED = 100_000
"""Weights of a tensor whose change is fitted: enough for a Kolmogorov–Smirnov distance of 0.002."""
MAX_REMEMBERED = 2**25
"""Numbers that are remembered of the first network."""
LEAST = 100
"""Changed weights below which the distances of three potentials cannot be told apart."""

Bits = NDArray[np.uint8]
Values = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Remembered:
    """What is kept of a tensor of n weights.

    Args:
        shape: Its dimensions.
        positive, negative, finite: A bit for each weight, packed [⌈n/8⌉].
        values: Those at the indices of `sample`, in order.
    """

    shape: tuple[int, ...]
    positive: Bits
    negative: Bits
    finite: Bits
    values: Values


def remembering(
    tensors: Iterable[NamedTensor],
) -> Generator[str, None, dict[str, Remembered]]:
    """Remember a network, yielding the name of a tensor after each that was read.

    Raises:
        WeightsError: It has too many weights; and what reading raises.
    """
    kept: dict[str, Remembered] = {}
    total = 0
    for number, tensor in enumerate(tensors, 1):
        check_count(number)
        if tensor.synapses and tensor.size:
            kept[tensor.name] = _remembered(tensor)
            total += len(kept[tensor.name].values) + tensor.size // 10
            if total > MAX_REMEMBERED:
                raise WeightsError("These networks are too large to be compared here.")
        yield tensor.name
    return kept


def comparing(
    start: Mapping[str, Remembered], tensors: Iterable[NamedTensor]
) -> Generator[str, None, ChangeReport]:
    """Compare a network with an earlier one, yielding the name of a tensor after each.

    Raises:
        WeightsError: The two have no layer in common; and what reading raises.
    """
    layers, pool, surplus = [], [], 0
    for number, tensor in enumerate(tensors, 1):
        check_count(number)
        before = start.get(tensor.name)
        if not tensor.synapses or not tensor.size:
            pass
        elif before is None or before.shape != tensor.shape:
            surplus += 1
        else:
            layer, scores = _compared(tensor.name, before, _remembered(tensor))
            layers.append(layer)
            pool.append(scores)
        yield tensor.name
    if not layers:
        raise WeightsError(_nothing_shared(start))
    unmatched = surplus + len(start) - len(layers)
    return ChangeReport(tuple(layers), _whole(layers, pool), unmatched)


def compare(start: Iterable[NamedTensor], end: Iterable[NamedTensor]) -> ChangeReport:
    """Compare two networks; see `remembering` and `comparing`."""
    return finished(comparing(finished(remembering(start)), end))


def _nothing_shared(start: Mapping[str, Remembered]) -> str:
    if not start:
        return "The network before has no weights: no tensor of floating-point numbers."
    name, one = next(iter(start.items()))
    return (
        "The two have no layer of the same name and shape, so nothing can be compared: the one "
        f"before has {shown(name)} of shape {one.shape}."
    )


def sample(name: str, size: int) -> NDArray[np.int64]:
    """Indices, in order, of the weights of a tensor that are compared; all where they are few."""
    if size <= SAMPLED:
        return np.arange(size)
    random = np.random.default_rng([SEED, zlib.crc32(name.encode()), size])
    return np.unique(random.integers(0, size, SAMPLED))


def _remembered(tensor: NamedTensor) -> Remembered:
    indices, at = sample(tensor.name, tensor.size), 0
    bits: tuple[list[Bits], ...] = ([], [], [])
    values: list[Values] = []
    for piece in tensor.pieces:
        first, last = np.searchsorted(indices, (at, at + len(piece)))
        values.append(piece[indices[first:last] - at])
        for kept, bit in zip(bits, (piece > 0, piece < 0, np.isfinite(piece)), strict=True):
            kept.append(np.packbits(bit))
        at += len(piece)
    positive, negative, finite = map(np.concatenate, bits)
    return Remembered(tensor.shape, positive, negative, finite, np.concatenate(values))


def _compared(
    name: str, before: Remembered, after: Remembered
) -> tuple[LayerChange, NDArray[np.float64]]:
    """The change of a layer, and its standard scores by `POTENTIALS` [3, used]."""
    finite = before.finite & after.finite
    flipped = (before.positive & after.negative | before.negative & after.positive) & finite
    signed = [one.positive | one.negative for one in (before, after)]
    first, last = (one.values.astype(np.float64) for one in (before, after))
    usable = np.isfinite(first) & np.isfinite(last)
    moved = usable & (first != last) & (first != 0) & (last != 0)
    layer = LayerChange(
        name,
        count=_ones(finite),
        signed=_ones(signed[0] & finite),
        flipped=_ones(flipped),
        from_zero=_ones((signed[0] ^ signed[1]) & finite),
        still=_still(first[usable] == last[usable], _ones(finite)),
    )
    scores = _scores(first[moved], last[moved])
    return _fitted(layer, scores), scores


def _scores(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard scores of the change of ∇φ(w) by `POTENTIALS` [3, n]; none of very few weights."""
    if len(start) < LEAST:
        return np.empty((len(POTENTIALS), 0))
    pair = torch.from_numpy(start), torch.from_numpy(end)
    changes = [dual_change(*pair, potential).numpy() for potential in POTENTIALS]
    with np.errstate(all="ignore"):  # numbers near 1e308 have no variance
        return np.array([_standardised(change) for change in changes])


def _standardised(change: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard scores; infinite where all have changed by the same, apart from rounding."""
    std = change.std()
    if std < 1e-9 * np.abs(change).max():
        return np.full_like(change, np.inf)
    return (change - change.mean()) / std


def _still(equal: NDArray[np.bool_], count: int) -> int:
    """How many weights have not changed, from a sample of them."""
    return round(float(equal.mean()) * count) if len(equal) else 0


def _whole(layers: list[LayerChange], pool: list[NDArray[np.float64]]) -> LayerChange:
    counted = ("count", "signed", "flipped", "from_zero", "still")
    sums = {name: sum(getattr(layer, name) for layer in layers) for name in counted}
    fits = [one for layer, one in zip(layers, pool, strict=True) if layer.used]
    scores = np.concatenate([np.empty((len(POTENTIALS), 0)), *fits], axis=1)
    if (step := scores.shape[1] // 10**6 + 1) > 1:
        scores = scores[:, ::step]
    return _fitted(LayerChange("", **sums), scores)


def _fitted(layer: LayerChange, scores: NDArray[np.float64]) -> LayerChange:
    """The change with the distance of its `scores` [3, used] to a normal distribution."""
    if scores.shape[1] < LEAST or not np.isfinite(scores).all():
        return layer
    ks = tuple(statistics.fit(one, "normal").ks for one in scores)
    quantiles = [statistics.quantile_plot(one, "normal", POINTS).sample for one in scores]
    return replace(layer, used=scores.shape[1], ks=ks, quantiles=np.array(quantiles, np.float32))


def _ones(bits: Bits) -> int:
    return int(np.bitwise_count(bits).sum())
