"""Count, fit and histogram the weights of a network as they are read, in bounded memory."""

import zlib
from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dale_demo.plasticity import statistics
from dale_demo.weights.report import BINS_PER_DECADE, EDGES, POINTS, Layer, Report
from dale_demo.weights.tensors import NamedTensor, Piece, WeightsError, check_count, finished

FITTED_WHOLE = 10**6
"""Weights up to which all are fitted; above that, a random sample of them."""
SAMPLED = 200_000
"""Of a larger tensor: enough for a Kolmogorov–Smirnov distance of 0.0014."""
SEED = 20050301
SIGNS = ("excitatory", "inhibitory", "zeros", "unusable")
"""Counts of a `Layer` that each number of a tensor is in one of."""

Array = NDArray[np.float64]


def analyse(tensors: Iterable[NamedTensor]) -> Report:
    """Read all tensors and report on them; see `analysing`."""
    return finished(analysing(tensors))


def analysing(tensors: Iterable[NamedTensor]) -> Generator[str, None, Report]:
    """Report on a network, yielding the name of a tensor after each piece of it that was read.

    Tensors of synapses are counted, fitted and histogrammed; of biases and norms only the numbers
    are counted. A random sample depends on nothing but the tensor's name and size.

    Raises:
        WeightsError: There are no synapses, or too many tensors; and what reading raises.
    """
    layers: list[Layer] = []
    constant, others, pool = [], 0, Pool()
    for number, tensor in enumerate(tensors, 1):
        check_count(number)
        if not tensor.synapses or tensor.size == 0:
            others += tensor.size
            continue
        tally = Tally(tensor)
        for piece in tensor.pieces:
            tally.add(piece)
            yield tensor.name
        layer, weights = tally.layer(), tally.weights
        layers.append(layer)
        if len(weights) and np.ptp(np.abs(weights)) == 0:
            constant.append(tensor.name)
        else:
            pool.add(weights, layer.signed)
        yield tensor.name
    if not layers:
        raise WeightsError("There are no weights in it: no tensor of floating-point numbers.")
    if len(constant) == len(layers):  # there is nothing else to look at
        constant = []
    kept = [layer for layer in layers if layer.name not in constant]
    return Report(tuple(layers), _whole(kept, pool), others, tuple(constant))


def _whole(layers: list[Layer], pool: "Pool") -> Layer:
    """All synapses as if they were one layer."""
    whole = Layer("")
    if layers:
        sums: dict[str, Any] = {
            name: sum(getattr(layer, name) for layer in layers) for name in (*SIGNS, "blank")
        }
        whole = replace(whole, **sums, counts=np.sum([layer.counts for layer in layers], 0))
    return fitted(whole, pool.weights)


class Tally:
    """Counts of a tensor that grow with each piece, and the weights that will be fitted."""

    def __init__(self, tensor: NamedTensor):
        self._tensor, self._at, self._chosen = tensor, 0, chosen(tensor.name, tensor.size)
        self._numbers: dict[str, Any] = dict.fromkeys(SIGNS, 0)
        self._counts = np.zeros((2, len(EDGES) - 1), np.int64)
        self._kept: list[Array] = []

    def add(self, piece: Piece) -> None:
        """Count the numbers of the next piece."""
        with np.errstate(invalid="ignore"):  # a NaN of an unusual kind
            values = piece.astype(np.float64)
        finite = np.isfinite(values)
        self._keep(values)
        if not finite.all():
            values = values[finite]
        positive, negative = values[values > 0], -values[values < 0]
        self._numbers["excitatory"] += len(positive)
        self._numbers["inhibitory"] += len(negative)
        self._numbers["zeros"] += len(values) - len(positive) - len(negative)
        self._numbers["unusable"] += len(piece) - len(values)
        for row, magnitudes in enumerate((positive, negative)):
            self._counts[row] += histogram(magnitudes)

    def _keep(self, values: Array) -> None:
        if self._chosen is not None:
            first, last = np.searchsorted(self._chosen, (self._at, self._at + len(values)))
            indices = self._chosen[first:last] - self._at
            self._at += len(values)
            values = values[indices]
        self._kept.append(values[np.isfinite(values) & (values != 0)])

    @property
    def weights(self) -> Array:
        """The finite weights other than 0 that are fitted: all, or a random sample."""
        self._kept = [np.concatenate([np.empty(0), *self._kept])]
        return self._kept[0]

    def layer(self) -> Layer:
        """What was counted, with the fits."""
        tensor = self._tensor
        counted = Layer(
            tensor.name, tensor.shape, **self._numbers, blank=tensor.blank, counts=self._counts
        )
        return fitted(counted, self.weights)


class Pool:
    """A random sample of the weights of all layers, each with the same chance, of bounded size.

    Attributes:
        weights: At most `FITTED_WHOLE` of them.
    """

    def __init__(self) -> None:
        self.weights = np.empty(0)
        self._rate = 1.0
        self._random = np.random.default_rng(SEED)

    def add(self, weights: Array, count: int) -> None:
        """Take in a layer: a random sample of its `count` weights."""
        if not len(weights):
            return
        rate = min(self._rate, len(weights) / count)
        expected = len(self.weights) * rate / self._rate + count * rate
        rate *= min(1.0, 0.99 * FITTED_WHOLE / expected) if expected > FITTED_WHOLE else 1.0
        old = self._thinned(self.weights, rate / self._rate)
        new = self._thinned(weights, rate * count / len(weights))
        self.weights, self._rate = np.concatenate([old, new])[:FITTED_WHOLE], rate

    def _thinned(self, weights: Array, share: float) -> Array:
        return weights if share >= 1 else weights[self._random.random(len(weights)) < share]


def chosen(name: str, size: int) -> NDArray[np.int64] | None:
    """Indices, in order, of the weights of a tensor that are fitted; None for all of them."""
    if size <= FITTED_WHOLE:
        return None
    random = np.random.default_rng([SEED, zlib.crc32(name.encode()), size])
    return np.unique(random.integers(0, size, SAMPLED))


def histogram(magnitudes: Array) -> NDArray[np.int64]:
    """Count positive numbers between `EDGES`; what lies outside, in the first or last bin."""
    bins = (np.log10(magnitudes) - np.log10(EDGES[0])) * BINS_PER_DECADE
    return np.bincount(bins.clip(0, len(EDGES) - 2).astype(np.int64), minlength=len(EDGES) - 1)


def fitted(layer: Layer, weights: Array) -> Layer:
    """A layer with both distributions fitted to `weights`; as it is where they are too few."""
    try:
        with np.errstate(all="ignore"):  # numbers near 1e308 have no variance
            log_normal = statistics.fit(weights, "log-normal")
            normal = statistics.fit(weights, "normal")
            ratio = statistics.likelihood_ratio(weights)
            numbers: dict[str, Any] = {
                "log_mean": log_normal.mean,
                "log_std": log_normal.std,
                "log_skew": statistics.log_skew(weights),
                "ks_log_normal": log_normal.ks,
                "mean": normal.mean,
                "std": normal.std,
                "ks_normal": normal.ks,
                "likelihood": ratio.per_weight,
                "z": ratio.z,
            }
            plots = [
                statistics.quantile_plot(weights, distribution, POINTS)
                for distribution in ("log-normal", "normal")
            ]
    except ValueError:  # fewer than three weights, or all of one size
        return layer
    if not np.isfinite(list(numbers.values())).all():
        return layer
    quantiles = np.array([(plot.theory, plot.sample) for plot in plots], np.float32)
    return replace(layer, **numbers, fitted=len(weights), quantiles=quantiles)
