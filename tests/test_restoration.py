"""Noising, restoring and filling holes, against closed-form distributions and posteriors."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch.testing import assert_close

from dale_demo import restoration as lib
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.noise import Noise
from dale_demo.process import GeometricBrownianMotion, LogNormal
from dale_demo.restoration import RestorationSettings
from dale_demo.score import log_normal_score

PROCESS = GeometricBrownianMotion(mu=0.5, sigma=0.8, horizon=1.0)
DATA = LogNormal(0.2, 0.4)


@pytest.fixture
def greys_image(generator):
    """An image of four greys [1, 1, 40, 40]: their log values, noised, form a mixture."""
    greys = torch.tensor([1.0, 1.3, 1.7, 2.0], dtype=torch.float64)
    return greys[torch.randint(0, 4, (1, 1, 40, 40), generator=generator)]


def standard(seed, shape):
    return Noise(seed, range(shape[0]), shape[1:])()


def cumulative(density, low, high):
    """A distribution function from a density, by the trapezoid rule."""
    y = np.linspace(low, high, 20_001)
    values = integrate.cumulative_trapezoid(density(y), y, initial=0)
    return lambda at: np.interp(at, y, values)


# Distributions of the noise


@pytest.mark.parametrize("level", [0.1, 0.8, 3.0])
def test_noised_pixels_follow_the_stated_mixture(greys_image, level):
    process = lib.until(PROCESS, level)
    assert process.max_noise_level == pytest.approx(level)
    y = lib.noise(greys_image, process, standard(1, greys_image.shape)).log().flatten().numpy()

    def p_value(density):
        return stats.kstest(y, cumulative(density, -12 * level - 3, 12 * level + 3)).pvalue

    def exact(at):
        return lib.multiplicative_density(greys_image, process, at)

    assert p_value(exact) > 0.01
    assert p_value(lambda at: exact(at - level)) < 0.01, "not when shifted"


def test_the_mixture_agrees_with_an_independent_formula(greys_image):
    process, y = lib.until(PROCESS, 0.5), np.linspace(-2, 3, 50)
    drift = (PROCESS.mu - PROCESS.sigma**2 / 2) * process.horizon
    values, counts = np.unique(greys_image.numpy(), return_counts=True)
    expected = sum(
        count / counts.sum() * stats.norm.pdf(y, math.log(v) + drift, 0.5)
        for v, count in zip(values, counts, strict=True)
    )
    np.testing.assert_allclose(lib.multiplicative_density(greys_image, process, y), expected)


@pytest.mark.parametrize("level", [0.1, 0.8, 3.0])
def test_additive_noise_has_the_same_log_energy_and_its_own_distribution(greys_image, level):
    tau = lib.additive_strength(greys_image, level)
    x = greys_image + tau * standard(2, (200, 1, 40, 40))
    energy = (x.abs().log() - greys_image.log()).square()
    error = energy.std() / math.sqrt(energy.numel())
    assert energy.mean().item() == pytest.approx(level**2, abs=5 * error.item() + 0.003 * level**2)
    y = x[0].abs().log().flatten().numpy()
    expected = cumulative(lambda at: lib.additive_density(greys_image, tau, at), -15, 10)
    assert stats.kstest(y, expected).pvalue > 0.01
    share = (x < 0).double().mean().item()
    assert lib.crossing_share(greys_image, tau) == pytest.approx(share, abs=0.005)
    assert (lib.noise(greys_image, PROCESS, standard(2, greys_image.shape)) > 0).all()


def test_log_energy_against_quadrature_in_z():
    def integrand(z, r):
        return math.log(abs(1 + r * z)) ** 2 * stats.norm.pdf(z)

    for r in (0.05, 0.5, 3.0):
        parts = ((-12, -1 / r), (-1 / r, 12)) if 1 / r < 12 else ((-12, 12),)
        expected = sum(integrate.quad(integrand, *part, (r,), limit=200)[0] for part in parts)
        assert lib.log_energy(r) == pytest.approx(expected, rel=1e-4)


def test_signal_to_noise_of_two_greys():
    x0 = torch.tensor([1.0, math.e])
    assert lib.signal_to_noise(x0, 0.5) == pytest.approx(1.0)
    assert lib.decibels(100) == pytest.approx(20)
    assert lib.decibels(lib.signal_to_noise(torch.ones(4), 0.5)) == -math.inf


# The reverse process, with an exact score


def posterior(u, level):
    """Mean and standard deviation of ln x₀ given u = ln x − m, for log-normal data."""
    precision = 1 / DATA.log_std**2 + 1 / level**2
    return (DATA.log_mean / DATA.log_std**2 + u / level**2) / precision, precision**-0.5


@pytest.mark.parametrize("level", [0.2, 0.8, 2.0])
def test_tweedie_is_the_posterior_mean(level):
    process = lib.until(PROCESS, level)
    x = torch.tensor([[0.3], [1.0], [4.0]], dtype=torch.float64)
    drift = process.log_drift(torch.tensor(process.horizon, dtype=torch.float64))
    mean, _ = posterior(x.log() - drift, level)
    assert_close(lib.tweedie(log_normal_score(process, DATA), x, process), mean.exp())


@pytest.mark.parametrize("sampler", ["dale-langevin", "bridge"])
def test_samples_have_the_mean_and_spread_of_the_posterior(sampler):
    level, count = 0.8, 1500
    process = lib.until(PROCESS, level)
    x = torch.full((count, 1), 2.5, dtype=torch.float64)
    drift = process.log_drift(torch.tensor(process.horizon, dtype=torch.float64)).item()
    mean, std = posterior(math.log(2.5) - drift, level)
    score, source = log_normal_score(process, DATA), Noise(0, range(count), (1,))
    y = lib.reverse(sampler, score, x, process, 200, source).log()
    assert y.mean().item() == pytest.approx(mean, abs=0.03)
    assert y.std().item() == pytest.approx(std, abs=0.02)
    mean_error, sample_error = std**2, (y - mean).square().mean().item() + std**2
    assert sample_error / mean_error == pytest.approx(2, abs=0.15), (
        "a sample has twice the error of the mean"
    )


def test_the_probability_flow_is_deterministic():
    process = lib.until(PROCESS, 0.8)
    x = torch.full((3, 1), 2.5, dtype=torch.float64)
    score = log_normal_score(process, DATA)
    y = lib.reverse("probability-flow", score, x, process, 20, Noise(0, range(3), (1,)))
    assert (y == y[0]).all()


# With a network


@pytest.fixture
def tiny(tmp_path):
    from tests.tiny_network import save_tiny

    return load_checkpoint(save_tiny(tmp_path / "tiny"))


@pytest.fixture
def small(generator):
    return 1 + torch.rand(2, 1, 8, 8, generator=generator)


def test_restore_counts_its_evaluations_and_repeats_with_its_seed(tiny, small):
    settings = RestorationSettings(steps=4, draws=3, seed=5)
    steps = []
    made = lib.restore(tiny, small, settings, steps.append)
    assert made.draws.shape == (2, 3, 1, 8, 8)
    assert made.spread.shape == made.tweedie.shape == (2, 1, 8, 8)
    ends = [step.score_evaluations for step in steps if step.t == 0]
    assert ends == [settings.evaluations["flow"], settings.evaluations["draws"]]
    again = lib.restore(tiny, small, settings)
    np.testing.assert_array_equal(made.draws, again.draws)
    other = lib.restore(tiny, small, RestorationSettings(steps=4, draws=3, seed=6))
    assert (made.noised != other.noised).any()


def test_reverse_runs_use_the_min_noise_level_of_the_network(tiny, small):
    early = replace(tiny, config=replace(tiny.config, min_noise_level=0.05))
    hole = torch.ones(8, 8, dtype=torch.bool)

    def restored(network, watch):
        settings = RestorationSettings(noise_level=0.5, steps=4, draws=1)
        lib.restore(network, small, settings, watch)

    def filled(network, watch):
        lib.fill(network, small[0], hole, steps=4, answers=1, seed=0, watch=watch)

    for run, start in ((restored, 0.5), (filled, lib.START_LEVEL)):
        for network, level in ((tiny, 0.005), (early, 0.05)):
            steps = []
            run(network, steps.append)
            before = steps[[step.t for step in steps].index(0) - 1]
            process = lib.until(network.config.process, start)
            t = torch.tensor(before.t, dtype=torch.float64)
            assert process.noise_level(t).item() == pytest.approx(level)


def test_a_few_step_network_restores_nothing(tiny, small):
    """Its estimate is no posterior mean, which all three ways are built on."""
    config = replace(tiny.config, levels=((8.0, 0.5),))
    few_step, hole = replace(tiny, config=config), torch.ones(8, 8, dtype=torch.bool)
    with pytest.raises(ValueError, match="restoration needs a network that estimates"):
        lib.restore(few_step, small, RestorationSettings(steps=1, draws=1))
    with pytest.raises(ValueError, match="restoration needs a network that estimates"):
        lib.fill(few_step, small[0], hole, steps=1, answers=1, seed=0)


def test_a_network_of_the_papers_recipe_is_not_asked_above_its_noise_levels(tiny, small):
    training = {"settings": {"recipe": "paper"}}
    paper = replace(tiny, config=replace(tiny.config, training=training))
    lib.restore(paper, small, RestorationSettings(noise_level=0.8, steps=1, draws=1))
    with pytest.raises(ValueError, match=r"up to 0\.8; 1 is above"):
        lib.restore(paper, small, RestorationSettings(noise_level=1.0, steps=1, draws=1))
    hole = torch.ones(8, 8, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"up to 0\.8"):
        lib.fill(paper, small[0], hole, steps=1, answers=1, seed=0)


@pytest.mark.parametrize(
    "bad",
    [{"noise_level": 0}, {"noise_level": math.nan}, {"posterior_sampler": "multistep"},
     {"steps": 0}, {"draws": 0}, {"seed": -1}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match=r"got|choose"):
        RestorationSettings(**bad)


def test_known_pixels_stay_bit_for_bit_and_filled_ones_vary(tiny, small):
    hole = torch.zeros(8, 8, dtype=torch.bool)
    hole[3:] = True
    answers = lib.fill(tiny, small[0], hole, steps=5, answers=4, seed=0)
    assert answers.dtype == small.dtype
    assert (answers[..., :3, :] == small[0, :, :3]).all()
    assert (answers[..., 3:, :].std(0) > 0).all()
    assert (answers > 0).all()


def test_values_in_the_hole_are_not_used(tiny, small):
    hole = torch.zeros(8, 8, dtype=torch.bool)
    hole[:, 4:] = True
    other = torch.where(hole, 1.5, small[0])
    first, second = (lib.fill(tiny, x, hole, steps=5, answers=2, seed=0) for x in (small[0], other))
    assert_close(first[..., 4:], second[..., 4:], rtol=0, atol=0)
    known = torch.where(hole, small[0], 1.5)
    third = lib.fill(tiny, known, hole, steps=5, answers=2, seed=0)
    assert (third[..., 4:] != first[..., 4:]).any(), "known values are used"


def test_an_empty_mask_is_refused(tiny, small):
    with pytest.raises(ValueError, match="mask is empty"):
        lib.fill(tiny, small[0], torch.zeros(8, 8, dtype=torch.bool), steps=2, answers=1, seed=0)


def test_known_pixels_are_noised_to_the_level_of_each_step():
    """ln x of a known pixel has mean ln x₀ and standard deviation s at every step."""
    process, count = lib.until(PROCESS, 2.0), 4000
    x0 = torch.full((count, 2), 1.6, dtype=torch.float64)
    hole, moments = torch.tensor([True, False]), []

    def watch(step):
        t = torch.tensor(step.t, dtype=torch.float64)
        u = step.x[:, 1].log() - process.log_drift(t)
        moments.append((u.mean().item(), u.std().item(), process.noise_level(t).item()))

    source = Noise(0, range(count), (2,))
    lib.inpaint(log_normal_score(process, DATA), x0, hole, process, DATA, 10, source, watch)
    for mean, std, level in moments:
        assert mean == pytest.approx(math.log(1.6), abs=0.06 * level + 1e-9)
        assert std == pytest.approx(level, abs=0.05 * level + 1e-9)


def test_independent_pixels_are_filled_from_their_own_distribution():
    process, count = lib.until(PROCESS, 8.0), 1500
    x0 = torch.full((count, 2), 1.6, dtype=torch.float64)
    hole, source = torch.tensor([True, False]), Noise(0, range(count), (2,))
    x = lib.inpaint(log_normal_score(process, DATA), x0, hole, process, DATA, 150, source)
    assert x[:, 0].log().mean().item() == pytest.approx(DATA.log_mean, abs=0.03)
    assert x[:, 0].log().std().item() == pytest.approx(DATA.log_std, abs=0.03)
    assert (x[:, 1] == 1.6).all()
