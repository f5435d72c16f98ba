"""Plotly figures of the Sample page; colours from the palette, the rest from the page's theme."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dale_demo.drawing.palette import SAMPLERS, STATE, THEORY
from dale_demo.evaluation.trade_off import JOINED, ROUND, Kind, Point, TradeOff, radius

LEAST_TICKS = 2
SYMBOLS: dict[Kind, str] = {
    "ours": "circle",
    "additive": "circle-open",
    "paper": "diamond",
    "annealed": "diamond-open",
    "narrow": "square",
    "recipe": "x",
}


def spread(
    noise_levels: NDArray[np.float64],
    measured: NDArray[np.float64],
    theory: NDArray[np.float64],
) -> go.Figure:
    """Standard deviation of ln x along a run, against the forward process, on log axes.

    Args:
        noise_levels: s(t) of each frame [F]; those at s = 0 are left out, as a log axis has no 0.
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
                name="forward process √(s<sub>d</sub>² + s²)",
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
    deviations = np.concatenate([measured[shown], theory[shown]])
    figure.update_xaxes(
        title="noise level s(t), falling", type="log", tickvals=ticks(s), autorange="reversed"
    )
    figure.update_yaxes(title="standard deviation of ln x", type="log", tickvals=ticks(deviations))
    figure.update_layout(
        height=360,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"x": 0, "y": 0, "xanchor": "left", "yanchor": "bottom"},
        hovermode="x unified",
    )
    return figure


def ticks(values: NDArray[Any]) -> list[float]:
    """Round values for the labels of a log axis: 1, 2 and 5 times the powers of ten.

    A run that was stopped may span less than one of these; then equal distances take their place.

    Args:
        values: What the axis shows; those that are not positive and finite are left out.
    """
    values = values[np.isfinite(values) & (values > 0)].astype(np.float64)
    if not len(values):
        return []
    low, high = float(values.min()), float(values.max())
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    labels = [m * 10.0**power for power in powers for m in (1, 2, 5)]
    inside = [float(f"{label:.1g}") for label in labels if low <= label <= high]
    if len(inside) >= LEAST_TICKS:
        return inside
    return sorted({float(f"{value:.3g}") for value in np.linspace(low, high, 5)})


def trade_off(measured: TradeOff, cost: str, axis: str) -> go.Figure:
    """Fréchet distance against what an image costs, on log axes, with the floor of real images.

    One colour for each sampler. Ours are joined by solid lines, those of the additive network by
    dashed ones; the paper's settings are diamonds, hollow where annealed.

    Args:
        cost: Field of `Point`, "network_evaluations" or "seconds"; points without it are left out.
        axis: What the axis says.
    """
    known = [
        [point for point in curve if getattr(point, cost) is not None] for curve in measured.curves
    ]
    curves = [curve for curve in known if curve]
    costs = [getattr(point, cost) for curve in curves for point in curve]
    figure = go.Figure(_floor(measured, [min(costs), max(costs)]))
    for curve in curves:
        figure.add_trace(_curve(curve, cost))
    figure.update_xaxes(title=axis, type="log", dtick=1)
    figure.update_yaxes(title="Fréchet distance", type="log", tickvals=ROUND)
    return figure.update_layout(
        height=600,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        legend={"orientation": "h", "x": 0, "y": -0.18, "yanchor": "top"},
    )


def _floor(measured: TradeOff, ends: list[float]) -> list[go.Scatter]:
    """What real images get: a band of one standard error, and a line in it."""
    low, high = measured.band
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
        y=[measured.floor] * 2,
        name="real images, the floor",
        mode="lines",
        line={"color": THEORY, "width": 2},
    )
    return [band, line]


def _curve(points: list[Point], cost: str) -> go.Scatter:
    """The points of one label, joined where they differ in steps alone."""
    kind, sampler = points[0].kind, points[0].sampler
    colour, dash = SAMPLERS[sampler], JOINED.get(kind)
    size = 9 if dash else 2 * radius(sampler)
    return go.Scatter(
        x=[getattr(point, cost) for point in points],
        y=[point.frechet for point in points],
        error_y={
            "array": [point.error for point in points],
            "arrayminus": [point.frechet - point.low for point in points],
            "thickness": 1,
        },
        name=points[0].label,
        mode="lines+markers" if dash else "markers",
        line={"color": colour, "width": 2, "dash": dash},
        marker={"color": colour, "size": size, "symbol": SYMBOLS[kind]},
        customdata=[(point.start, _cost(point), point.error) for point in points],
        hovertemplate=(
            "%{y:.3g} ± %{customdata[2]:.1g}<br>%{customdata[1]}<br>%{customdata[0]} start"
        ),
    )


def _cost(point: Point) -> str:
    """What an image costs, in words."""
    evaluations = f"{point.network_evaluations} network evaluations"
    return evaluations + ("" if point.seconds is None else f", {point.seconds:.2g} s an image")
