"""Draw small plots as SVG text, for pages that show a plot before they load a plotting library.

Text and axes have the colour `currentColor`, so an inline plot follows the page's theme.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dale_demo.drawing.markdown import number

WIDTH, HEIGHT = 400, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 8, 40
"""Size of a plot and its margins, in SVG units (pixels at its natural size)."""
FONT = 14
_STANDALONE_STYLE = (
    "<style>svg{color:#22252a;font-family:sans-serif}"
    "@media(prefers-color-scheme:dark){svg{color:#e8e6e3}}</style>"
)
"""Text colour of a plot in a file of its own: dark, or light if the reader's system is dark."""


@dataclass(frozen=True)
class Axis:
    """One axis of a plot.

    Args:
        name: Its label.
        low, high: Its ends, in data units.
        log: Whether it is logarithmic; then both ends are positive.
        ticks: Values that get a number.

    Raises:
        ValueError: The ends are not in order, or a logarithmic axis reaches zero.
    """

    name: str
    low: float
    high: float
    log: bool = False
    ticks: Sequence[float] = ()

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"{self.name}: low < high expected, got {self.low}, {self.high}.")
        if self.log and self.low <= 0:
            raise ValueError(f"{self.name}: a log axis starts above 0, got {self.low}.")

    def share(self, values: ArrayLike) -> NDArray[np.float64]:
        """Position of each value along the axis: 0 at the low end, 1 at the high end."""
        ends = np.array([self.low, self.high], np.float64)
        values = np.asarray(values, np.float64)
        if self.log:
            ends, values = np.log(ends), np.log(values)
        return (values - ends[0]) / (ends[1] - ends[0])

    def at(self, share: float) -> float:
        """The value at the position `share` along the axis; the inverse of the method `share`."""
        if self.log:
            return self.low * (self.high / self.low) ** share
        return self.low + (self.high - self.low) * share


@dataclass
class Plot:
    """A plot; each drawing method adds one layer on top.

    Args:
        description: What it shows, for screen readers.
        x, y: Its axes.
    """

    description: str
    x: Axis
    y: Axis
    _layers: list[str] = field(default_factory=list)

    def line(
        self,
        x: ArrayLike,
        y: ArrayLike,
        colour: str,
        *,
        width: float = 2,
        opacity: float = 1,
        dashed: bool = False,
        arrow: bool = False,
    ) -> None:
        """Join the points (x, y), both [N]; `arrow` puts a head at the last."""
        points = self._points(x, y)
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._layers.append(
            f'<path d="{_path(points)}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
            f'stroke-opacity="{opacity:g}" stroke-linejoin="round"{dash}/>'
        )
        if arrow:
            self._layers.append(_head(points[-2], points[-1], colour))

    def area(
        self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, *, opacity: float = 0.25
    ) -> None:
        """Fill between `low` and `high`, each [N] or one number, over `x` [N]."""
        x = np.asarray(x, np.float64)
        edges = [np.broadcast_to(np.asarray(edge, np.float64), x.shape) for edge in (high, low)]
        points = np.concatenate([self._points(x, edges[0]), self._points(x, edges[1])[::-1]])
        self._layers.append(
            f'<path d="{_path(points)}Z" fill="{colour}" fill-opacity="{opacity:g}"/>'
        )

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str, *, radius: float = 4) -> None:
        """Draw a disc at every point (x, y), both [N]."""
        for px, py in self._points(x, y):
            self._layers.append(
                f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{radius:g}" fill="{colour}"/>'
            )

    def text(
        self, x: float, y: float, words: str, colour: str = "currentColor", anchor: str = "start"
    ) -> None:
        """Write `words` with their `anchor` ("start", "middle" or "end") at (x, y)."""
        ((px, py),) = self._points([x], [y])
        self._layers.append(_words(px, py, words, colour, anchor))

    def svg(self, standalone: bool = False) -> str:
        """Return the plot as SVG, which scales with its container up to 1.5 times its size.

        Args:
            standalone: Whether it is for a file of its own, where no page sets the text colour.
        """
        # Layers are clipped to the axes by an inner <svg>; text is not, and is drawn on top.
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                f'role="img" aria-label="{escape(self.description)}" font-size="{FONT}" '
                f'style="display:block;width:100%;max-width:{1.5 * WIDTH:g}px">',
                *([_STANDALONE_STYLE] if standalone else []),
                *self._axes(),
                '<svg x="{}" y="{}" width="{}" height="{}" viewBox="{} {} {} {}">'.format(
                    *(2 * (LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM))
                ),
                *(layer for layer in self._layers if not layer.startswith("<text")),
                "</svg>",
                *(layer for layer in self._layers if layer.startswith("<text")),
                "</svg>\n",
            ]
        )

    def _points(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Positions of the points (x, y) in SVG units [N, 2]."""
        across, up = self.x.share(x), self.y.share(y)
        return np.stack(
            [
                LEFT + across * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM),
            ],
            1,
        )

    def _axes(self) -> list[str]:
        bottom, end = HEIGHT - BOTTOM, WIDTH - RIGHT
        return [
            f'<path d="M{LEFT} {TOP}V{bottom}H{end}" fill="none" stroke="currentColor" '
            'stroke-opacity="0.35"/>',
            *(
                _words(
                    LEFT + float(self.x.share(tick)) * (end - LEFT), bottom + 16, number(tick, "g")
                )
                for tick in self.x.ticks
            ),
            *(
                _words(
                    LEFT - 5,
                    bottom - float(self.y.share(tick)) * (bottom - TOP) + 4,
                    number(tick, "g"),
                    anchor="end",
                )
                for tick in self.y.ticks
            ),
            _words((LEFT + end) / 2, HEIGHT - 6, self.x.name),
            f'<g transform="rotate(-90 13 {(TOP + bottom) / 2:g})">'
            f"{_words(13, (TOP + bottom) / 2, self.y.name)}</g>",
        ]


def _path(points: NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points)


def _head(before: NDArray[np.float64], tip: NDArray[np.float64], colour: str) -> str:
    """A triangle that points from `before` to `tip`."""
    angle = math.degrees(math.atan2(tip[1] - before[1], tip[0] - before[0]))
    return (
        f'<path d="M0 0L-8 -4L-8 4Z" fill="{colour}" '
        f'transform="translate({tip[0]:.1f} {tip[1]:.1f}) rotate({angle:.1f})"/>'
    )


def _words(
    x: float, y: float, words: str, colour: str = "currentColor", anchor: str = "middle"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(words)}</text>"
    )
