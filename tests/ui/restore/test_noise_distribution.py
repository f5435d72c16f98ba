"""What the histograms of a noised image hold: NumPy's counts, and the density at their points."""

import math

import numpy as np
import pytest
import torch

from dale_demo.process import GeometricBrownianMotion
from dale_demo.restoration import multiplicative_density, noise, until
from dale_demo.ui.restore.noise_distribution import BINS, CURVE_POINTS, NoiseDistribution, pack

RANGE = (-3.0, 3.0)


def standard_normal(y: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * y**2) / math.sqrt(2 * math.pi)


def packed(x: torch.Tensor, density=standard_normal, log_range=RANGE) -> dict:
    return pack(NoiseDistribution("title", "caption", x, density, "#123456"), log_range)


def area_between(shown: dict) -> float:
    """Mean absolute difference of bars and curve, times the width of the range."""
    low, high = shown["range"]
    bars = np.array(shown["counts"]) / shown["total"] * BINS / (high - low)
    middles = low + (np.arange(BINS) + 0.5) * (high - low) / BINS
    curve = np.interp(middles, np.linspace(low, high, CURVE_POINTS + 1), shown["density"])
    return float(np.abs(bars - curve).mean() * (high - low))


def test_bars_are_the_histogram_of_ln_x_whatever_the_sign(generator):
    y = torch.randn(1, 1, 50, 40, generator=generator)
    signs = torch.where(torch.arange(40) % 2 == 0, 1.0, -1.0)
    shown = packed(signs * y.exp())
    counts, _ = np.histogram(y.numpy(), BINS, RANGE)
    assert shown["counts"] == pytest.approx(counts, abs=1)
    assert shown["total"] == 2000, "with those outside the range"
    assert sum(shown["counts"]) < 2000


def test_the_curve_is_the_density_at_its_points(generator):
    shown = packed(torch.ones(4))
    points = np.linspace(*RANGE, CURVE_POINTS + 1)
    np.testing.assert_allclose(shown["density"], standard_normal(points), rtol=1e-3)
    assert (shown["title"], shown["caption"], shown["colour"]) == ("title", "caption", "#123456")


def test_bars_follow_the_density_of_their_noise_and_no_other(generator):
    """An image of two values, noised as the page does it."""
    process = until(GeometricBrownianMotion.median_preserving(0.8), 0.3)
    x0 = torch.where(torch.rand(1, 1, 200, 200, generator=generator) < 0.3, 2.0, 1.0)
    x = noise(x0, process, torch.randn(x0.shape, generator=generator))
    exact = packed(x, lambda y: multiplicative_density(x0, process, y), (-1.2, 1.8))
    assert area_between(exact) < 0.05
    bright = packed(x, lambda y: multiplicative_density(2 * x0, process, y), (-1.2, 1.8))
    assert area_between(bright) > 0.5, "the control: a brighter image"
