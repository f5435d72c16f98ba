"""Measurements of the page Theory: they agree, they can fail, and their errors are right."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from dale_demo.drawing.palette import INHIBITORY
from dale_demo.process import GeometricBrownianMotion
from dale_demo.theory import measurements
from dale_demo.theory.claims import LIMIT, Claim, equal, follows, mean_of
from dale_demo.theory.measurements import MEASUREMENTS
from dale_demo.theory.mixture import LOG_MEANS, LOG_STDS, PROCESS, WEIGHTS, mixture_score
from dale_demo.theory.pictures import PICTURES

SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_claim_holds_and_every_list_has_a_control(name, seed):
    claims = MEASUREMENTS[name](seed)
    assert not [(claim.text, claim.apart) for claim in claims if not claim.holds]
    assert any(claim.control for claim in claims)
    assert len({claim.text for claim in claims}) == len(claims)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_the_same_seed_gives_the_same_measurement(name):
    first, again, other = (MEASUREMENTS[name](seed) for seed in (1, 1, 2))
    assert first == again
    if any(claim.random for claim in first):
        assert first != other


def test_random_claims_miss_by_about_one_error():
    """The errors of the cheap measurements, over many seeds: neither too wide nor too narrow."""
    missed: dict[str, list[float]] = {}
    for seed in range(40):
        for name in ("motion", "score", "tweedie", "non_negative"):
            for claim in MEASUREMENTS[name](seed):
                if claim.random and not claim.control:
                    missed.setdefault(claim.text, []).append(
                        (claim.measured - claim.expected) / claim.error
                    )
    for text, values in missed.items():
        assert abs(np.mean(values)) < 4 / math.sqrt(len(values)), text
        assert 0.6 < np.std(values) < 1.5, text


@pytest.mark.parametrize(
    ("control", "measured", "holds"),
    [
        (False, LIMIT - 0.1, True),
        (False, LIMIT + 0.1, False),
        (False, math.nan, False),
        (True, LIMIT - 0.1, False),
        (True, LIMIT + 0.1, True),
        (True, math.nan, False),
    ],
)
def test_a_claim_can_fail(control, measured, holds):
    assert Claim("", measured, 0.0, 1.0, control=control).holds is holds


def test_a_wrong_library_is_noticed(monkeypatch):
    """With the sign of Itô's correction turned, wherever it comes in."""
    monkeypatch.setattr(
        GeometricBrownianMotion, "log_drift", lambda self, t: (self.mu + self.sigma**2 / 2) * t
    )
    for name in ("motion", "score", "lamperti", "tweedie"):
        assert not all(claim.holds for claim in MEASUREMENTS[name](0)), name


def test_claims_are_built_from_mean_error_and_difference():
    values = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    claim = mean_of("", values, 3.0)
    assert (claim.measured, claim.expected) == (3.0, 3.0)
    assert claim.error == pytest.approx(stats.sem(values.numpy()))
    assert equal("", torch.tensor([1e-14, -1e-13])).holds
    assert not equal("", torch.tensor([0.0, 1e-10])).holds


def test_ks_distance_has_the_mean_and_spread_of_the_kolmogorov_distribution():
    claim = follows("", torch.linspace(0, 1, 400, dtype=torch.float64), stats.uniform.cdf)
    assert claim.expected == pytest.approx(stats.kstwobign.mean() / 20, rel=1e-3)
    assert claim.error == pytest.approx(stats.kstwobign.std() / 20, rel=1e-3)
    assert claim.measured < 0.01


def test_crossing_probability_by_quadrature_over_the_noise():
    x, delta = torch.tensor([0.4, 1.3], dtype=torch.float64), 0.7
    h = mixture_score()(x[:, None], torch.ones(2, dtype=torch.float64))[:, 0].tolist()
    mu, sigma = PROCESS.mu, PROCESS.sigma

    def below(z, h):
        factor = 1 + (2 * sigma**2 - mu + sigma**2 * h) * delta + sigma * math.sqrt(delta) * z
        return stats.norm.pdf(z) * (factor < 0)

    grid = np.linspace(-8, 8, 400_001)
    expected = [integrate.trapezoid(below(grid, value), grid) for value in h]
    found = measurements.crossing_probability(x, delta)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_posterior_variance_by_brute_force():
    generator, t = torch.Generator().manual_seed(0), 0.3
    y0 = torch.linspace(-2, 2, 1001, dtype=torch.float64)
    prior = sum(
        wk * torch.from_numpy(stats.norm.pdf(y0, ak, bk))
        for ak, bk, wk in zip(LOG_MEANS, LOG_STDS, WEIGHTS, strict=True)
    )
    x0 = measurements.draw_data(generator, 3000)
    z = torch.randn(3000, generator=generator, dtype=torch.float64)
    y = PROCESS.forward(x0, torch.tensor(t), z).log()[:, None]
    m, s = (PROCESS.mu - PROCESS.sigma**2 / 2) * t, PROCESS.sigma * math.sqrt(t)
    posterior = prior * (-0.5 * ((y - y0 - m) / s) ** 2).exp()
    posterior /= posterior.sum(1, keepdim=True)
    variance = (posterior * y0**2).sum(1) - (posterior * y0).sum(1) ** 2
    error = variance.std().item() / math.sqrt(len(variance))
    assert measurements.posterior_variance(t) == pytest.approx(
        variance.mean().item(), abs=4 * error
    )
    assert error < 0.003


def test_half_score_power_by_adaptive_quadrature_of_a_density_without_the_library():
    t = 0.3
    m, s = (PROCESS.mu - PROCESS.sigma**2 / 2) * t, PROCESS.sigma * math.sqrt(t)

    def density(y):
        parts = zip(WEIGHTS, LOG_MEANS, LOG_STDS, strict=True)
        return sum(w * stats.norm.pdf(y, a + m, math.hypot(b, s)) for w, a, b in parts)

    def integrand(y, step=1e-5):
        log_slope = (math.log(density(y + step)) - math.log(density(y - step))) / (2 * step)
        return density(y) * (log_slope - 1) ** 2 / 2

    expected = integrate.quad(integrand, -5, 5, limit=200)[0]
    assert measurements.half_score_power(t) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rate", [0.3, 2.5, 40.0])
def test_the_rate_is_the_closed_form(rate):
    x = torch.empty(500, 1, dtype=torch.float64).exponential_(
        rate, generator=torch.Generator().manual_seed(0)
    )
    found, error = measurements.exponential_rate(x)
    assert found == pytest.approx((2 * x.sum() / (x**2).sum()).item(), rel=1e-9)
    assert abs(found - rate) < 5 * error


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_measurement_has_a_figure(name):
    text = PICTURES[name]().svg()
    assert text.startswith("<svg")
    assert "nan" not in text
    assert len(text) < 40_000
    assert (INHIBITORY in text) == (name in ("score", "reverse", "lamperti", "mirror"))
