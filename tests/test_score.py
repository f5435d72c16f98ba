"""Scores against torch.distributions with autograd, finite differences and quadrature."""

import math

import pytest
import torch
from scipy import integrate, stats
from torch import distributions as dist
from torch.testing import assert_close

from dale_demo.process import GeometricBrownianMotion, LogNormal
from dale_demo.score import (
    LogNormalMixtureScore,
    conditional_target,
    denoise,
    denoised_from_hyvarinen,
    from_denoiser,
    guided,
    hyvarinen_from_denoised,
    hyvarinen_from_stein,
    log_normal_score,
)

PROCESS = GeometricBrownianMotion(mu=0.3, sigma=1.2, horizon=2.0)
TIMES = torch.tensor([1e-3, 0.4, 1.1, 2.0], dtype=torch.float64)


def states(generator, dim):
    return torch.randn(4, dim, generator=generator, dtype=torch.float64).mul(0.6).exp()


def mixture(generator, dim):
    """Random log means, log stds and weights of three components."""
    a = torch.randn(3, dim, generator=generator, dtype=torch.float64)
    b = 0.1 + torch.rand(3, dim, generator=generator, dtype=torch.float64)
    return a, b, torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)


def reference_log_density(a, b, w, x, t):
    """ln p_t(x) by torch.distributions, from the closed-form forward distribution."""
    log_mean = a + (PROCESS.mu - PROCESS.sigma**2 / 2) * t
    log_std = (b**2 + PROCESS.sigma**2 * t).sqrt()
    components = dist.Independent(dist.LogNormal(log_mean, log_std), 1)
    return dist.MixtureSameFamily(dist.Categorical(probs=w), components).log_prob(x)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_mixture_score_is_the_gradient_of_an_independent_log_density(dim, generator):
    a, b, w = mixture(generator, dim)
    score, x = LogNormalMixtureScore(PROCESS, a, b, w), states(generator, dim).requires_grad_()
    expected = torch.stack([reference_log_density(a, b, w, x[i], t) for i, t in enumerate(TIMES)])
    assert_close(score.log_density(x.detach(), TIMES), expected.detach())
    (stein,) = torch.autograd.grad(expected.sum(), x)
    h = score(x.detach(), TIMES)
    assert_close(h, x.detach() * stein)
    other = LogNormalMixtureScore(PROCESS, a, b)  # equal weights are another distribution
    assert (other(x.detach(), TIMES) - h).abs().max() > 0.01


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_mixture_score_agrees_with_finite_differences(dim, generator):
    score, eps = LogNormalMixtureScore(PROCESS, *mixture(generator, dim)), 1e-6
    x = states(generator, dim)
    for i in range(dim):
        e = torch.zeros(dim, dtype=torch.float64)
        e[i] = eps
        slope = (score.log_density(x + e, TIMES) - score.log_density(x - e, TIMES)) / (2 * eps)
        assert_close(score(x, TIMES)[:, i], x[:, i] * slope, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_one_spread_for_all_is_as_many_equal_ones(dim, generator):
    a, _, w = mixture(generator, dim)
    x, shared = states(generator, dim), LogNormalMixtureScore(PROCESS, a, torch.tensor(0.3), w)
    equal = LogNormalMixtureScore(PROCESS, a, torch.full((3, dim), 0.3), w)
    assert_close(shared(x, TIMES), equal(x, TIMES))
    assert_close(shared.log_density(x, TIMES), equal.log_density(x, TIMES))
    other = LogNormalMixtureScore(PROCESS, a, torch.tensor(0.31), w)
    assert (other(x, TIMES) - shared(x, TIMES)).abs().max() > 1e-3


def test_mixture_keeps_any_shape_and_one_component_is_log_normal(generator):
    x = states(generator, 6).reshape(4, 1, 2, 3)
    data = LogNormal(0.2, 0.3)
    one = LogNormalMixtureScore(PROCESS, torch.full((1, 1, 2, 3), 0.2), torch.tensor(0.3))
    assert_close(one(x, TIMES), log_normal_score(PROCESS, data)(x, TIMES))


def test_tweedie_is_the_posterior_mean_by_quadrature():
    a, b, w = (-0.5, 0.6), (0.1, 0.3), (0.3, 0.7)
    score = LogNormalMixtureScore(
        PROCESS, torch.tensor(a)[:, None], torch.tensor(b)[:, None], torch.tensor(w)
    )
    x, t = 1.4, 0.3
    m, s = (0.3 - 0.72) * t, 1.2 * math.sqrt(t)

    def joint(y0, power):
        prior = sum(wk * stats.norm.pdf(y0, ak, bk) for ak, bk, wk in zip(a, b, w, strict=True))
        return y0**power * prior * stats.norm.pdf(math.log(x), y0 + m, s)

    first, total = (integrate.quad(joint, -3, 3, (k,), points=a)[0] for k in (1, 0))
    d = denoise(score, PROCESS, torch.tensor([[x]]), torch.tensor([t]))
    assert d.item() == pytest.approx(first / total, abs=1e-5)
    assert d.item() != pytest.approx(math.log(x), abs=0.05)


def test_conversions_round_trip(generator):
    x, h = states(generator, 3), torch.randn(4, 3, generator=generator, dtype=torch.float64)
    d = denoised_from_hyvarinen(h, PROCESS, x, TIMES)
    assert_close(hyvarinen_from_denoised(d, PROCESS, x, TIMES), h)
    assert_close(hyvarinen_from_stein(h / x, x), h)
    assert (d - denoised_from_hyvarinen(h, PROCESS, x, TIMES.flip(0))).abs().max() > 0.1


def test_a_denoiser_survives_the_round_trip_at_the_smallest_noise(generator):
    def denoiser(u, s):  # returns float32, as a network does
        return (u.sin() + s.reshape(-1, 1)).float()

    x, t = states(generator, 3), PROCESS.time(torch.tensor([0.002] * 4, dtype=torch.float64))
    u = x.log() - (0.3 - 0.72) * t[:, None]
    d = denoise(from_denoiser(denoiser, PROCESS), PROCESS, x, t)
    assert_close(d, denoiser(u, PROCESS.noise_level(t)).double(), rtol=0, atol=1e-12)


def test_conditional_target_is_the_score_of_the_transition_density(generator):
    x0, x = states(generator, 2), states(generator, 2).requires_grad_()
    transition = dist.LogNormal(
        x0.log() + (0.3 - 0.72) * TIMES[:, None], 1.2 * TIMES[:, None].sqrt()
    )
    (stein,) = torch.autograd.grad(transition.log_prob(x).sum(), x)
    target = conditional_target(PROCESS, x0, x.detach(), TIMES)
    assert_close(target, x.detach() * stein)


def test_guidance_extrapolates_from_the_unconditional_score():
    x, t, evaluated = torch.ones(2, 1), torch.ones(2), []

    def constant(value):
        return lambda x, t: evaluated.append(value) or torch.full_like(x, value)

    for weight, expected in ((0.0, 2.0), (1.0, 5.0), (3.0, 2 + 3 * (5 - 2)), (-1.0, -1.0)):
        evaluated.clear()
        assert_close(guided(constant(5.0), constant(2.0), weight)(x, t), x * expected)
        assert evaluated == ([5.0] if weight == 1 else [2.0, 5.0])


@pytest.mark.parametrize(
    ("a", "b", "w", "message"),
    [
        (torch.zeros(2), torch.ones(2), None, "must be"),
        (torch.zeros(2, 3), torch.ones(1), torch.ones(3), "Expected 2 weights"),
        (torch.zeros(2, 3), torch.ones(1), torch.tensor([1.0, -1.0]), "weights must not"),
        (torch.zeros(2, 3), torch.ones(1), torch.zeros(2), "weights must not"),
        (torch.zeros(2, 3), torch.tensor(-1.0), None, "log_stds must not"),
        (torch.zeros(2, 3), torch.ones(2, 2), None, "must broadcast"),
        (torch.zeros(2, 3), torch.ones(4, 2, 3), None, "must broadcast"),
    ],
)
def test_bad_mixtures_raise(a, b, w, message):
    with pytest.raises(ValueError, match=message):
        LogNormalMixtureScore(PROCESS, a, b, w)
