"""Figures hold the numbers they were given, without the points that a log axis cannot show."""

import numpy as np

from dale_demo.ui.sample.figures import spread

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
