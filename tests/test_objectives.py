"""The objectives: which share a minimiser, and what each of them recovers."""

import math

import pytest
import torch
from torch.testing import assert_close

from dale_demo.objectives import (
    HUBER,
    WEIGHT_FLOOR,
    consistency,
    loss_weight,
    m_dsm,
    m_esm,
    non_negative_score_matching,
)
from dale_demo.process import GeometricBrownianMotion, LogNormal
from dale_demo.score import LogNormalMixtureScore, from_denoiser, log_normal_score
from tests.distributions import normals

PROCESS = GeometricBrownianMotion(mu=0.3, sigma=1.2, horizon=2.0)


def times(generator, n):
    return 0.05 + 1.95 * torch.rand(n, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("weighting", ["paper", "preconditioned"])
def test_m_dsm_is_the_weighted_error_of_predicting_ln_x0(weighting, generator):
    y0, t, z = normals(generator, 6, 2, 3), times(generator, 6), normals(generator, 6, 2, 3)

    def denoiser(u, s):
        return u.cos() + s.reshape(-1, 1, 1)

    s, s_d = 1.2 * t.sqrt(), 0.3
    error = (denoiser(y0 + s.reshape(-1, 1, 1) * z, s) - y0).square().mean((1, 2))
    weight = {"paper": 1, "preconditioned": (s**2 + s_d**2) / (s * s_d) ** 2}[weighting]
    score = from_denoiser(denoiser, PROCESS)
    assert_close(m_dsm(score, PROCESS, y0.exp(), t, z, weighting, s_d), weight * error)
    assert not torch.allclose(error, (s**2 + s_d**2) / (s * s_d) ** 2 * error)


def test_the_preconditioned_weight_makes_the_bayes_error_one_at_every_level(generator):
    """The best denoiser of N(0, s_d²) errs by s² s_d² / (s² + s_d²), the inverse of the weight."""
    s, s_d, n = torch.tensor([0.002, 0.1, 1.0, 20.0], dtype=torch.float64), 0.219, 100_000
    y0 = s_d * normals(generator, n, 1)
    u = y0 + s * normals(generator, n, 1)
    error = (s_d**2 / (s**2 + s_d**2) * u - y0).square().mean(0)
    assert_close(
        loss_weight(s, "preconditioned", s_d) * error, torch.ones_like(s), atol=0.02, rtol=0
    )
    assert (loss_weight(s, "paper", s_d) * error).max() < 0.1


def gap_between_estimates(student, gap, generator, s):
    """‖D(u, s) − D(u_r, r)‖ for log-normal data and its exact posterior mean as the teacher."""
    mean, b, n = 0.2, 0.4, 200
    s = torch.full((n,), s, dtype=torch.float64)
    y0, z = mean + b * normals(generator, n, 8), normals(generator, n, 8)

    def teacher(u, s):
        return mean + (u - mean) * b**2 / (b**2 + s.reshape(-1, 1) ** 2)

    def bound(u, s):
        return student(u, s.reshape(-1, 1), mean, b)

    loss = consistency(bound, teacher, y0=y0, s=s, z=z, gap=gap, data_log_std=b)
    root = loss * s.clamp_min(WEIGHT_FLOOR).sqrt() + HUBER
    return (root**2 - HUBER**2).clamp_min(0).mean().sqrt().item()


def end_of_trajectory(u, s, mean, b):
    """The consistency function of log-normal data: b/√(b² + s²) (u − ȳ) stays on the flow."""
    return mean + (u - mean) * b / (b**2 + s**2).sqrt()


def posterior_mean(u, s, mean, b):
    return mean + (u - mean) * b**2 / (b**2 + s**2)


@pytest.mark.parametrize("s", [0.3, 3.0])
def test_consistency_is_least_where_states_are_taken_to_the_end_of_their_trajectory(s):
    """An Euler step errs by O(d²), so that it vanishes faster than for any other function."""
    gaps = (0.04, 0.02)
    consistent, other = (
        [gap_between_estimates(f, d, torch.Generator().manual_seed(0), s) for d in gaps]
        for f in (end_of_trajectory, posterior_mean)
    )
    assert consistent[0] / consistent[1] == pytest.approx(4, rel=0.1)
    assert other[0] / other[1] == pytest.approx(2, rel=0.1)
    assert consistent[1] < 0.1 * other[1]


def test_at_the_end_of_its_flow_the_student_learns_the_teachers_estimate(generator):
    """Where r = 0 nothing is left of the student's own estimate, nor of its gradient."""
    off = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    y0, z, s = normals(generator, 5, 3), normals(generator, 5, 3), torch.full((5,), 0.01)

    def loss(gap):
        return consistency(
            lambda u, s: u + off, lambda u, s: u, y0=y0, s=s, z=z, gap=gap, data_log_std=0.2
        )

    norm = math.sqrt(3) * 0.1
    expected = (math.sqrt(norm**2 + HUBER**2) - HUBER) / math.sqrt(WEIGHT_FLOOR)
    assert_close(loss(0.5), torch.full((5,), expected, dtype=torch.float64))
    assert torch.autograd.grad(loss(0.5).sum(), off)[0] > 0
    # With r > 0 both estimates are off by as much; only the first may feel it.
    assert_close(loss(0.01), torch.zeros(5, dtype=torch.float64))


def test_an_unknown_weighting_raises():
    with pytest.raises(ValueError, match="choose paper or preconditioned"):
        loss_weight(torch.ones(1), "edm", 1.0)


def bumps():
    return LogNormalMixtureScore(
        PROCESS, torch.tensor([[0.1], [0.6]]), torch.tensor(0.05), torch.tensor([0.7, 0.3])
    )


def losses(objective, exact, generator, thetas):
    """Per-sample losses of the family h_θ = θ h, θ in `thetas`, on the same draws of two bumps."""
    n = 100_000
    component = (torch.rand(n, 1, generator=generator) < 0.3).long()
    x0 = (torch.tensor([0.1, 0.6])[component] + 0.05 * normals(generator, n, 1)).exp()
    t, z, true = times(generator, n), normals(generator, n, 1), bumps()

    def loss(theta):
        def family(x, t):
            return theta * true(x, t)

        arguments = (family, *exact, PROCESS, x0, t, z)
        return objective(*arguments)

    return torch.stack([loss(theta) for theta in thetas])


def vertex(values):
    """Minimiser of the parabola through (0, values[0]), (1, values[1]), (2, values[2])."""
    a, b, c = values
    return (1.5 * a - 2 * b + 0.5 * c) / (a - 2 * b + c)


def test_m_dsm_and_m_esm_differ_by_a_constant_and_share_their_minimiser():
    def pair(exact):
        return [
            losses(objective, extra, torch.Generator().manual_seed(0), (0.0, 1.0, 2.0))
            for objective, extra in ((m_dsm, ()), (m_esm, (exact,)))
        ]

    dsm, esm = pair(bumps())
    assert vertex(dsm.mean(1)).item() == pytest.approx(1, abs=0.02)
    assert vertex(esm.mean(1)).item() == pytest.approx(1, abs=1e-9)
    gap = dsm - esm
    drift = gap - gap[1]  # zero in expectation at every θ
    bound = 4 * drift.std(1) / math.sqrt(drift.shape[1])
    assert (drift.mean(1).abs() <= bound).all()
    assert gap[1].mean() > 0.01  # the constant: the posterior variance of ln x₀

    _, wrong = pair(log_normal_score(PROCESS, LogNormal(1.0, 0.3)))
    drift = (dsm - wrong) - (dsm - wrong)[1]
    assert (drift.mean(1).abs() > bound)[[0, 2]].all()
    assert vertex(wrong.mean(1)).item() != pytest.approx(1, abs=0.1)


def minimise(objective, parameters):
    optimiser = torch.optim.LBFGS(parameters, max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = objective()
        loss.backward()
        return loss

    optimiser.step(closure)


def plain_score_matching(stein, x):
    """Hyvärinen 2005: E[Σ ∂ψ + ½ψ²], which wrongly drops the boundary term at x = 0."""
    x = x.detach().requires_grad_()
    psi = stein(x, None)
    (divergence,) = torch.autograd.grad(psi.sum(), x, create_graph=True)
    return (divergence + 0.5 * psi**2).sum(1)


@pytest.mark.parametrize(
    ("objective", "recovers"), [(non_negative_score_matching, True), (plain_score_matching, False)]
)
def test_only_non_negative_score_matching_recovers_an_exponential_rate(
    objective, recovers, generator
):
    x = -torch.rand(50_000, 1, generator=generator, dtype=torch.float64).log() / 2.5
    rate = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)

    def stein(x, t):  # ψ = −λ, written so that it depends on x
        return -rate + 0 * x

    minimise(lambda: objective(stein, x).mean(), [rate])
    assert (rate.item() == pytest.approx(2.5, abs=0.1)) == recovers
    assert recovers or abs(rate.item()) < 0.1


def test_non_negative_score_matching_fits_log_normal_data_in_two_dimensions(generator):
    true_mean, true_std = torch.tensor([0.3, -0.8]), torch.tensor([0.5, 0.9])
    x = (true_mean + true_std * normals(generator, 20_000, 2)).exp()
    mean = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    log_std = torch.zeros(2, dtype=torch.float64, requires_grad=True)

    def stein(x, t):
        return -(1 + (x.log() - mean) / log_std.exp() ** 2) / x

    minimise(lambda: non_negative_score_matching(stein, x).mean(), [mean, log_std])
    assert_close(mean.detach(), x.log().mean(0), atol=0.01, rtol=0)
    assert_close(log_std.detach().exp(), x.log().std(0), atol=0.01, rtol=0)
