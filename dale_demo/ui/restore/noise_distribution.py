"""The pixels of a noised picture against the law that they must follow, drawn in noise_law.js."""

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

_component = st.components.v2.component(
    "dale_noise_law",
    html='<section class="player" aria-label="Laws of the noised pixels"></section>\n',
    css=asset("shared/film.css"),
    js=asset("shared/film.js", "restore/noise_distribution.js"),
)


@dataclass(frozen=True)
class Law:
    """A noised picture and the density that ln|x| of its pixels must have.

    Args:
        title: Of the plot.
        caption: What the curve is.
        x: The noised picture, any shape.
        density: ln|x| [P] → density [P].
        colour: Of bars and curve.
    """

    title: str
    caption: str
    x: Tensor
    density: Callable[[Array], Array]
    colour: str


def noise_laws(laws: list[Law], log_range: tuple[float, float], *, key: str) -> None:
    """Draw the histograms side by side, from `log_range[0]` to `log_range[1]` in ln|x|."""
    _component(data={"laws": [_pack(law, log_range) for law in laws]}, key=key)


def _pack(law: Law, log_range: tuple[float, float]) -> dict[str, Any]:
    y = law.x.abs().log().flatten().numpy()
    counts, _ = np.histogram(y, BINS, log_range)
    density = law.density(np.linspace(*log_range, CURVE_POINTS + 1))
    return {
        "title": law.title,
        "caption": law.caption,
        "colour": law.colour,
        "range": list(log_range),
        "counts": counts.tolist(),
        "total": len(y),
        "density": [float(f"{v:.4g}") for v in density],
    }
