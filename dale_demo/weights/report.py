"""What is known of the weights of a network: counts, fits and histograms, by layer and over all.

Made by `analyse`; reading and writing a report needs no PyTorch.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS_PER_DECADE = 20
EDGES = np.geomspace(1e-12, 1e4, 16 * BINS_PER_DECADE + 1)
"""Bins of |w|, evenly spaced in ln|w|; what lies outside is counted in the first and last."""
POINTS = 99
"""Of a Q–Q plot."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Layer:
    """The weights of one tensor, or of all.

    Args:
        name, shape: Of the tensor; no shape for all of a network.
        excitatory, inhibitory, zeros: How many weights are positive, negative and 0.
        unusable: How many are NaN or infinite; they count in nothing else.
        blank: Empty cells of a table.
        fitted: How many weights were fitted: all that are not 0, or a random sample of them. 0
            where nothing could be fitted; all numbers below are then NaN.
        log_mean, log_std, log_skew: Of ln|w|.
        ks_log_normal: Kolmogorov–Smirnov distance of ln|w| to its normal fit.
        mean, std: Of the signed weights other than 0.
        ks_normal: Kolmogorov–Smirnov distance of the signed weights to their normal fit.
        likelihood: Mean of ln p_log-normal(w) − ln p_normal(w), in nats.
        z: The same over its standard error.
        counts: Histogram of |w| between `EDGES`, positive and negative weights [2, K].
        quantiles: Q–Q data of ln|w| against the log-normal fit, then of w against the normal one;
            of each, quantiles of the fit, then of the weights [2, 2, POINTS].
    """

    name: str
    shape: tuple[int, ...] = ()
    excitatory: int = 0
    inhibitory: int = 0
    zeros: int = 0
    unusable: int = 0
    blank: int = 0
    fitted: int = 0
    log_mean: float = math.nan
    log_std: float = math.nan
    log_skew: float = math.nan
    ks_log_normal: float = math.nan
    mean: float = math.nan
    std: float = math.nan
    ks_normal: float = math.nan
    likelihood: float = math.nan
    z: float = math.nan
    counts: Array = field(
        default_factory=lambda: np.zeros((2, len(EDGES) - 1), np.int64), compare=False, repr=False
    )
    quantiles: Array = field(
        default_factory=lambda: np.full((2, 2, POINTS), np.nan, np.float32),
        compare=False,
        repr=False,
    )

    @property
    def count(self) -> int:
        """Finite weights, zeros included."""
        return self.excitatory + self.inhibitory + self.zeros

    @property
    def signed(self) -> int:
        """Weights that have a sign."""
        return self.excitatory + self.inhibitory

    @property
    def excitatory_share(self) -> float:
        """Share of the excitatory weights among those that have a sign; NaN if none has."""
        return self.excitatory / self.signed if self.signed else math.nan

    @property
    def nearer(self) -> str:
        """The distribution of the smaller KS distance; empty where nothing was fitted."""
        if math.isnan(self.ks_log_normal):
            return ""
        return "log-normal" if self.ks_log_normal < self.ks_normal else "normal"

    @property
    def likelier(self) -> str:
        """The distribution under which the weights are likelier; empty where |z| is under 2."""
        if math.isnan(self.z) or abs(self.z) < 2:
            return ""
        return "log-normal" if self.z > 0 else "normal"


@dataclass(frozen=True)
class Report:
    """All that is known of the weights of a network.

    Args:
        layers: One for each tensor of synapses, in the order of the file.
        whole: All synapses together.
        others: How many numbers are biases and norms, which are not looked at.
        constant: Names of the layers whose weights other than 0 are all of one size, such as masks;
            they are left out of `whole`.
    """

    layers: tuple[Layer, ...]
    whole: Layer
    others: int = 0
    constant: tuple[str, ...] = ()

    @property
    def nearer_log_normal(self) -> int:
        """How many layers are nearer to log-normal than to normal."""
        return sum(layer.nearer == "log-normal" for layer in self.layers)

    @property
    def fitted_layers(self) -> int:
        """How many layers could be fitted."""
        return sum(layer.fitted > 0 for layer in self.layers)

    def find(self, name: str) -> Layer:
        """The layer of a name; all synapses where there is none."""
        return next((layer for layer in self.layers if layer.name == name), self.whole)

    def arrays(self) -> dict[str, Array]:
        """Return everything as arrays, from which `from_arrays` makes it anew."""
        layers = [*self.layers, self.whole]
        text = {
            "names": [layer.name for layer in layers],
            "shapes": [layer.shape for layer in layers],
            "constant": self.constant,
            "others": self.others,
        }
        return {
            "text": np.frombuffer(json.dumps(text).encode(), np.uint8),
            "numbers": np.array([[getattr(one, n) for n in NUMBERS] for one in layers], np.float64),
            "counts": np.stack([layer.counts for layer in layers]),
            "quantiles": np.stack([layer.quantiles for layer in layers]).astype(np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "Report":
        """Make a report from what `arrays` returned."""
        text = json.loads(arrays["text"].tobytes())
        layers = [
            Layer(
                name,
                tuple(shape),
                **{n: _plain(n, v) for n, v in zip(NUMBERS, numbers, strict=True)},
                counts=counts,
                quantiles=quantiles,
            )
            for name, shape, numbers, counts, quantiles in zip(
                text["names"],
                text["shapes"],
                *(arrays[key] for key in ("numbers", "counts", "quantiles")),
                strict=True,
            )
        ]
        return cls(tuple(layers[:-1]), layers[-1], text["others"], tuple(text["constant"]))

    def csv(self) -> str:
        """Write a table of all layers, and of all synapses in its last row."""
        return csv_text(
            ("layer", "shape", "weights", *NUMBERS, "nearer"),
            (
                (
                    layer.name,
                    "×".join(map(str, layer.shape)),
                    layer.count,
                    *(getattr(layer, name) for name in NUMBERS),
                    layer.nearer,
                )
                for layer in (*self.layers, self.whole)
            ),
        )


COUNTS = ("excitatory", "inhibitory", "zeros", "unusable", "blank", "fitted")
NUMBERS = tuple(f.name for f in fields(Layer) if f.type in (int, float, "int", "float"))
"""Fields of a layer that are one number."""


def csv_text(head: Sequence[str], rows: Any) -> str:
    """Write rows of words and numbers as CSV; a number that is not known is an empty cell.

    A word that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" and value else value


def _plain(name: str, value: float) -> Any:
    return int(value) if name in COUNTS else float(value)
