"""Plotly figures of a training: Q–Q plots, pruning curves, the search of the learning rates."""

import numpy as np
import plotly.graph_objects as go

from dale_demo.drawing.palette import RULES, THEORY
from dale_demo.ui.dales_law.record import NAMES, SHARES, LearningRecord, end_of

MARGIN = {"l": 0, "r": 0, "t": 8, "b": 0}
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}


def quantiles(record: LearningRecord) -> go.Figure:
    """Draw the Q–Q plot of ln|w| against each rule's log-normal fit, in standard deviations."""
    figure = go.Figure()
    figure.add_scatter(
        x=[-3, 3],
        y=[-3, 3],
        mode="lines",
        name="log-normal",
        line={"color": THEORY, "dash": "dash"},
    )
    for name, rule in record.rules.items():
        theory, sample = end_of(rule).quantiles
        mean, std = rule.frames.fits[-1, 1, :2]
        figure.add_scatter(
            x=((theory - mean) / std).astype(np.float32),
            y=((sample - mean) / std).astype(np.float32),
            mode="markers",
            name=NAMES[name],
            marker={"color": RULES[name], "size": 7},
        )
    figure.update_xaxes(title="quantile of the log-normal fit, in standard deviations of ln|w|")
    figure.update_yaxes(title="quantile of the weights")
    return figure.update_layout(height=420, margin=MARGIN, legend=LEGEND)


def pruning(record: LearningRecord, share: float) -> go.Figure:
    """Draw accuracy or minus the loss against the share pruned; a line marks `share`."""
    figure = go.Figure()
    x = 100 * np.array(SHARES, np.float32)
    for name, rule in record.rules.items():
        figure.add_scatter(
            x=x,
            y=end_of(rule).pruned.astype(np.float32),
            mode="lines+markers",
            name=NAMES[name],
            line={"color": RULES[name], "width": 3},
        )
    figure.add_vline(x=100 * share, line={"color": THEORY, "dash": "dash"})
    figure.update_xaxes(title="weights pruned, the smallest first, in %")
    return figure.update_layout(height=360, margin=MARGIN, legend=LEGEND, hovermode="x unified")


def trials(record: LearningRecord) -> go.Figure:
    """Draw what each rate achieved on the validation examples; a ring marks the one used."""
    figure = go.Figure()
    for name, rule in record.rules.items():
        if not rule.searched:
            continue
        rate, loss, accuracy = rule.trials.T.astype(np.float32)
        merit = loss if np.isnan(accuracy).all() else accuracy
        shown = np.isfinite(merit)
        best = np.isclose(rate, rule.learning_rate)
        figure.add_scatter(
            x=rate[shown],
            y=merit[shown],
            mode="lines+markers",
            name=NAMES[name],
            line={"color": RULES[name], "width": 3},
            marker={
                "size": np.where(best[shown], 14, 7),
                "symbol": np.where(best[shown], "circle-open-dot", "circle"),
            },
        )
    figure.update_xaxes(title="learning rate η", type="log", dtick=1)
    return figure.update_layout(height=360, margin=MARGIN, legend=LEGEND)
