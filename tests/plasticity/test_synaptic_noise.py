"""Noise on synapses: its distribution, what it leaves alone, and where it comes from."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.testing import assert_close

from dale_demo.plasticity import (
    Experiment,
    ExponentiatedAdam,
    ExponentiatedGradient,
    RelevantInputs,
    Rule,
    synaptic_noise,
)
from dale_demo.process import GeometricBrownianMotion

COUNT, NOISE = 1_000_000, 0.5
BUILDERS = {"eg": ExponentiatedGradient, "eg-adam": ExponentiatedAdam}
each_rule = pytest.mark.parametrize("rule", BUILDERS)


def still(
    *shapes: tuple[int, ...], rule: str = "eg", steps: int = 1, seed: int = 0, noise: float = NOISE
) -> list[Tensor]:
    """Weights of one after `steps` without a gradient."""
    ps = [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]
    optimizer = BUILDERS[rule](ps, lr=0.1, noise=noise, seed=seed)
    for _ in range(steps):
        for p in ps:
            p.grad = torch.zeros_like(p)
        optimizer.step()
    return [p.detach() for p in ps]


def moments(rule: str) -> tuple[float, float, float]:
    """How far the mean of the factor is from 1, in standard errors, and mean and s.d. of its ln."""
    (factor,) = still((COUNT,), rule=rule)
    factor = factor.double()
    error = math.sqrt(math.expm1(NOISE**2) / COUNT)
    return (factor.mean().item() - 1) / error, factor.log().mean().item(), factor.log().std().item()


@each_rule
def test_the_factor_has_mean_one_and_its_logarithm_variance_noise_squared(rule):
    off, log_mean, log_std = moments(rule)
    assert abs(off) < 4
    assert log_mean == pytest.approx(-(NOISE**2) / 2, abs=4 * NOISE / math.sqrt(COUNT))
    assert log_std == pytest.approx(NOISE, rel=4 / math.sqrt(2 * COUNT))


def test_without_the_drift_the_mean_would_be_off(monkeypatch):
    """The negative control: the median is kept in place of the mean."""
    monkeypatch.setattr(
        synaptic_noise,
        "GeometricBrownianMotion",
        lambda mu, sigma: GeometricBrownianMotion.median_preserving(sigma),
    )
    off, log_mean, _ = moments("eg")
    assert off > 100
    assert abs(log_mean) < 0.01


def test_the_factor_is_log_normal():
    (factor,) = still((20_000,))
    z = (factor.double().log() + NOISE**2 / 2) / NOISE
    assert stats.kstest(z.numpy(), "norm").pvalue > 0.01


def test_variances_of_steps_add():
    (factor,) = still((100_000,), steps=20, noise=0.1)
    assert factor.log().var().item() == pytest.approx(20 * 0.01, rel=0.03)
    assert factor.mean().item() == pytest.approx(1, abs=0.01)


def test_it_multiplies_the_step_of_the_rule():
    start, d = torch.tensor([0.5, -2.0, 1.0, -0.1]), torch.tensor([1.0, 0.5, -3.0, 2.0])
    (factor,) = still((4,), seed=3)
    w = torch.nn.Parameter(start.clone())
    w.grad = d
    ExponentiatedGradient([w], lr=0.2, noise=NOISE, seed=3).step()
    assert_close(w.detach(), start * torch.exp(-0.2 * start.sign() * d) * factor)


@each_rule
def test_the_seed_decides(rule):
    assert_close(still((9,), rule=rule), still((9,), rule=rule), rtol=0, atol=0)
    assert not torch.equal(still((9,), rule=rule)[0], still((9,), rule=rule, seed=1)[0])


def test_parameters_and_steps_have_noise_of_their_own():
    """And a parameter has the same whether or not those before it are trained."""
    first, second = still((9,), (9,))
    assert not torch.equal(first, second)
    twice = still((9,), (9,), steps=2)
    assert not torch.equal(twice[0] / first, first)
    frozen, p = (torch.nn.Parameter(torch.ones(9)) for _ in range(2))
    p.grad = torch.zeros(9)
    ExponentiatedGradient([frozen, p], lr=0.1, noise=NOISE).step()
    assert torch.equal(frozen.detach(), torch.ones(9))
    assert_close(p.detach(), second, rtol=0, atol=0)


def test_a_total_is_kept():
    w = torch.nn.Parameter(torch.tensor([0.5, -1.0, 1.5]))
    optimizer = ExponentiatedGradient([w], lr=0.1, total=3.0, noise=NOISE)
    for _ in range(5):
        w.grad = torch.ones(3)
        optimizer.step()
    assert_close(w.detach().abs().sum(), torch.tensor(3.0))
    assert not torch.allclose(w.detach().abs(), torch.tensor([0.5, 1.0, 1.5]), rtol=0.1)


def test_a_noisy_rule_still_learns_and_keeps_every_sign():
    """10 of 20 among 2,000: measured 0.968 and 0.973 at seeds 0 and 1, 0.997 without noise."""
    rules = {"noisy": Rule("eg", 1.0, {"noise": 0.02})}
    *_, last = Experiment(RelevantInputs(), rules).snapshots(2)
    state = last.states["noisy"]
    assert state.test_accuracy > 0.94
    assert (state.flips, state.flipped) == (0, 0)
    assert state.relevant_share > 0.95
