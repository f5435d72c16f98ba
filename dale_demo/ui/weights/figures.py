"""Plots of weights as SVG: their distribution with both fits, Q–Q plots, and those of a change."""

import math
from collections.abc import Sequence

import numpy as np

from dale_demo.drawing.palette import (
    CONSTRAINED,
    EXCITATORY,
    EXPONENTIATED,
    INHIBITORY,
    PLAIN,
    THEORY,
)
from dale_demo.drawing.svg import Axis, Plot
from dale_demo.ui.weights.settings import AS_MEASURED, NOT_SHOWN
from dale_demo.weights.change_report import POTENTIALS, LayerChange
from dale_demo.weights.reference import (
    SONG_LOG_MEAN,
    SONG_LOG_STD,
    log_normal_density,
    normal_density,
    song_density,
)
from dale_demo.weights.report import BINS_PER_DECADE, EDGES, POINTS, Layer

INK = "currentColor"
BIN = math.log(10) / BINS_PER_DECADE
"""Width of a bin in ln|w|."""
TAIL = 1e-3
"""Share of the weights that may lie to the left of the plot, and to the right."""
LARGEST = 3
"""Standard deviations at the ends of a Q–Q plot."""
GEOMETRIES = {"2-norm": PLAIN, "3-norm": CONSTRAINED, "entropy": EXPONENTIATED}
NAMES = {
    "2-norm": "in w (gradient descent)",
    "3-norm": "in w|w|",
    "entropy": "in ln|w| (exponentiated gradient)",
}
"""What the change of ∇φ(w) is the change of, up to constants."""


def distribution(
    layer: Layer, overlay: str = NOT_SHOWN, span: tuple[float, float] | None = None
) -> Plot:
    """Draw the histogram of |w| on a log axis, excitatory weights up and inhibitory ones down.

    The height is the density of ln|w| over all weights that have a sign. A solid curve is the
    log-normal fit, a dashed one the normal fit.

    Args:
        overlay: Whether to add the strengths measured in cortex, and where to centre them.
        span: Ends of the axis; see `span_of`.
    """
    low, high = span or span_of([layer], overlay)
    y = np.linspace(math.log(low), math.log(high), 241)
    bars = layer.counts / (max(1, layer.signed) * BIN)
    curves = _curves(layer, y)
    song = _song(layer, y, overlay)
    heights = (bars.max(), song.max(), *(curve.max() for pair in curves for curve in pair))
    top = 1.15 * float(max(heights)) or 1.0
    plot = Plot(
        f"Distribution of the weights by size, on a log axis: {layer.excitatory:,} excitatory ones "
        f"above the line, {layer.inhibitory:,} inhibitory ones below it, with a log-normal and a "
        "normal fit.",
        Axis("|w|", low, high, log=True, ticks=_decades(low, high)),
        Axis("density of ln|w|", -top, top),
    )
    for row, sign, colour in zip(bars, (1, -1), (EXCITATORY, INHIBITORY), strict=True):
        plot.area(*_steps(row, sign), 0, colour, opacity=0.55)
    plot.line([low, high], [0, 0], INK, width=1, opacity=0.5)
    for pair, dashed in zip(curves, (False, True), strict=False):
        for sign, curve in zip((1, -1), pair, strict=True):
            plot.line(np.exp(y), sign * curve, INK, width=1.5, dashed=dashed)
    if song.any():
        plot.line(np.exp(y), song, THEORY, width=4, opacity=0.8)
        plot.text(plot.x.at(0.02), 0.66 * top, "Song et al. 2005", THEORY)
    plot.text(plot.x.at(0.02), 0.86 * top, "excitatory", EXCITATORY)
    plot.text(plot.x.at(0.02), -0.94 * top, "inhibitory", INHIBITORY)
    return plot


def quantiles(layer: Layer) -> Plot:
    """Draw quantiles of the weights against those of both fits, in standard deviations."""
    plot = _quantile_axes(
        "Quantiles of the weights against those of the log-normal fit, solid, and of the normal "
        "fit, dashed; on the thin diagonal a fit is perfect.",
        "quantile of the fit, in s.d.",
        "quantile of the weights",
    )
    moments = ((layer.log_mean, layer.log_std), (layer.mean, layer.std))
    for (theory, sample), (mean, std), dashed in zip(
        layer.quantiles.astype(np.float64), moments, (False, True), strict=True
    ):
        if layer.fitted:
            plot.line((theory - mean) / std, (sample - mean) / std, INK, dashed=dashed)
    return plot


def change_quantiles(change: LayerChange) -> Plot:
    """Draw quantiles of the change of ∇φ(w) against normal ones, for each potential."""
    plot = _quantile_axes(
        "Quantiles of the change of the weights in the dual space of three potentials, against "
        "those of a normal distribution; on the thin diagonal the change is normal.",
        "quantile of a normal distribution",
        "quantile of the change, in s.d.",
    )
    theory = _normal_quantiles()
    for row, (name, colour) in enumerate(GEOMETRIES.items()):
        if change.used:
            sample = change.quantiles[POTENTIALS.index(name)].astype(np.float64)
            plot.line(theory, sample, colour, width=2.5)
        plot.text(-0.94 * LARGEST, LARGEST * (0.84 - 0.19 * row), NAMES[name], colour)
    return plot


def _quantile_axes(description: str, across: str, up: str) -> Plot:
    ticks = (-2, -1, 0, 1, 2)
    plot = Plot(
        description,
        Axis(across, -LARGEST, LARGEST, ticks=ticks),
        Axis(up, -LARGEST, LARGEST, ticks=ticks),
    )
    plot.line([-LARGEST, LARGEST], [-LARGEST, LARGEST], THEORY, width=1)
    return plot


def _normal_quantiles() -> np.ndarray:
    from scipy.special import ndtri

    return ndtri((np.arange(POINTS) + 0.5) / POINTS)


def span_of(layers: Sequence[Layer], overlay: str = NOT_SHOWN) -> tuple[float, float]:
    """The part of the axis of |w| that holds nearly all of the weights, and the overlay."""
    ends = [_ends(layer) for layer in layers if layer.signed] or [(1e-3, 1.0)]
    if overlay == AS_MEASURED:
        reach = 3 * SONG_LOG_STD
        ends.append((math.exp(SONG_LOG_MEAN - reach), math.exp(SONG_LOG_MEAN + reach)))
    return min(low for low, _ in ends), max(high for _, high in ends)


def _ends(layer: Layer) -> tuple[float, float]:
    counts = layer.counts.sum(0)
    share = np.cumsum(counts) / counts.sum()
    first, last = int((share <= TAIL).sum()), int((share < 1 - TAIL).sum())
    return float(EDGES[max(0, first - 1)]), float(EDGES[min(len(EDGES) - 1, last + 2)])


def _curves(layer: Layer, y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Density of ln|w| of both fits at `y`: of excitatory and of inhibitory weights."""
    if not layer.fitted:
        return []
    share = layer.excitatory_share
    log_normal = log_normal_density(y, layer.log_mean, layer.log_std)
    return [
        (share * log_normal, (1 - share) * log_normal),
        (
            normal_density(y, layer.mean, layer.std, 1),
            normal_density(y, layer.mean, layer.std, -1),
        ),
    ]


def _song(layer: Layer, y: np.ndarray, overlay: str) -> np.ndarray:
    """The strengths measured in cortex, as a part of the excitatory weights; zeros for none."""
    if overlay == NOT_SHOWN or not layer.excitatory:
        return np.zeros_like(y)
    centre = SONG_LOG_MEAN if overlay == AS_MEASURED or not layer.fitted else layer.log_mean
    return layer.excitatory_share * song_density(y, centre)


def _steps(row: np.ndarray, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """The outline of a histogram's bars: x, and heights with the sign."""
    used = np.flatnonzero(row)
    if not len(used):
        return EDGES[:2], np.zeros(2)
    part = slice(used[0], used[-1] + 1)
    edges = EDGES[used[0] : used[-1] + 2]
    return np.repeat(edges, 2)[1:-1], sign * np.repeat(row[part], 2)


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten within the axis, at most six."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    step = max(1, math.ceil((last - first + 1) / 6))
    return [10.0**n for n in range(first, last + 1, step)]
