"""Arrays in, Plotly figures out; colours from the palette, the rest from the page's theme."""

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from dale_demo.palette import STATE, THEORY

TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


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
