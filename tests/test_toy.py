"""The playground's data and runs against independently computed densities and distances."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions as dist
from torch.testing import assert_close

from dale_demo.process import GeometricBrownianMotion, LogNormal, uniform_grid
from dale_demo.samplers import LangevinOptions
from dale_demo.score import log_normal_score
from dale_demo.toy import (
    FARTHEST,
    FORWARD,
    KERNEL,
    SHAPES,
    SIDE,
    TOY_SAMPLERS,
    ToyData,
    ToySettings,
    add_noise,
    additive_langevin,
    distance,
    expected_ks_distance,
    ks_distance,
    moons,
    rings,
    samples,
    score_field,
    simulate,
    two_spirals,
    wasserstein,
)
from tests.distributions import fit_log_normal, normals

PROCESS = GeometricBrownianMotion(mu=0.2, sigma=0.5, horizon=1.0)
DATA = LogNormal(0.2, 0.4)
SMALL = ToySettings(particles=300)
POSITIVE = ("dale-langevin", "probability-flow", "bridge")


# Data


@pytest.mark.parametrize("name", SHAPES)
def test_the_score_is_the_gradient_of_the_noised_density(name, generator):
    data, process = SHAPES[name](), GeometricBrownianMotion.median_preserving(1.5)
    x = normals(generator, 250, 2).mul(0.7).exp().requires_grad_()
    t = torch.linspace(0.01, 1, 250, dtype=torch.float64)
    deviation = (data.log_std**2 + 1.5**2 * t).sqrt()[:, None, None]
    kernels = dist.Independent(dist.LogNormal(data.log_means, deviation), 1)
    equal = dist.Categorical(logits=torch.zeros(250, len(data.log_means), dtype=torch.float64))
    dist.MixtureSameFamily(equal, kernels).log_prob(x).sum().backward()
    assert_close(data.score(process)(x.detach(), t), x.detach() * x.grad)


@pytest.mark.parametrize("name", SHAPES)
def test_draws_have_the_moments_of_the_mixture(name, generator):
    data = SHAPES[name]()
    y = data.draw(20_000, generator).log()
    mean, std = data.log_moments()
    assert_close(y.mean(0), mean, rtol=0, atol=0.03)
    assert_close(y.std(0), std, rtol=0.025, atol=0)


@pytest.mark.parametrize("name", SHAPES)
def test_data_lie_in_the_square_and_near_its_axes(name):
    points = SHAPES[name]().log_means.exp()
    assert (points > 0.1).all()
    assert (points < SIDE).all()
    assert points.min() < 0.5


def test_shapes_are_what_they_are_called():
    radii = rings().norm(dim=1)
    assert_close(radii.unique().round(decimals=6).unique(), radii.new_tensor([0.45, 1.0]))
    arm = two_spirals()[:64]
    turned = torch.atan2(arm[:, 1], arm[:, 0]).numpy()
    assert np.ptp(np.unwrap(turned)) == pytest.approx(2.4 * math.pi)
    assert (arm.norm(dim=1).diff() > 0).all()
    for shape in (two_spirals(), moons()):
        assert_close(shape[: len(shape) // 2], -shape[len(shape) // 2 :])


@pytest.mark.parametrize(
    "points", [torch.zeros(0, 2), torch.ones(3), torch.tensor([[1.0, 0.0]]), torch.ones(2, 3)]
)
def test_invalid_points_are_refused(points):
    with pytest.raises(ValueError, match="oint"):
        ToyData.around(points)


# The additive sampler


def additive(generator, score, grid, options=LangevinOptions()):
    """Its last step from an exact start, for one log-normal coordinate."""
    n = 10_000
    x = LogNormal.terminal(PROCESS, DATA).sample(normals(generator, n, 1))
    steps = additive_langevin(
        score, x, PROCESS, grid, noise=lambda: normals(generator, n, 1), options=options
    )
    *_, step = steps
    return step


def test_additive_langevin_recovers_the_log_normal_distribution(generator):
    grid = uniform_grid(PROCESS, 200)
    step = additive(generator, log_normal_score(PROCESS, DATA), grid)
    fit = fit_log_normal(step.x.abs())
    assert fit.log_mean == pytest.approx(DATA.log_mean, abs=0.015)
    assert fit.log_std**2 == pytest.approx(DATA.log_std**2, abs=0.01)
    assert step.score_evaluations == 200
    assert_close(step.estimate, step.x.abs().log())
    silent = additive(
        generator, log_normal_score(PROCESS, DATA), grid, LangevinOptions(annealing=0)
    )
    assert fit_log_normal(silent.x.abs()).log_std ** 2 < DATA.log_std**2 - 0.02, "without its noise"
    other = additive(generator, log_normal_score(PROCESS, LogNormal(0.2, 0.5)), grid)
    assert fit_log_normal(other.x.abs()).log_std ** 2 > DATA.log_std**2 + 0.02, "with another score"


def test_additive_langevin_repeats_its_steps_and_may_have_a_step_size(generator):
    score, grid = log_normal_score(PROCESS, DATA), uniform_grid(PROCESS, 4)
    step = additive(generator, score, grid, LangevinOptions(repeats=3, tweedie=False))
    assert step.score_evaluations == 12
    still = additive(
        generator, score, grid, LangevinOptions(annealing=0, step_size=1e-9, tweedie=False)
    )
    start = LogNormal.terminal(PROCESS, DATA)
    assert fit_log_normal(still.x.abs()).log_std == pytest.approx(start.log_std, abs=0.02)


def test_additive_langevin_checks_its_start():
    score, grid = log_normal_score(PROCESS, DATA), uniform_grid(PROCESS, 4)
    with pytest.raises(ValueError, match="nowhere 0"):
        next(
            additive_langevin(score, torch.zeros(1, 2), PROCESS, grid, noise=lambda: torch.ones(1))
        )


# Runs


@pytest.mark.parametrize("steps", [2, 5, 12])
@pytest.mark.parametrize("sampler", POSITIVE)
def test_samplers_that_multiply_by_exponentials_never_cross(sampler, steps):
    run = simulate(SHAPES["rings"](), sampler, replace(SMALL, steps=steps, noise_level=3.0))
    assert run.crossed == 0
    assert (run.x > 0).all()


@pytest.mark.parametrize("sampler", ["unconstrained", "additive"])
def test_the_other_samplers_cross_and_every_crossing_is_counted(sampler):
    run = simulate(SHAPES["rings"](), sampler, replace(SMALL, steps=12))
    assert run.crossed > 20
    changed = (np.sign(run.x[1:]) != np.sign(run.x[:-1])).sum(2)
    np.testing.assert_array_equal(np.diff(run.crossings, axis=0), changed)
    assert np.isfinite(run.x).all()


def test_unconstrained_crosses_less_with_more_steps_and_ends_at_the_data():
    data = SHAPES["rings"]()
    settings = replace(SMALL, noise_level=1.0, grid="uniform")
    few, many = (simulate(data, "unconstrained", replace(settings, steps=n)) for n in (4, 100))
    assert few.crossed > 20
    assert many.crossed == 0
    reference, again = samples(data, settings)
    floor = wasserstein(reference, again)
    ends = [distance(torch.from_numpy(run.x[-1]), reference) for run in (few, many)]
    assert ends[0] > 2 * floor
    assert ends[1] < 1.5 * floor


@pytest.mark.parametrize("sampler", POSITIVE)
def test_samplers_that_multiply_by_exponentials_reach_the_data_in_few_steps(sampler):
    data = SHAPES["rings"]()
    reference, again = samples(data, SMALL)
    floor = wasserstein(reference, again)
    run = simulate(data, sampler, replace(SMALL, steps=25))
    assert distance(torch.from_numpy(run.x[-1]), reference) < 1.5 * floor
    assert distance(torch.from_numpy(run.x[0]), reference) > 5 * floor


def test_a_seed_gives_every_sampler_the_same_start_from_the_noised_distribution():
    data, settings = SHAPES["moons"](), ToySettings(steps=2, particles=2000)
    runs = [simulate(data, name, settings) for name in TOY_SAMPLERS]
    for run in runs[1:]:
        np.testing.assert_allclose(run.x[0], runs[0].x[0], rtol=1e-12)
    y = np.log(runs[0].x[0])
    variance = data.log_means.var(0, correction=0).numpy() + KERNEL**2 + 1.5**2
    np.testing.assert_allclose(y.var(0), variance, rtol=0.1)
    again, other = (simulate(data, "bridge", replace(settings, seed=seed)) for seed in (0, 1))
    np.testing.assert_array_equal(again.x, runs[-1].x)
    assert (other.x[0] != again.x[0]).all()


def test_frames_are_thinned_but_both_ends_are_kept():
    run = simulate(SHAPES["moons"](), "bridge", replace(SMALL, steps=40), max_frames=11)
    assert run.steps.tolist() == list(range(0, 41, 4))
    assert run.times[0] == pytest.approx(1)
    assert run.times[-1] == 0
    assert run.x.shape == (11, 300, 2)
    assert run.score_evaluations == 40


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"noise_level": 0.0}, {"seed": -1}, {"step_size": -1.0}]
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match=r"."):
        simulate(SHAPES["moons"](), "unconstrained", replace(SMALL, **bad))


def test_a_step_size_is_that_of_the_langevin_samplers_alone():
    data, fixed = SHAPES["moons"](), replace(SMALL, steps=5, step_size=1e-6)
    for name in TOY_SAMPLERS:
        same = np.array_equal(
            simulate(data, name, fixed).x, simulate(data, name, replace(fixed, step_size=None)).x
        )
        assert same == (name in ("probability-flow", "bridge")), name


def test_another_score_can_drive_a_run():
    data = SHAPES["rings"]()
    reference = samples(data, SMALL)[0]
    blurred = log_normal_score(SMALL.process, LogNormal(0.2, 0.6))
    exact, other, given = (
        simulate(data, "bridge", SMALL, max_frames=2, score=score)
        for score in (None, blurred, data.score(SMALL.process))
    )
    np.testing.assert_array_equal(given.x, exact.x)
    np.testing.assert_array_equal(other.x[0], exact.x[0])
    ends = [distance(torch.from_numpy(run.x[-1]), reference) for run in (exact, other)]
    assert ends[1] > 2 * ends[0]


def test_a_field_is_the_score_at_every_point_and_time():
    data, process = SHAPES["moons"](), SMALL.process
    x, score = torch.tensor([[0.5, 1.0], [2.0, 0.7]]).double(), data.score(process)
    field = score_field(score, process, np.array([1.0, 0.2, 0.0]), x)
    for h, t in zip(field, (1.0, 0.2, (0.005 / process.sigma) ** 2), strict=True):
        expected = score(x, torch.full((2,), t, dtype=torch.float64))
        np.testing.assert_allclose(h, expected, rtol=1e-5)


# Noise


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_exponential_noise_has_the_distribution_of_theory_after_any_number_of_steps(steps):
    data, settings = SHAPES["rings"](), ToySettings(steps=steps, particles=4000)
    run = add_noise(data, "exponential", settings)
    assert run.crossed == 0
    assert (run.x > 0).all()
    far = ks_distance(run.x[-1], data, settings.process)
    assert far < 1.8 * expected_ks_distance(4000)
    expected = data.noised_log_moments(settings.process)[1]
    np.testing.assert_allclose(run.log_std, expected, rtol=0.05)
    euler = add_noise(data, "Euler–Maruyama", settings)
    assert ks_distance(euler.x[-1], data, settings.process) > 4 * far, "the negative control"


def test_noise_is_multiplied_step_by_step_from_the_data():
    data, settings = SHAPES["moons"](), replace(SMALL, steps=5, grid="uniform")
    runs = {name: add_noise(data, name, settings) for name in FORWARD}
    exact, euler = runs["exponential"], runs["Euler–Maruyama"]
    np.testing.assert_allclose(exact.times, np.linspace(0, 1, 6))
    np.testing.assert_array_equal(exact.x[0], euler.x[0])
    sigma, delta = settings.noise_level, 0.2
    z = np.diff(np.log(exact.x), axis=0) / (sigma * math.sqrt(delta))
    factor = 1 + sigma**2 / 2 * delta + sigma * math.sqrt(delta) * z
    np.testing.assert_allclose(euler.x[1:], euler.x[:-1] * factor, rtol=1e-9)
    assert euler.crossed > 20
    changed = (np.sign(euler.x[1:]) != np.sign(euler.x[:-1])).sum(2)
    np.testing.assert_array_equal(np.diff(euler.crossings, axis=0), changed)


def test_euler_maruyama_reaches_the_distribution_with_small_steps():
    data, settings = SHAPES["moons"](), ToySettings(steps=400, grid="uniform", noise_level=1.0)
    run = add_noise(data, "Euler–Maruyama", settings, max_frames=5)
    assert run.steps.tolist() == [0, 100, 200, 300, 400]
    assert run.crossed == 0
    far = ks_distance(run.x[-1], data, settings.process)
    assert far < 1.8 * expected_ks_distance(1000)


def test_ks_distance_is_that_of_scipy_for_the_mixture_of_log_normals():
    data, process = SHAPES["log-normal mixture"](), GeometricBrownianMotion(0.3, 0.8)
    x = data.draw(200, torch.Generator().manual_seed(0)).numpy()
    x[:9, 0] *= -1
    spread = math.hypot(data.log_std, 0.8)
    medians = (data.log_means + 0.3 - 0.8**2 / 2).exp().numpy()
    expected = [
        stats.ks_1samp(
            x[:, i], lambda v, i=i: stats.lognorm(spread, 0, medians[:, i]).cdf(v[:, None]).mean(1)
        ).statistic
        for i in (0, 1)
    ]
    assert ks_distance(x, data, process) == pytest.approx(np.mean(expected))


def test_expected_ks_distance_is_the_mean_of_the_kolmogorov_distribution():
    assert expected_ks_distance(400) == pytest.approx(stats.kstwobign.mean() / 20, rel=1e-3)


# Distances


def test_wasserstein_on_a_line_is_that_of_one_dimension(generator):
    a, b = normals(generator, 200), 2 * normals(generator, 200) + 1
    flat = [torch.stack([v, torch.full_like(v, 3.0)], 1) for v in (a, b)]
    assert wasserstein(*flat) == pytest.approx(stats.wasserstein_distance(a, b))


def test_wasserstein_of_a_shifted_sample_is_the_shift(generator):
    a = normals(generator, 100, 2)
    assert wasserstein(a, a[torch.randperm(100)] + torch.tensor([3.0, 4.0])) == pytest.approx(5)


def test_wasserstein_refuses_what_it_cannot_compare(generator):
    a = normals(generator, 5, 2)
    with pytest.raises(ValueError, match="one shape"):
        wasserstein(a, a[:4])
    with pytest.raises(ValueError, match="finite"):
        wasserstein(a, a / 0)


def test_particles_that_diverged_count_as_far_but_finite(generator):
    a = normals(generator, 4, 2)
    b = a.clone()
    b[0] = 1e300
    assert distance(b, a) == pytest.approx(FARTHEST * math.sqrt(2) / 4, rel=1e-3)
