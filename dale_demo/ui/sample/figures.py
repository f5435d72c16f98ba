"""Arrays in, Plotly figures out; colours from the palette, the rest from the page's theme."""

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dale_demo.drawing.palette import SAMPLERS, STATE, THEORY
from dale_demo.evaluation.trade_off import (
    COSTS,
    LINES,
    PAPER_RADII,
    ROUND,
    Cost,
    Kind,
    Point,
    TradeOff,
    above_zero,
)

TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
SYMBOLS: dict[Kind, str] = {
    "ours": "circle",
    "additive": "circle-open",
    "paper": "diamond",
    "annealed": "diamond-open",
}


def spread(
    noise_levels: NDArray[np.float64],
    measured: NDArray[np.float64],
    theory: NDArray[np.float64],
) -> go.Figure:
    """Standard deviation of ln x along a walk, against the forward process, on log axes.

    Args:
        noise_levels: s(t) of each frame [F]; frames at s = 0 have no place on a log axis.
        measured: Standard deviation of the state's ln|x| [F].
        theory: √(s_d² + s²), that of the noised data [F].
    """
    shown = noise_levels > 0
    s = noise_levels[shown].astype(np.float32)
    figure = go.Figure(
        [
            go.Scatter(
                x=s,
                y=theory[shown].astype(np.float32),
                name="forward law √(s<sub>d</sub>² + s²)",
                mode="lines",
                line={"color": THEORY, "dash": "dash", "width": 2},
            ),
            go.Scatter(
                x=s,
                y=measured[shown].astype(np.float32),
                name="this run",
                mode="lines+markers",
                line={"color": STATE, "width": 3},
            ),
        ]
    )
    figure.update_xaxes(
        title="noise level s(t), falling", type="log", dtick=1, autorange="reversed"
    )
    figure.update_yaxes(title="standard deviation of ln x", type="log", tickvals=TICKS)
    figure.update_layout(
        height=360,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"x": 0, "y": 0, "xanchor": "left", "yanchor": "bottom"},
        hovermode="x unified",
    )
    return figure


def trade_off(curve: TradeOff, against: Cost = "calls") -> go.Figure:
    """Fréchet distance against what a picture costs, on log axes, with the floor of real pictures.

    One colour for each sampler. Ours are joined by solid lines, those of the additive network by
    dashed ones; the paper's settings are diamonds, hollow where annealed.
    """
    curve = curve.against(against)
    figure = go.Figure(_floor(curve, against))
    for line in curve.lines():
        figure.add_trace(_line(line, against))
    figure.update_xaxes(title=COSTS[against], type="log", dtick=1)
    figure.update_yaxes(title="Fréchet distance", type="log", tickvals=ROUND)
    return figure.update_layout(
        height=600,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"orientation": "h", "x": 0, "y": -0.18, "yanchor": "top"},
    )


def _floor(curve: TradeOff, against: Cost) -> list[go.Scatter]:
    """What real pictures get: a band of one standard error, and a line in it."""
    costs = [point.cost(against) for point in curve.points]
    low, high = curve.band
    ends = [min(costs), max(costs)]
    band = go.Scatter(
        x=[*ends, *reversed(ends)],
        y=[low, low, high, high],
        fill="toself",
        mode="lines",
        line={"color": THEORY, "width": 0},
        hoverinfo="skip",
        showlegend=False,
    )
    line = go.Scatter(
        x=ends,
        y=[curve.floor] * 2,
        name="real pictures, the floor",
        mode="lines",
        line={"color": THEORY, "width": 2},
    )
    return [band, line]


def _line(points: tuple[Point, ...], against: Cost) -> go.Scatter:
    """The points of one name, joined where they differ in steps alone."""
    first = points[0]
    colour, frechet = SAMPLERS[first.sampler], [point.frechet for point in points]
    size = 9 if first.kind in LINES else 2 * PAPER_RADII[first.sampler]
    return go.Scatter(
        x=[point.cost(against) for point in points],
        y=frechet,
        error_y={
            "array": [point.error for point in points],
            "arrayminus": [p.frechet - above_zero(p.frechet, p.error) for p in points],
            "thickness": 1,
        },
        name=first.name,
        mode="lines+markers" if first.kind in LINES else "markers",
        line={"color": colour, "width": 2, "dash": "dash" if first.kind == "additive" else "solid"},
        marker={"color": colour, "size": size, "symbol": SYMBOLS[first.kind]},
        customdata=[(point.start, _price(point), point.error) for point in points],
        hovertemplate=(
            "%{y:.3g} ± %{customdata[2]:.1g}<br>%{customdata[1]}<br>%{customdata[0]} start"
        ),
    )


def _price(point: Point) -> str:
    """What a picture costs, in words."""
    calls = f"{point.calls} calls"
    return calls if point.seconds is None else f"{calls}, {point.seconds:.2g} s a picture"
