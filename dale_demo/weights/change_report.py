"""What changed between two networks of the same shapes; made by `change`, read without PyTorch."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from dale_demo.weights.report import POINTS, Array, csv_text

if TYPE_CHECKING:
    from dale_demo.plasticity.geometry import PotentialName

POTENTIALS: "tuple[PotentialName, ...]" = ("2-norm", "3-norm", "entropy")
"""φ(w) = ½w², ⅓|w|³ and |w| ln|w|, as `plasticity.geometry` names them; the entropy comes last."""


@dataclass(frozen=True)
class LayerChange:
    """What changed in one tensor, or in all.

    Args:
        name: Of the tensor.
        count: Weights that are finite before and after.
        signed: Of these, the weights that had a sign before, as they were not 0.
        flipped: Weights that are on the other side of zero afterwards.
        from_zero: Weights that are 0 before or after, but not both times.
        still: Weights that have not changed at all.
        used: Changed weights whose change was fitted: all of those that are 0 at neither time, or a
            random sample; 0 where nothing could be fitted, and `ks` is then NaN.
        ks: Kolmogorov–Smirnov distance of the change of ∇φ(w) to a normal distribution, by
            `POTENTIALS` [3].
        quantiles: Q–Q data of that change in units of its standard deviation, by `POTENTIALS`
            [3, POINTS].
    """

    name: str
    count: int = 0
    signed: int = 0
    flipped: int = 0
    from_zero: int = 0
    still: int = 0
    used: int = 0
    ks: tuple[float, ...] = (math.nan,) * len(POTENTIALS)
    quantiles: Array = field(
        default_factory=lambda: np.full((len(POTENTIALS), POINTS), np.nan, np.float32),
        compare=False,
        repr=False,
    )

    @property
    def flipped_share(self) -> float:
        """Share that changed sign of the weights that had one; NaN where none had."""
        return self.flipped / self.signed if self.signed else math.nan

    @property
    def nearest(self) -> str:
        """The potential in whose dual space the change is nearest to normal; empty if none.

        Not the entropy where a sign changed: its dual space, ln|w|, has no way through zero, so a
        rule of that geometry changes none, however near the distance happens to be.
        """
        possible = len(POTENTIALS) - (self.flipped > 0)
        return POTENTIALS[int(np.argmin(self.ks[:possible]))] if self.used else ""


@dataclass(frozen=True)
class ChangeReport:
    """What changed, layer by layer.

    Args:
        layers: The layers that both networks have, in the order of the second.
        whole: All of them. The changes of each are put in units of their own mean and standard
            deviation first: layers that move by different amounts would else make a mixture, which
            is normal in no space.
        unmatched: Layers of one network that the other lacks, or has in another shape.
    """

    layers: tuple[LayerChange, ...]
    whole: LayerChange
    unmatched: int = 0

    def find(self, name: str) -> LayerChange:
        """The layer of a name; all of them where there is none."""
        return next((layer for layer in self.layers if layer.name == name), self.whole)

    @property
    def nearest_counts(self) -> dict[str, int]:
        """In how many layers each potential is the nearest."""
        found = [layer.nearest for layer in self.layers]
        return {potential: found.count(potential) for potential in POTENTIALS}

    def arrays(self) -> dict[str, Array]:
        """Return everything as arrays, from which `from_arrays` makes it anew."""
        layers = [*self.layers, self.whole]
        text = {"names": [layer.name for layer in layers], "unmatched": self.unmatched}
        return {
            "change_text": np.frombuffer(json.dumps(text).encode(), np.uint8),
            "change_numbers": np.array(
                [[getattr(layer, name) for name in NUMBERS] for layer in layers], np.int64
            ),
            "change_ks": np.array([layer.ks for layer in layers], np.float64),
            "change_quantiles": np.stack([layer.quantiles for layer in layers]).astype(np.float32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> "ChangeReport":
        """Make a report from what `arrays` returned."""
        text = json.loads(arrays["change_text"].tobytes())
        columns = (arrays[f"change_{key}"] for key in ("numbers", "ks", "quantiles"))
        layers = [
            LayerChange(
                name,
                **dict(zip(NUMBERS, numbers.tolist(), strict=True)),
                ks=tuple(ks.tolist()),
                quantiles=quantiles,
            )
            for name, numbers, ks, quantiles in zip(text["names"], *columns, strict=True)
        ]
        return cls(tuple(layers[:-1]), layers[-1], text["unmatched"])

    def csv(self) -> str:
        """Write a table of all layers, and of all together in its last row."""
        return csv_text(
            ("layer", *NUMBERS, *(f"ks {potential}" for potential in POTENTIALS), "nearest"),
            (
                (layer.name, *(getattr(layer, n) for n in NUMBERS), *layer.ks, layer.nearest)
                for layer in (*self.layers, self.whole)
            ),
        )


NUMBERS = tuple(f.name for f in fields(LayerChange) if f.type in (int, "int"))
