"""The seven samplers against closed forms, independent integrators and counted evaluations.

For log-normal data every sampler but the unconstrained one maps ln x affinely, so the distribution
at each step follows exactly from its response to unit inputs: convergence is measured without
sampling.
"""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import wasserstein_distance
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from dale_demo.noise import Noise
from dale_demo.process import (
    GeometricBrownianMotion,
    LogNormal,
    karras_grid,
    make_grid,
    uniform_grid,
)
from dale_demo.samplers import (
    LANGEVIN,
    SAMPLER_LABELS,
    SAMPLERS,
    LangevinOptions,
    dale_langevin,
    evaluations_needed,
    unconstrained,
)
from dale_demo.score import LogNormalMixtureScore, denoise, from_denoiser, log_normal_score
from tests.distributions import fit_log_normal, normals

PROCESS = GeometricBrownianMotion(mu=0.5, sigma=0.9, horizon=1.3)
DATA = LogNormal(0.2, 0.4)
NO_TWEEDIE = LangevinOptions(tweedie=False)
BUMPS = (math.log(1.1), math.log(1.8)), 0.05, (0.7, 0.3)


def noise_from(generator, *shape):
    return lambda: normals(generator, *shape)


def last(steps):
    *_, step = steps
    return step


def exact_moments(name, process, data, grid, options=None, score=None):
    """Mean and variance of ln x − m(t) at every step, started from the exact distribution of X_T.

    Row 0 is the response to nothing, row 1 to the start, row 2 + k to the k-th draw.
    """
    extra = {"options": options} if options else {}
    draws = len(grid) * (options.repeats if options else 1)
    rows = torch.eye(draws + 2, dtype=torch.float64)[:, :, None]
    z = iter(rows[2:])
    start, moments = LogNormal.terminal(process, data), []
    sampler, score = SAMPLERS[name], score or log_normal_score(process, data)
    for step in sampler(score, rows[1].exp(), process, grid, noise=lambda: next(z), **extra):
        y = step.x.log()[:, 0]
        slope, reply = y[1] - y[0], y[2:] - y[0]
        drift = process.log_drift(torch.tensor(step.t, dtype=torch.float64))
        mean = y[0] + slope * start.log_mean - drift
        variance = slope**2 * start.log_std**2 + reply.square().sum()
        moments.append((mean.item(), variance.item()))
    return moments


def orders(errors):
    """Measured order of convergence each time that the steps double."""
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


# Distributions


@pytest.mark.parametrize(
    ("name", "grid", "tolerance"),
    [
        ("dale-langevin", uniform_grid(PROCESS, 400), 0.002),
        ("probability-flow", karras_grid(PROCESS, 40), 0.001),
        ("bridge", karras_grid(PROCESS, 400), 0.005),
        ("multistep", karras_grid(PROCESS, 60), 0.001),
        ("multistep-bridge", karras_grid(PROCESS, 60), 0.001),
    ],
)
def test_affine_samplers_recover_the_log_normal_distribution(name, grid, tolerance):
    mean, variance = exact_moments(name, PROCESS, DATA, grid)[-1]
    assert mean == pytest.approx(0.2, abs=1e-9)
    assert variance == pytest.approx(0.16, abs=tolerance)
    wrong = exact_moments(name, PROCESS, LogNormal(0.2, 0.45), grid)[-1]
    assert wrong[1] != pytest.approx(0.16, abs=tolerance)


@pytest.mark.parametrize("levels", [[8.0], [8.0, 0.5], [8.0, 1.5, 0.6, 0.25]])
def test_leaps_of_a_consistency_function_have_the_datas_distribution(levels):
    """f(u, s) = ȳ + (u − ȳ) b/√(b² + s²) carries log-normal data along the probability flow."""
    process, (mean, b) = GeometricBrownianMotion.median_preserving(8.0), (0.2, 0.4)
    grid = process.time(torch.tensor([*levels, 0.0], dtype=torch.float64))

    def end(share):
        """Moments of ln x after the leaps of D = ȳ + share(s) (u − ȳ)."""
        score = from_denoiser(lambda u, s: mean + (u - mean) * share(s.reshape(-1, 1)), process)
        return exact_moments("leap", process, LogNormal(mean, b), grid, score=score)[-1]

    consistent = end(lambda s: b / torch.sqrt(b**2 + s**2))
    assert consistent == pytest.approx((mean, b**2), abs=1e-9)
    # By the posterior mean, with share c, the variance contracts as v' = c² v + s'².
    posterior, v = end(lambda s: b**2 / (b**2 + s**2)), b**2 + levels[0] ** 2
    for s, s_next in pairwise([*levels, 0.0]):
        v = (b**2 / (b**2 + s**2)) ** 2 * v + s_next**2
    assert posterior == pytest.approx((mean, v), abs=1e-9)
    assert v < 0.9 * b**2


def test_unconstrained_recovers_the_log_normal_distribution(generator):
    n, grid = 20_000, uniform_grid(PROCESS, 200)
    x = LogNormal.terminal(PROCESS, DATA).sample(normals(generator, n, 1))
    score = log_normal_score(PROCESS, DATA)
    step = last(unconstrained(score, x, PROCESS, grid, noise=noise_from(generator, n, 1)))
    fit = fit_log_normal(step.x)
    assert fit.log_mean == pytest.approx(0.2, abs=0.015)
    assert fit.log_std**2 == pytest.approx(0.16, abs=0.01)


def test_bridge_has_the_forward_distribution_of_a_point_at_every_step():
    point = LogNormal(0.2, 1e-9)
    grid = make_grid(PROCESS, "uniform", 7)
    for (mean, variance), t in zip(
        exact_moments("bridge", PROCESS, point, grid), grid, strict=True
    ):
        assert mean == pytest.approx(0.2, abs=1e-9)
        assert variance == pytest.approx(0.81 * t.item(), abs=1e-9)
    ode = exact_moments("multistep", PROCESS, LogNormal(0.2, 0.4), grid)
    assert ode[3][1] != pytest.approx(0.81 * grid[3].item(), abs=1e-3)


def two_bumps(generator, n):
    means, std, weights = BUMPS
    component = (torch.rand(n, 1, generator=generator) < weights[1]).long()
    return (torch.tensor(means)[component] + std * normals(generator, n, 1)).exp()


def bump_score(process):
    means, std, weights = (torch.tensor(v, dtype=torch.float64) for v in BUMPS)
    return LogNormalMixtureScore(process, means[:, None], std, weights)


@pytest.mark.parametrize(
    ("name", "sigma", "grid", "steps", "error"),
    [
        ("dale-langevin", 0.8, "uniform", 400, 0.04),
        ("unconstrained", 0.8, "uniform", 400, 0.04),
        ("dale-langevin", 8.0, "karras", 80, 0.04),
        ("probability-flow", 8.0, "karras", 20, 0.02),
        ("bridge", 8.0, "karras", 40, 0.02),
        ("multistep", 8.0, "karras", 40, 0.02),
        ("multistep-bridge", 8.0, "karras", 40, 0.02),
    ],
)
def test_samplers_recover_two_bumps(name, sigma, grid, steps, error, generator):
    n, process = 4000, GeometricBrownianMotion(mu=0.4, sigma=sigma)
    data, fresh = two_bumps(generator, n), two_bumps(generator, n)[:, 0]
    if sigma < 1:  # the data still show at T: start from the true distribution of X_T
        start = process.forward(data, torch.tensor(1.0), normals(generator, n, 1))
    else:
        start = LogNormal.terminal(process, fit_log_normal(data)).sample(normals(generator, n, 1))

    def distance(score):
        noise, times = noise_from(generator, n, 1), make_grid(process, grid, steps)
        x = last(SAMPLERS[name](score, start, process, times, noise=noise)).x[:, 0]
        return wasserstein_distance(x, fresh), x.abs().log()

    reached, y = distance(bump_score(process))
    assert reached < error
    assert y.mean().item() == pytest.approx(fresh.log().mean().item(), abs=error)
    assert y.var().item() == pytest.approx(fresh.log().var().item(), abs=error / 4)
    one_bump, _ = distance(log_normal_score(process, fit_log_normal(data)))
    assert one_bump > 1.5 * error


# Order of convergence


@pytest.mark.parametrize("options", [NO_TWEEDIE, LangevinOptions()])
def test_dale_langevin_converges_at_first_order(options):
    moments = [
        exact_moments("dale-langevin", PROCESS, DATA, uniform_grid(PROCESS, n), options)[-1]
        for n in (50, 100, 200, 400)
    ]
    assert orders([abs(variance - 0.16) for _, variance in moments]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("name", "order"), [("bridge", 1), ("probability-flow", 2), ("multistep-bridge", 2)]
)
def test_variance_at_the_smallest_noise_converges(name, order):
    errors = [
        abs(exact_moments(name, PROCESS, DATA, karras_grid(PROCESS, n, 0.02))[-2][1] - 0.1604)
        for n in (20, 40, 80, 160)
    ]
    assert orders(errors) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("name", ["probability-flow", "multistep"])
def test_flow_samplers_converge_to_the_closed_form_at_second_order(name):
    score, x = log_normal_score(PROCESS, DATA), torch.tensor([[3.0], [0.4]], dtype=torch.float64)
    top = PROCESS.max_noise_level

    def u(step):  # ln x − m(t)
        return step.x.log() - PROCESS.log_drift(torch.tensor(step.t, dtype=torch.float64))

    errors = []
    for n in (20, 40, 80, 160):
        grid = karras_grid(PROCESS, n, 0.02)
        steps = list(SAMPLERS[name](score, x, PROCESS, grid, noise=None))
        exact = 0.2 + (u(steps[0]) - 0.2) * math.sqrt((0.16 + 0.0004) / (0.16 + top**2))
        errors.append((u(steps[-2]) - exact).abs().max().item())
    assert orders(errors) == pytest.approx(2, abs=0.2)


def test_unconstrained_converges_at_first_order():
    """Its mean of ln|x| beside Dale–Langevin's on the same noise, whose mean is exact."""
    n, score, errors = 25_000, log_normal_score(PROCESS, DATA), []
    for steps in (40, 80, 160):
        means = []
        for sampler in (unconstrained, dale_langevin):
            generator = torch.Generator().manual_seed(3)
            x = LogNormal.terminal(PROCESS, DATA).sample(normals(generator, n, 1))
            noise, grid = noise_from(generator, n, 1), uniform_grid(PROCESS, steps)
            step = last(sampler(score, x, PROCESS, grid, noise=noise, options=NO_TWEEDIE))
            means.append(step.x.abs().log().mean().item())
        errors.append(abs(means[0] - means[1]))
    assert orders(errors) == pytest.approx(1, abs=0.2)


# The two Langevin samplers, step by step


OPTIONS = [
    LangevinOptions(),
    LangevinOptions(annealing=0.9, tweedie=False),
    LangevinOptions(repeats=3, step_size=0.02),
    LangevinOptions(annealing=0.7, repeats=2, tweedie=False),
    LangevinOptions(tweedie=False, tweedie_steps=3),
    LangevinOptions(repeats=2, step_size=0.02, tweedie_steps=2),
]


def log_gradient(y, t):
    """∇_y ln p_Y(y) of the noised bumps, in numpy."""
    means, std, weights = BUMPS
    variance = std**2 + PROCESS.sigma**2 * t
    residual = np.array(means) + (PROCESS.mu - PROCESS.sigma**2 / 2) * t - y[..., None]
    share = np.array(weights) * np.exp(-(residual**2) / (2 * variance))
    return (share * residual / variance).sum(-1) / share.sum(-1)


def reference_langevin(update, x, grid, noise, options):
    """Follow the grid with `update(x, g, δ, a·z)`, g the log gradient; yield x at every step."""
    for k, t in enumerate(grid[:-1]):
        yield x
        if options.tweedie and k == len(grid) - 2:
            x = np.sign(x) * np.exp(log_estimate(np.log(np.abs(x)), t))
            break
        delta = options.step_size or t - grid[k + 1]
        for _ in range(options.repeats):
            z = options.annealing**k * noise().numpy()
            x = update(x, log_gradient(np.log(np.abs(x)), t), delta, z)
    for _ in range(options.tweedie_steps):  # t is still the lowest time
        y, share = np.log(np.abs(x)), min(1, (options.step_size or t) / t)
        towards = log_estimate(y + (PROCESS.mu - PROCESS.sigma**2 / 2) * t, t)
        x = np.sign(x) * np.exp((1 - share) * y + share * towards)
    yield x


def log_estimate(y, t):
    """E[ln X₀ | ln X_t = y], in numpy."""
    drift = (PROCESS.mu - PROCESS.sigma**2 / 2) * t
    return y - drift + PROCESS.sigma**2 * t * log_gradient(y, t)


def additive(x, g, delta, z):
    """One step of dY = (μ − σ²/2) dt + σ dW in reverse, by Euler–Maruyama on y = ln x."""
    mu, sigma = PROCESS.mu, PROCESS.sigma
    return np.exp(np.log(x) + (sigma**2 * g - (mu - sigma**2 / 2)) * delta + sigma * delta**0.5 * z)


def additive_without_ito(x, g, delta, z):
    mu, sigma = PROCESS.mu, PROCESS.sigma
    return np.exp(np.log(x) + (sigma**2 * g - mu) * delta + sigma * delta**0.5 * z)


def euler_maruyama(x, g, delta, z):
    """One step of dX = μX dt + σX dW in reverse: −μx + ∇(σ²x² p)/p, with x∇ln p = g − 1."""
    mu, sigma = PROCESS.mu, PROCESS.sigma
    drift = -mu * x + sigma**2 * (2 * x + x * (g - 1))
    return x + drift * delta + sigma * x * delta**0.5 * z


def states(sampler, update, options, signs, steps=12):
    """The same run twice: by the sampler and by the reference."""
    x = signs * torch.linspace(0.5, 3.0, 8, dtype=torch.float64)[:, None]
    grid, score = uniform_grid(PROCESS, steps), bump_score(PROCESS)
    noise = Noise(5, range(8), (1,))
    ours = [s.x for s in sampler(score, x, PROCESS, grid, noise=noise, options=options)]
    noise = Noise(5, range(8), (1,))
    theirs = list(reference_langevin(update, x.numpy(), grid.tolist(), noise, options))
    return torch.stack(ours), torch.from_numpy(np.stack(theirs))


@pytest.mark.parametrize("options", OPTIONS)
def test_dale_langevin_is_additive_langevin_in_log_space(options):
    assert_close(*states(dale_langevin, additive, options, 1.0), rtol=1e-9, atol=0)
    ours, wrong = states(dale_langevin, additive_without_ito, options, 1.0)
    assert not torch.allclose(ours[-2], wrong[-2], rtol=1e-3)


@pytest.mark.parametrize("options", [*OPTIONS, LangevinOptions(step_size=0.5, tweedie=False)])
def test_unconstrained_is_euler_maruyama_in_x(options):
    signs = torch.tensor([1.0, -1.0] * 4)[:, None]
    ours, theirs = states(unconstrained, euler_maruyama, options, signs)
    assert_close(ours, theirs, rtol=1e-7, atol=1e-12)
    if options.step_size == 0.5:  # so coarse that steps cross zero
        assert (theirs[1:].sign() != theirs[:-1].sign()).any()


def test_tweedie_steps_climb_to_a_mode_of_the_noised_data():
    """With fixed steps they are gradient ascent on ln p; without them, x stays on its way."""
    x, grid = torch.linspace(0.9, 2.1, 24, dtype=torch.float64)[:, None], uniform_grid(PROCESS, 400)
    lowest, fine = grid[-2].item(), np.linspace(-0.5, 1.2, 20_001)
    slope = log_gradient(fine, lowest)
    tops = fine[:-1][(slope[:-1] > 0) & (slope[1:] <= 0)]  # at the lowest time
    tops = torch.from_numpy(tops) - (PROCESS.mu - PROCESS.sigma**2 / 2) * lowest
    ends = {}
    for count in (0, 400):
        options = LangevinOptions(annealing=0, tweedie=False, tweedie_steps=count, step_size=1e-3)
        noise = noise_from(torch.Generator().manual_seed(0), 24, 1)
        run = dale_langevin(bump_score(PROCESS), x, PROCESS, grid, noise=noise, options=options)
        ends[count] = (last(run).x.log() - tops).abs().min(1).values.max()
    assert len(tops) == 2
    assert ends[400] < 1e-4
    assert ends[0] > 1e-3


# Signs


def run_from_mixed_signs(sampler, gradient, negative, step_size, seed):
    """Take 4 steps from a start of both signs with any constant Hyvärinen score."""
    x = torch.where(torch.from_numpy(negative), -1.5, 1.5).double()
    options = LangevinOptions(step_size=step_size, tweedie=False)
    noise, h = Noise(seed, range(len(x)), x.shape[1:]), torch.from_numpy(gradient)
    grid = uniform_grid(PROCESS, 4)
    return list(sampler(lambda x, t: h, x, PROCESS, grid, noise=noise, options=options))


def sign_changes(steps):
    return sum((a.x.sign() != b.x.sign()).sum(1) for a, b in pairwise(steps))


any_run = given(
    gradient=arrays(np.float64, (2, 3), elements=st.floats(allow_nan=False)),
    negative=arrays(np.bool_, (2, 3)),
    step_size=st.floats(1e-9, 1e9),
    seed=st.integers(0, 1000),
)
repeatable = settings(max_examples=100, deadline=None, derandomize=True)


@repeatable
@any_run
def test_dale_langevin_never_changes_a_sign(gradient, negative, step_size, seed):
    steps = run_from_mixed_signs(dale_langevin, gradient, negative, step_size, seed)
    for step in steps:
        assert torch.equal(step.x < 0, torch.from_numpy(negative))
        assert step.x.isfinite().all()
        assert (step.x != 0).all()
        assert (step.crossings == 0).all()


@repeatable
@any_run
def test_unconstrained_counts_every_sign_change(gradient, negative, step_size, seed):
    steps = run_from_mixed_signs(unconstrained, gradient, negative, step_size, seed)
    assert torch.equal(steps[-1].crossings, sign_changes(steps))
    assert steps[-1].x.isfinite().all()


def test_unconstrained_does_change_signs_where_dale_langevin_does_not():
    gradient, negative = np.full((50, 3), -2.0), np.arange(150).reshape(50, 3) % 2 == 0
    crossed = run_from_mixed_signs(unconstrained, gradient, negative, 2.0, seed=0)
    assert sign_changes(crossed).sum() > 50
    assert torch.equal(crossed[-1].crossings, sign_changes(crossed))
    assert (
        sign_changes(run_from_mixed_signs(dale_langevin, gradient, negative, 2.0, seed=0)).sum()
        == 0
    )


# What all six have in common


class Counting:
    """A score that counts its evaluations and checks its arguments."""

    def __init__(self, score):
        self.score, self.evaluations = score, 0

    def __call__(self, x, t):
        assert (x > 0).all()
        assert t.shape == (len(x),)
        self.evaluations += 1
        return self.score(x, t)


@pytest.mark.parametrize("steps", [1, 2, 9])
@pytest.mark.parametrize(
    ("name", "options"),
    [(name, None) for name in SAMPLERS]
    + [(name, option) for name in LANGEVIN for option in [*OPTIONS, NO_TWEEDIE]],
)
def test_steps_report_times_estimates_and_evaluations(name, options, steps):
    score, x = Counting(bump_score(PROCESS)), torch.tensor([[1.2], [0.7]])
    grid = uniform_grid(PROCESS, steps)
    extra, counted = ({"options": options} if options else {}), []
    noise = Noise(0, range(2), (1,))
    run = []
    for step in SAMPLERS[name](score, x, PROCESS, grid, noise=noise, **extra):
        run.append(step)
        counted.append(score.evaluations)
    assert [step.index for step in run] == list(range(steps + 1))
    assert [step.t for step in run] == grid.tolist()
    assert [step.score_evaluations for step in run] == counted
    assert [step.calls for step in run] == counted, "under the name in published model cards"
    assert evaluations_needed(name, steps, options or LangevinOptions()) == counted[-1]
    assert_close(run[0].x, x.double())
    t = torch.full((2,), run[-2].t, dtype=torch.float64)
    expected = denoise(score.score, PROCESS, run[-2].x.abs(), t)
    assert_close(run[-2].estimate, expected)
    assert_close(run[-1].estimate, run[-1].x.abs().log())


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("level", [8.0, 20.0])
def test_one_step_from_any_noise_level_is_finite(name, level, tiny_denoiser):
    process = GeometricBrownianMotion(mu=0.0, sigma=level)
    score = tiny_denoiser.score(process, torch.tensor([0, 2]))
    noise = Noise(0, range(2), (1, 8, 8))
    x = LogNormal.terminal(process, LogNormal(0.095, 0.219)).sample(noise())
    for grid in ("uniform", "karras"):
        times = make_grid(process, grid, 1)
        first, result = SAMPLERS[name](score, x, process, times, noise=noise)
        assert result.x.isfinite().all()
        assert_close(result.x.abs().log(), first.estimate)  # one noise-free step is Tweedie's
        assert (result.x > 0).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sample_does_not_depend_on_its_batch(name, tiny_denoiser):
    process, labels = GeometricBrownianMotion(mu=0.1, sigma=4.0), torch.tensor([0, 2, -1, 1])

    def sample(indices):
        noise = Noise(11, indices, (1, 8, 8))
        x = LogNormal(0.0, 4.0).sample(noise())
        score = tiny_denoiser.score(process, labels[list(indices)], guidance=2.0)
        return last(SAMPLERS[name](score, x, process, make_grid(process, "karras", 6), noise=noise))

    batch = sample(range(4))
    for i in range(4):
        assert_close(sample([i]).x[0], batch.x[i], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(batch.x[0], batch.x[1], rtol=1e-2)


@pytest.mark.parametrize("name", SAMPLERS)
def test_interleaved_runs_share_no_state(name):
    def run(seed):
        noise, grid = Noise(seed, range(2), (1,)), uniform_grid(PROCESS, 5)
        x = torch.tensor([[1.2], [0.7]])
        return SAMPLERS[name](bump_score(PROCESS), x, PROCESS, grid, noise=noise)

    alone = [step.x for step in run(1)]
    together = [a.x for a, _ in zip(run(1), run(2), strict=True)]
    assert_close(together, alone, rtol=0, atol=0)


class WaitedForDevice(Exception):
    pass


class NoWaiting(TorchDispatchMode):
    """Raise at every operation that must wait for an accelerator to know its result."""

    WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique", "equal", "is_nonzero")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(func.name().startswith(f"aten::{name}") for name in self.WAITS):
            raise WaitedForDevice(func.name())
        return func(*args, **(kwargs or {}))


def run_without_waiting(name, score, x, process, noise, monkeypatch):
    """Take the first step freely, since starts are checked, and the others under watch."""
    run = SAMPLERS[name](score, x, process, make_grid(process, "karras", 4), noise=noise)
    next(run)

    def refuse(*args, **kwargs):
        raise WaitedForDevice

    with monkeypatch.context() as patch, NoWaiting():
        for method in ("tolist", "cpu", "numpy"):
            patch.setattr(torch.Tensor, method, refuse)
        for step in run:
            assert step.crossings.dtype == torch.int64


@pytest.mark.parametrize("name", SAMPLERS)
def test_nothing_waits_for_the_device_between_steps(name, tiny_denoiser, monkeypatch):
    process, noise = GeometricBrownianMotion(mu=0.1, sigma=4.0), Noise(0, range(2), (1, 8, 8))
    score = tiny_denoiser.score(process, torch.tensor([0, 1]), guidance=2.0)
    run_without_waiting(name, score, noise().exp(), process, noise, monkeypatch)


@pytest.mark.parametrize(
    "look", [lambda h: h.sum().item(), lambda h: bool((h > 0).all()), lambda h: h.cpu()]
)
def test_a_score_that_waits_is_noticed(look, monkeypatch):
    def score(x, t):
        h = bump_score(PROCESS)(x, t)
        look(h)
        return h

    noise = Noise(0, range(2), (1,))
    with pytest.raises(WaitedForDevice):
        run_without_waiting("bridge", score, noise().exp(), PROCESS, noise, monkeypatch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", SAMPLERS)
def test_a_gpu_never_waits_and_gives_the_same_images(name, tiny_denoiser):
    process = GeometricBrownianMotion(mu=0.1, sigma=4.0)
    results = []
    for device in ("cpu", "cuda"):
        noise, labels = Noise(3, range(2), (1, 8, 8), device), torch.tensor([0, 1], device=device)
        score = tiny_denoiser.to(device).score(process, labels)
        x, grid = LogNormal(0.0, 4.0).sample(noise()), make_grid(process, "karras", 20)
        run = SAMPLERS[name](score, x, process, grid, noise=noise)
        next(run)
        torch.cuda.set_sync_debug_mode("error")
        try:
            results.append(last(run).x)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert_close(results[1].cpu(), results[0], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(
    ("x", "times", "message"),
    [
        ([[1.0]], [1.0], "falls strictly"),
        ([[1.0]], [0.0, 1.0], "falls strictly"),
        ([[1.0]], [1.0, 1.0, 0.0], "falls strictly"),
        ([[1.0]], [1.0, 0.5], "falls strictly"),
        ([[1.0]], [math.nan, 0.0], "falls strictly"),
        ([[1.0]], [2.0, 0.0], "beyond the horizon"),
        ([[0.0]], [1.0, 0.0], "nowhere 0"),
        ([[math.nan]], [1.0, 0.0], "must be finite"),
    ],
)
def test_bad_grids_and_starts_raise(name, x, times, message):
    run = SAMPLERS[name](
        log_normal_score(PROCESS, DATA),
        torch.tensor(x),
        PROCESS,
        torch.tensor(times, dtype=torch.float64),
        noise=Noise(0, [0], (1,)),
    )
    with pytest.raises(ValueError, match=message):
        next(run)


def test_every_sampler_has_a_label():
    for name, label in SAMPLER_LABELS.items():
        assert label.startswith(f"{name}: ")
    assert SAMPLER_LABELS.keys() == SAMPLERS.keys()


@pytest.mark.parametrize(
    "values",
    [{"annealing": -0.1}, {"annealing": 1.1}, {"annealing": math.nan}, {"repeats": 0}]
    + [{"tweedie_steps": -1}]
    + [{"step_size": value} for value in (0.0, -1.0, math.inf, math.nan)],
)
def test_options_outside_their_range_raise(values):
    with pytest.raises(ValueError, match="must be"):
        LangevinOptions(**values)
