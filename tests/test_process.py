"""The forward process, its distributions and grids, against scipy and the formulas."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from dale_demo.noise import Noise
from dale_demo.process import (
    GeometricBrownianMotion,
    LogNormal,
    class_averaged_start,
    karras_grid,
    make_grid,
    uniform_grid,
)
from tests.distributions import normals

PROCESS = GeometricBrownianMotion(mu=0.3, sigma=1.2, horizon=2.0)
N = 100_000


def log_normal_pvalue(x: torch.Tensor, log_mean: float, log_std: float) -> float:
    """p-value of the Kolmogorov–Smirnov test of `x` against a log-normal distribution."""
    expected = stats.lognorm(s=log_std, scale=math.exp(log_mean))
    return stats.kstest(x.numpy(), expected.cdf).pvalue


def test_forward_follows_the_log_normal_distribution(generator):
    x0, t = torch.full((N,), 1.7, dtype=torch.float64), torch.tensor(1.3, dtype=torch.float64)
    x = PROCESS.forward(x0, t, normals(generator, N))
    log_mean, log_std = math.log(1.7) + (0.3 - 1.2**2 / 2) * 1.3, 1.2 * math.sqrt(1.3)
    assert log_normal_pvalue(x, log_mean, log_std) > 0.01
    assert log_normal_pvalue(x, log_mean, 1.05 * log_std) < 1e-6
    mean, std = PROCESS.log_moments(x0[:1], t)
    assert_close(mean, torch.tensor([log_mean], dtype=torch.float64))
    assert_close(std, torch.tensor(log_std, dtype=torch.float64))


def test_forward_takes_one_time_for_each_sample(generator):
    x0, z = torch.rand(3, 2, 4, generator=generator) + 1, torch.randn(3, 2, 4, generator=generator)
    t = torch.tensor([0.1, 0.5, 2.0])
    each = torch.stack([PROCESS.forward(x0[i], t[i], z[i]) for i in range(3)])
    assert_close(PROCESS.forward(x0, t, z), each)


def test_path_has_independent_log_normal_increments(generator):
    times = torch.tensor([0.2, 0.5, 2.0], dtype=torch.float64)
    x0 = torch.full((N,), 1.7, dtype=torch.float64)
    path = PROCESS.path(x0, times, generator)
    ratios = path / torch.cat([x0[None], path[:-1]])
    for ratio, dt in zip(ratios, (0.2, 0.3, 1.5), strict=True):
        assert log_normal_pvalue(ratio, (0.3 - 0.72) * dt, 1.2 * math.sqrt(dt)) > 0.01
        assert log_normal_pvalue(ratio, (0.3 - 0.72) * dt, 1.14 * math.sqrt(dt)) < 1e-6
    correlations = np.corrcoef(ratios.log().numpy())[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 4 / math.sqrt(N)


@pytest.mark.parametrize("times", [[0.5, 0.2], [0.5, 2.1], [-0.1, 0.5]])
def test_path_refuses_times_that_fall_or_lie_outside_the_horizon(times):
    with pytest.raises(ValueError, match="must rise within"):
        PROCESS.path(torch.ones(1), torch.tensor(times))


def test_noise_level_and_time_are_inverse_and_the_median_is_kept():
    t = torch.linspace(0, 2, 7, dtype=torch.float64)
    assert_close(PROCESS.time(PROCESS.noise_level(t)), t)
    assert PROCESS.max_noise_level == pytest.approx(1.2 * math.sqrt(2))
    assert GeometricBrownianMotion.median_preserving(0.8).log_drift(t).abs().max() == 0
    assert PROCESS.log_drift(t).abs().max() > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: GeometricBrownianMotion(math.nan, 1.0),
        lambda: GeometricBrownianMotion(math.inf, 1.0),
        lambda: GeometricBrownianMotion(0.0, 0.0),
        lambda: GeometricBrownianMotion(0.0, -1.0),
        lambda: GeometricBrownianMotion(0.0, math.nan),
        lambda: GeometricBrownianMotion(0.0, 1.0, 0.0),
        lambda: GeometricBrownianMotion(0.0, 1.0, math.inf),
        lambda: GeometricBrownianMotion(10**309, 1.0),
        lambda: GeometricBrownianMotion(True, 1.0),
        lambda: GeometricBrownianMotion(0.0, 1e200),
        lambda: GeometricBrownianMotion(0.0, 5e-324),
        lambda: GeometricBrownianMotion(0.0, "1"),
        lambda: GeometricBrownianMotion(0.0, 1.0, 5e-324),
        lambda: LogNormal(10**20, 1.0),
        lambda: LogNormal(0.0, 1e200),
        lambda: LogNormal(0.0, 5e-324),
        lambda: LogNormal(False, 1.0),
        lambda: LogNormal(math.nan, 1.0),
        lambda: LogNormal(0.0, 0.0),
        lambda: LogNormal(0.0, math.inf),
        lambda: uniform_grid(PROCESS, 0),
        lambda: karras_grid(PROCESS, 0),
        lambda: karras_grid(PROCESS, 5, min_noise_level=0.0),
        lambda: karras_grid(PROCESS, 5, min_noise_level=1.7),
        lambda: karras_grid(PROCESS, 5, rho=0.5),
        lambda: make_grid(PROCESS, "cosine", 5),
        lambda: Noise(-1, [0], (1,)),
    ],
)
def test_values_outside_their_domain_raise(make):
    with pytest.raises(ValueError, match=r"must|needs|Unknown"):
        make()


@pytest.mark.parametrize("sigma", [1e-6, 1e3])
@pytest.mark.parametrize("horizon", [1e-12, 1e6])
def test_the_largest_and_smallest_processes_stay_finite(sigma, horizon):
    process = GeometricBrownianMotion.median_preserving(sigma, horizon)
    t = torch.tensor([horizon], dtype=torch.float64)
    assert process.noise_level(t).item() > 0
    assert_close(process.time(process.noise_level(t)), t)
    for mu in (-1e6, 1e6):
        other = GeometricBrownianMotion(mu, sigma, horizon)
        assert other.log_drift(t).isfinite()
        assert math.isfinite(LogNormal.terminal(other, LogNormal(0.1, 0.2)).log_mean)


def test_uniform_grid_is_equally_spaced():
    expected = torch.tensor([2.0 * (1 - k / 8) for k in range(9)], dtype=torch.float64)
    assert_close(uniform_grid(PROCESS, 8), expected)
    assert_close(make_grid(PROCESS, "uniform", 8), expected)


@pytest.mark.parametrize("steps", [1, 2, 18])
def test_karras_grid_follows_equation_5(steps):
    top, low, rho = 1.2 * math.sqrt(2), 0.005, 7
    levels = [
        (top ** (1 / rho) + k / max(1, steps - 1) * (low ** (1 / rho) - top ** (1 / rho))) ** rho
        for k in range(steps)
    ]
    grid = karras_grid(PROCESS, steps)
    expected = torch.tensor([*levels, 0.0], dtype=torch.float64)
    assert_close(PROCESS.noise_level(grid), expected)
    assert_close(make_grid(PROCESS, "karras", steps), grid)
    assert (grid.diff() < 0).all()


@pytest.mark.parametrize("options", [{}, {"min_noise_level": 0.02}])
def test_karras_grid_is_lowered_for_a_tiny_noise_level(options):
    quiet = GeometricBrownianMotion.median_preserving(0.004)
    grid = make_grid(quiet, "karras", 4, **options)
    assert grid[0] == pytest.approx(quiet.horizon)
    assert quiet.noise_level(grid[-2]).item() == pytest.approx(0.002)
    assert (grid.diff() < 0).all()


def test_only_a_karras_grid_has_a_min_noise_level():
    early = make_grid(PROCESS, "karras", 8, 0.02)
    assert_close(early, karras_grid(PROCESS, 8, 0.02))
    assert PROCESS.noise_level(early[-2]).item() == pytest.approx(0.02)
    assert_close(make_grid(PROCESS, "uniform", 8, 0.02), uniform_grid(PROCESS, 8))


def test_terminal_distribution_is_exact_for_log_normal_data(generator):
    data = LogNormal(0.4, 0.5)
    x0, z = data.sample(normals(generator, N)), normals(generator, N)
    x = PROCESS.forward(x0, torch.tensor(2.0, dtype=torch.float64), z)
    terminal = LogNormal.terminal(PROCESS, data)
    assert log_normal_pvalue(x, terminal.log_mean, terminal.log_std) > 0.01
    assert log_normal_pvalue(x, terminal.log_mean, PROCESS.max_noise_level) < 1e-6
    start = terminal.sample(normals(generator, N))
    assert stats.ks_2samp(x.numpy(), start.numpy()).pvalue > 0.01


def test_class_averaged_start_noises_each_class_around_its_mean(generator):
    averages = torch.tensor([[1.1, 1.9], [1.5, 1.2]])
    labels = torch.arange(N) % 2
    x = class_averaged_start(PROCESS, averages, labels, normals(generator, N, 2))
    for label in (0, 1):
        for pixel in (0, 1):
            log_mean = averages[label, pixel].log().item() + (0.3 - 0.72) * 2
            sample = x[labels == label, pixel]
            assert log_normal_pvalue(sample, log_mean, 1.2 * math.sqrt(2)) > 0.01
            assert log_normal_pvalue(sample, log_mean + 0.1, 1.2 * math.sqrt(2)) < 1e-6


def test_noise_of_a_sample_does_not_depend_on_its_batch():
    batch, alone = Noise(7, range(5), (3, 4)), Noise(7, [3], (3, 4))
    for _ in range(3):
        assert torch.equal(batch()[3:4], alone())
    assert not torch.equal(Noise(8, [3], (3, 4))(), Noise(7, [3], (3, 4))())
    assert not torch.equal(Noise(7, [2], (3, 4))(), Noise(7, [3], (3, 4))())


def test_noise_is_standard_normal_across_samples_and_draws():
    noise = Noise(0, range(500), (10,))
    draws = torch.stack([noise() for _ in range(10)])
    assert draws.dtype == torch.float64
    assert stats.kstest(draws.flatten().numpy(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(draws[0].flatten(), draws[1].flatten())[0, 1]) < 0.06
    assert abs(np.corrcoef(draws[0, :-1].flatten(), draws[0, 1:].flatten())[0, 1]) < 0.06
