"""How far samples are from real pictures against what they cost: the numbers and a small picture.

One point for each way of sampling, all measured on the same number of pictures, since the Fréchet
distance depends on it.
"""

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from dale_demo.drawing.palette import SAMPLERS, THEORY
from dale_demo.drawing.svg import Axis, Plot

Kind = Literal["ours", "additive", "paper", "annealed"]
"""Our settings; the same on the additive network; the paper's settings; with its annealing."""
Cost = Literal["calls", "seconds"]

COSTS: dict[Cost, str] = {"calls": "network calls", "seconds": "seconds a picture"}
LINES: tuple[Kind, ...] = ("ours", "additive")
"""Kinds whose points are joined; those of the paper stand alone, one for each start."""
PAPER_RADII = {"dale-langevin": 6, "unconstrained": 4}
"""Of dots for the paper's two samplers: one often lies on the other, and both should show."""
ROUND = tuple(factor * 10.0**power for power in range(-4, 5) for factor in (1, 2, 5))
"""Numbers to stand at log axes."""


@dataclass(frozen=True)
class Point:
    """One way of sampling, measured.

    Args:
        name: Of its line: the sampler and what sets it apart.
        sampler: Gives the colour.
        kind: Gives the shape.
        start: Law of X_T.
        calls: Network calls for one picture.
        seconds: For one picture; None where it was drawn on other hardware than the first point,
            beside which its seconds say nothing.
        frechet: Fréchet distance to the test pictures.
        error: Its standard error.
    """

    name: str
    sampler: str
    kind: Kind
    start: str
    calls: int
    seconds: float | None
    frechet: float
    error: float

    def cost(self, against: Cost) -> float:
        """What one picture costs, in network calls or seconds; NaN where that is not known."""
        if against == "calls":
            return self.calls
        return math.nan if self.seconds is None else self.seconds


@dataclass(frozen=True)
class TradeOff:
    """All points measured on one data set with one number of pictures.

    Args:
        dataset: Name of the data set.
        pictures: How many pictures each point stands for.
        hardware: On which the seconds were taken.
        seen: Pictures that the network of each kind, ours or additive, has seen in training.
        floor: Fréchet distance of as many real pictures.
        floor_error: Its standard error.
        points: At least one.
    """

    dataset: str
    pictures: int
    hardware: str
    seen: dict[Kind, int]
    floor: float
    floor_error: float
    points: tuple[Point, ...]

    def against(self, cost: Cost) -> "TradeOff":
        """Those of the points whose cost is known."""
        known = (point for point in self.points if not math.isnan(point.cost(cost)))
        return dataclasses.replace(self, points=tuple(known))

    def lines(self) -> Iterator[tuple[Point, ...]]:
        """The points by name, each line from cheap to dear; names in their first order."""
        names = list(dict.fromkeys(point.name for point in self.points))
        ordered = sorted(self.points, key=lambda p: (names.index(p.name), p.calls))
        for _, line in groupby(ordered, key=lambda point: point.name):
            yield tuple(line)

    @property
    def band(self) -> tuple[float, float]:
        """The floor give or take its error, above 0 for a log axis."""
        return above_zero(self.floor, self.floor_error), self.floor + self.floor_error


def above_zero(value: float, error: float) -> float:
    """The lower end of value ± error, for a log axis at least a tenth of the value."""
    return max(value - error, value / 10)


def to_json(curves: Iterable[TradeOff]) -> str:
    """Serialise measurements, one point a line."""
    plain = [dataclasses.asdict(curve) for curve in curves]
    for curve in plain:
        curve["points"] = list(curve["points"])
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[TradeOff]:
    """Parse what `to_json` wrote."""
    return [
        TradeOff(**raw | {"points": tuple(Point(**point) for point in raw["points"])})
        for raw in json.loads(text)
    ]


def picture(curve: TradeOff, against: Cost = "calls") -> Plot:
    """The trade-off as a small SVG, for where no figure can move."""
    curve = curve.against(against)
    points = curve.points
    x = _axis(COSTS[against], [point.cost(against) for point in points])
    y = _axis("Fréchet distance", [*(point.frechet for point in points), *curve.band])
    drawn = Plot(
        f"Fréchet distance on {curve.dataset} against {COSTS[against]}: "
        + "; ".join(f"{p.name} {p.cost(against):.3g}: {p.frechet:.2g}" for p in points)
        + f"; real pictures: {curve.floor:.2g}.",
        x,
        y,
    )
    drawn.area([x.low, x.high], *curve.band, THEORY)
    drawn.line([x.low, x.high], [curve.floor] * 2, THEORY)
    for line in curve.lines():
        across, up = [p.cost(against) for p in line], [p.frechet for p in line]
        kind, colour = line[0].kind, SAMPLERS[line[0].sampler]
        if kind in LINES:
            drawn.line(across, up, colour, dashed=kind == "additive")
        drawn.dots(across, up, colour, radius=3 if kind in LINES else PAPER_RADII[line[0].sampler])
    _legend(drawn, curve, against)
    return drawn


def _axis(name: str, values: list[float]) -> Axis:
    """A log axis around `values` with some room."""
    low, high = min(values) / 1.3, max(values) * 1.3
    inside = [tick for tick in ROUND if low <= tick <= high]
    sparse = [tick for tick in inside if f"{tick:.0e}"[0] == "1"]
    return Axis(name, low, high, log=True, ticks=sparse if len(sparse) > 2 else inside)


def _legend(drawn: Plot, curve: TradeOff, against: Cost) -> None:
    """What the colours mean, to the left of the paper's settings, which are far from all others."""
    alone = [point.cost(against) for point in curve.points if point.kind not in LINES]
    samplers = {point.sampler: point.name.split(",")[0].split(" (")[0] for point in curve.points}
    words = [(name, SAMPLERS[sampler]) for sampler, name in samplers.items()]
    if alone:
        words.insert(0, ("large dots: the paper’s settings", "currentColor"))
    if any(point.kind == "additive" for point in curve.points):
        words.append(("dashed: additive", "currentColor"))
    words.append(("real pictures", THEORY))
    right = float(drawn.x.share(min(alone))) - 0.03 if alone else 0.98
    for row, (text, colour) in enumerate(words):
        drawn.text(drawn.x.at(right), drawn.y.at(0.95 - 0.085 * row), text, colour, "end")
