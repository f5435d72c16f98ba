"""Histograms of a noised image beside the exact density, drawn by noise_distribution.js."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.ui.shared.assets import asset

Array = NDArray[np.float64]
BINS, CURVE_POINTS = 40, 160
"""CURVE_POINTS is that of film.js, which draws the curve."""

_component = st.components.v2.component(
    "dale_noise_distribution",
    html='<section class="player" aria-label="Distributions of the noised pixels"></section>\n',
    css=asset("shared/film.css"),
    js=asset("shared/film.js", "restore/noise_distribution.js"),
)


@dataclass(frozen=True)
class NoiseDistribution:
    """A noised image, and the density that ln|x| of its pixels must have.

    Args:
        title: Of the plot.
        caption: What the curve is.
        x: The noised image, any shape.
        density: ln|x| [P] → density [P].
        colour: Of bars and curve.
    """

    title: str
    caption: str
    x: Tensor
    density: Callable[[Array], Array]
    colour: str


def noise_distributions(
    distributions: list[NoiseDistribution], log_range: tuple[float, float], *, key: str
) -> None:
    """Draw the histograms side by side, from `log_range[0]` to `log_range[1]` in ln|x|."""
    packed = [pack(distribution, log_range) for distribution in distributions]
    _component(data={"distributions": packed}, key=key)


def pack(distribution: NoiseDistribution, log_range: tuple[float, float]) -> dict[str, Any]:
    """What noise_distribution.js reads: counts of the histogram, and the curve at its points.

    Pixels outside the range are in no bar, but in `total`, so that bars and curve stay comparable.
    """
    y = distribution.x.abs().log().flatten().numpy()
    counts, _ = np.histogram(y, BINS, log_range)
    density = distribution.density(np.linspace(*log_range, CURVE_POINTS + 1))
    return {
        "title": distribution.title,
        "caption": distribution.caption,
        "colour": distribution.colour,
        "range": list(log_range),
        "counts": counts.tolist(),
        "total": len(y),
        "density": [float(f"{v:.4g}") for v in density],
    }
