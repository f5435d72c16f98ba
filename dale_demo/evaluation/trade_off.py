"""Quality against cost: the numbers behind the comparison's figure, as JSON and as an SVG.

One point for each method, all measured on the same number of images, since the Fréchet distance
depends on it.
"""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dale_demo.drawing.palette import SAMPLERS, THEORY
from dale_demo.drawing.svg import Axis, Plot

Kind = Literal["ours", "additive", "paper", "annealed", "narrow", "recipe"]
"""Our settings; the same on the additive network; the paper's settings; with its annealing; our
sampler from the paper's noise level, on either network; the paper's settings on a network that was
trained by the paper's recipe."""
JOINED: dict[Kind, str] = {"ours": "solid", "additive": "dash"}
"""Kinds whose points differ in steps alone and are joined by a line, with its dash. The points of
the other kinds stand alone: they differ in their start."""
RADII = {"dale-langevin": 6, "unconstrained": 4}
"""Of single dots for the paper's two samplers: one often lies on the other; both should show."""
OTHER_RADIUS = 5
ROUND = tuple(factor * 10.0**power for power in range(-4, 5) for factor in (1, 2, 5))
"""Ticks of a log axis."""


@dataclass(frozen=True)
class Point:
    """One method, measured.

    Args:
        label: Of its curve.
        sampler: Gives the colour.
        kind: Gives the line and the shape.
        start: Distribution of X_T.
        network_evaluations: For one image.
        seconds: For one image; None where it ran on other hardware than the first point, beside
            which its seconds say nothing.
        frechet: Fréchet distance to the test images.
        error: Its standard error.
    """

    label: str
    sampler: str
    kind: Kind
    start: str
    network_evaluations: int
    seconds: float | None
    frechet: float
    error: float

    @property
    def low(self) -> float:
        """The lower end of its error bar."""
        return above_zero(self.frechet, self.error)


@dataclass(frozen=True)
class TradeOff:
    """All points measured on one data set with one number of images.

    Args:
        dataset: Name of the data set.
        images: How many each point was measured on.
        hardware: On which the seconds were taken.
        images_seen: Network ("ours", "additive", "paper") → images that it has seen in training.
        floor: Fréchet distance that as many real images get.
        floor_error: Its standard error.
        points: At least one.
    """

    dataset: str
    images: int
    hardware: str
    images_seen: dict[str, int]
    floor: float
    floor_error: float
    points: tuple[Point, ...]

    @property
    def curves(self) -> list[list[Point]]:
        """The points of each label, cheapest first; labels in the order of their first points."""
        by_label: dict[str, list[Point]] = {point.label: [] for point in self.points}
        for point in sorted(self.points, key=lambda point: point.network_evaluations):
            by_label[point.label].append(point)
        return list(by_label.values())

    @property
    def band(self) -> tuple[float, float]:
        """The floor give or take its error."""
        return above_zero(self.floor, self.floor_error), self.floor + self.floor_error


def above_zero(value: float, error: float) -> float:
    """The lower end of value ± error, at least a tenth of the value: a log axis has no zero."""
    return max(value - error, value / 10)


def to_json(measured: Iterable[TradeOff]) -> str:
    """Serialise measurements."""
    plain = [dataclasses.asdict(one) for one in measured]
    return json.dumps(plain, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[TradeOff]:
    """Parse what `to_json` wrote."""
    return [
        TradeOff(**raw | {"points": tuple(Point(**point) for point in raw["points"])})
        for raw in json.loads(text)
    ]


def plot(measured: TradeOff) -> Plot:
    """Fréchet distance against network evaluations as a small SVG, for documents."""
    x = _axis("network evaluations", [point.network_evaluations for point in measured.points])
    y = _axis("Fréchet distance", [*(point.frechet for point in measured.points), *measured.band])
    described = "; ".join(
        f"{p.label} {p.network_evaluations}: {p.frechet:.2g}" for p in measured.points
    )
    drawn = Plot(
        f"{y.name} on {measured.dataset} against {x.name}: {described}; "
        f"real images: {measured.floor:.2g}.",
        x,
        y,
    )
    drawn.area([x.low, x.high], *measured.band, THEORY)
    drawn.line([x.low, x.high], [measured.floor] * 2, THEORY)
    for curve in measured.curves:
        across, up = [p.network_evaluations for p in curve], [p.frechet for p in curve]
        sampler, dash = curve[0].sampler, JOINED.get(curve[0].kind)
        if dash:
            drawn.line(across, up, SAMPLERS[sampler], dashed=dash != "solid")
        drawn.dots(across, up, SAMPLERS[sampler], radius=3 if dash else radius(sampler))
    _legend(drawn, measured)
    return drawn


def radius(sampler: str) -> int:
    """Of a single dot."""
    return RADII.get(sampler, OTHER_RADIUS)


def _axis(name: str, values: list[float]) -> Axis:
    """A log axis around `values` with some room."""
    low, high = min(values) / 1.3, max(values) * 1.3
    inside = [tick for tick in ROUND if low <= tick <= high]
    powers = [tick for tick in inside if f"{tick:.0e}"[0] == "1"]
    return Axis(name, low, high, log=True, ticks=powers if len(powers) > 2 else inside)


def _legend(drawn: Plot, measured: TradeOff) -> None:
    """What the colours mean, to the left of the paper's settings, which are far from all others."""
    papers = ("paper", "annealed")
    alone = [point.network_evaluations for point in measured.points if point.kind in papers]
    samplers = dict.fromkeys(point.sampler for point in measured.points)
    words = [(sampler, SAMPLERS[sampler]) for sampler in samplers]
    if alone:
        words.insert(0, ("large dots: the paper’s settings", "currentColor"))
    if any(point.kind == "additive" for point in measured.points):
        words.append(("dashed: additive", "currentColor"))
    words.append(("real images", THEORY))
    right = float(drawn.x.share(min(alone))) - 0.03 if alone else 0.98
    for row, (text, colour) in enumerate(words):
        drawn.text(drawn.x.at(right), drawn.y.at(0.95 - 0.085 * row), text, colour, "end")
