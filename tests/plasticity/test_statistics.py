"""Fits and distances against scipy and against samples of known distributions."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from dale_demo.plasticity import ExponentiatedGradient
from dale_demo.plasticity.geometry import dual_change
from dale_demo.plasticity.statistics import (
    dual_gaussianity,
    fit,
    likelihood_ratio,
    log_skew,
    quantile_plot,
)


def log_normal_weights(n: int = 4000, seed: int = 0) -> np.ndarray:
    """The distribution of Song et al. with random signs."""
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], n) * rng.lognormal(-0.702, 0.9355, n)


def normal_weights(n: int = 4000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.3, n)


def test_log_normal_fit_is_scipys():
    w = log_normal_weights()
    shape, _, scale = stats.lognorm.fit(np.abs(w), floc=0)
    found = fit(w, "log-normal")
    assert found.mean == pytest.approx(math.log(scale))
    assert found.std == pytest.approx(shape)
    cdf = stats.lognorm(shape, scale=scale).cdf
    assert found.ks == pytest.approx(stats.kstest(np.abs(w), cdf).statistic)


def test_normal_fit_is_scipys():
    w = normal_weights()
    found = fit(w, "normal")
    assert (found.mean, found.std) == pytest.approx(stats.norm.fit(w))
    assert found.ks == pytest.approx(
        stats.kstest(w, stats.norm(found.mean, found.std).cdf).statistic
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("sample", [normal_weights, log_normal_weights])
def test_anderson_is_scipys(sample):
    """scipy divides by n − 1 in the variance; on the likelihood's scores both must agree."""
    w = sample(500)
    n = len(w)
    probability = np.sort(stats.norm.cdf((w - w.mean()) / w.std()))
    i = np.arange(1, n + 1)
    textbook = -n - np.mean((2 * i - 1) * np.log(probability * (1 - probability[::-1])))
    assert fit(w, "normal").anderson == pytest.approx(textbook, rel=1e-6)
    assert fit(w, "normal").anderson == pytest.approx(stats.anderson(w).statistic, rel=0.02)


def test_a_known_distribution_is_recovered_within_its_standard_error():
    found = fit(log_normal_weights(), "log-normal")
    assert abs(found.mean + 0.702) < 4 * found.std / math.sqrt(found.count)
    assert abs(found.std - 0.9355) < 4 * found.std / math.sqrt(2 * found.count)
    assert found.ks < 0.02 < 0.1 < fit(log_normal_weights(), "normal").ks
    assert found.anderson < 1.04 < fit(log_normal_weights(), "normal").anderson


def test_anderson_distance_does_not_grow_with_the_sample():
    small, large = (fit(normal_weights(n), "log-normal").anderson_distance for n in (2000, 32000))
    assert small == pytest.approx(large, rel=0.15)


def test_likelihood_ratio_favours_the_true_distribution():
    for_log_normal, for_normal = (
        likelihood_ratio(log_normal_weights()),
        likelihood_ratio(normal_weights()),
    )
    assert for_log_normal.z > 5
    assert for_normal.z < -5


def test_likelihood_ratio_is_that_of_scipys_densities():
    w = np.abs(log_normal_weights(200))
    shape, _, scale = stats.lognorm.fit(w, floc=0)
    expected = stats.lognorm.logpdf(w, shape, scale=scale) - stats.norm.logpdf(
        w, *stats.norm.fit(w)
    )
    found, error = likelihood_ratio(w), expected.std() / math.sqrt(len(w))
    assert found.per_weight == pytest.approx(expected.mean(), rel=1e-6)
    assert found.z == pytest.approx(expected.mean() / error, rel=1e-6)


def test_skew_of_the_logarithm():
    """−1.535 is the skewness of ln|z| for a standard normal z: ψ''(½)/ψ'(½)^{3/2}."""
    assert log_skew(log_normal_weights(40_000)) == pytest.approx(0, abs=0.05)
    assert log_skew(normal_weights(40_000)) == pytest.approx(-1.535, abs=0.08)


def test_quantile_plot_is_the_diagonal_for_the_true_distribution():
    plot = quantile_plot(log_normal_weights(40_000), "log-normal", points=19)
    assert np.abs(plot.theory - plot.sample).max() < 0.05
    bent = quantile_plot(normal_weights(40_000), "log-normal", points=19)
    assert np.abs(bent.theory - bent.sample).max() > 0.2


def test_quantile_plot_is_scipys_at_the_median():
    w = log_normal_weights(101)
    plot = quantile_plot(w, "log-normal", points=3)
    assert plot.sample[1] == pytest.approx(np.median(np.log(np.abs(w))))
    assert plot.theory == pytest.approx(
        stats.norm.ppf([1 / 6, 1 / 2, 5 / 6], *stats.norm.fit(np.log(np.abs(w))))
    )


def test_the_dual_change_identifies_the_rule():
    """Under Gaussian directions the change is exactly Gaussian for the rule's own φ, no other."""
    start = torch.from_numpy(log_normal_weights())
    d = torch.from_numpy(np.random.default_rng(1).normal(size=4000))
    ends = {}
    for name, build in (("entropy", ExponentiatedGradient), ("2-norm", torch.optim.SGD)):
        w = torch.nn.Parameter(start.clone())
        w.grad = d
        build([w], lr=0.3).step()
        ends[name] = w.detach()
    for name, end in ends.items():
        distances = {key: found.ks for key, found in dual_gaussianity(start, end).items()}
        assert min(distances, key=distances.get) == name
        assert distances[name] < 0.02
        assert sorted(distances.values())[1] > 0.04


@pytest.mark.parametrize("distribution", ["normal", "log-normal"])
@pytest.mark.parametrize("weights", [[], [1.0, 2.0], [1.0, 1.0, 1.0], [1.0, math.nan, 2.0, 3.0]])
def test_samples_that_cannot_be_fitted_are_refused(weights, distribution):
    with pytest.raises(ValueError, match="at least three finite weights"):
        fit(weights, distribution)


def test_further_mistakes_are_explained():
    with pytest.raises(ValueError, match="1 of 4 weights are zero"):
        fit([0.0, 1.0, 2.0, 3.0], "log-normal")
    with pytest.raises(ValueError, match="distribution must be"):
        fit([1.0, 2.0, 3.0], "gamma")
    with pytest.raises(ValueError, match="not all equal"):
        fit([1.0, -1.0, 1.0, -1.0], "log-normal")
    with pytest.raises(ValueError, match="two points"):
        quantile_plot([1.0, 2.0, 4.0], "normal", points=1)
    with pytest.raises(ValueError, match="equal shapes"):
        dual_change(torch.ones(3), torch.ones(4), "entropy")
    with pytest.raises(ValueError, match="Unknown potential"):
        dual_change(torch.ones(3), torch.ones(3), "1-norm")
