"""Figures hold the numbers they were given, without the points that a log axis cannot show."""

import numpy as np
import pytest

from dale_demo.ui.sample.figures import spread, ticks

LEVELS = np.array([8.0, 1.0, 0.1, 0.0])
THEORY = np.hypot(LEVELS, 0.2)


def test_spread_draws_both_curves_without_the_end():
    figure = spread(LEVELS, 2 * THEORY, THEORY)
    theory, measured = figure.data
    np.testing.assert_allclose(theory.x, LEVELS[:3], rtol=1e-6)
    np.testing.assert_allclose(theory.y, THEORY[:3], rtol=1e-6)
    np.testing.assert_allclose(np.divide(measured.y, theory.y), 2, rtol=1e-6)


def test_spread_has_log_axes_and_time_running_down():
    layout = spread(LEVELS, THEORY, THEORY).layout
    assert layout.xaxis.type == layout.yaxis.type == "log"
    assert layout.xaxis.autorange == "reversed"


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.01, 8.0), (0.8, 8.0), (6.0, 8.0), (7.9, 8.0), (2.1, 4.9), (1e-5, 3e-5), (15.0, 20.0)],
)
def test_both_axes_have_labels_however_short_the_run(low, high):
    levels = np.geomspace(high, low, 9)
    layout = spread(levels, 1.01 * levels, levels).layout
    for axis, top in ((layout.xaxis, high), (layout.yaxis, 1.01 * high)):
        inside = [v for v in axis.tickvals if 0.99 * low <= v <= 1.01 * top]
        assert len(inside) >= 2
        assert len(axis.tickvals) < 20, "as many as can be read"


def test_a_run_across_decades_has_round_labels():
    assert ticks(np.array([0.0, 0.3, 12.0])) == [0.5, 1, 2, 5, 10]


@pytest.mark.parametrize("values", [[], [0.0], [np.nan, -1.0]])
def test_an_axis_without_positive_values_has_no_labels(values):
    assert ticks(np.array(values)) == []


def test_a_run_stopped_at_its_start_has_one_label():
    assert ticks(np.array([8.0])) == [8]
