"""Distances against closed forms, brute force and known cases."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.stats import ortho_group

from dale_demo.data import positive
from dale_demo.evaluation import metrics
from tests.distributions import fit_log_normal


@pytest.fixture
def gaussians(generator):
    """Two sets whose sample moments are exactly those given back: features, mean, covariance."""
    random = np.random.default_rng(0)
    sets = []
    for shift, scales in ((0.0, [1.0, 2.0, 0.5]), (1.5, [0.3, 1.0, 2.0])):
        rotation = ortho_group.rvs(3, random_state=random)
        covariance = rotation @ np.diag(np.square(scales)) @ rotation.T
        white = torch.randn(500, 3, generator=generator, dtype=torch.float64)
        white -= white.mean(0)
        white = torch.linalg.solve_triangular(
            torch.linalg.cholesky(white.T.cov()), white.T, upper=False
        ).T
        mean = shift + np.arange(3.0)
        features = (
            torch.from_numpy(mean) + white @ torch.linalg.cholesky(torch.from_numpy(covariance)).mT
        )
        sets.append((features, mean, covariance))
    return sets


def test_frechet_distance_of_gaussians_is_the_closed_form(gaussians):
    (one, mean1, cov1), (two, mean2, cov2) = gaussians
    expected = ((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * sqrtm(cov1 @ cov2).real)
    assert metrics.FrechetDistance(two)(one) == pytest.approx(expected, rel=1e-6)
    assert metrics.FrechetDistance(one)(two) == pytest.approx(expected, rel=1e-6)


def test_identical_sets_are_at_no_distance(gaussians):
    features = gaussians[0][0]
    assert metrics.FrechetDistance(features)(features) == pytest.approx(0, abs=1e-5)
    precision, recall = metrics.precision_recall(features, features)
    assert (precision.value, recall.value) == (1, 1)
    images = torch.randint(0, 256, (5, 1, 4, 4)).to(torch.uint8)
    assert metrics.pixel_distribution(images, images)["wasserstein"] == 0
    assert (metrics.nearest(images, images)[0] == 0).all()


def test_the_error_of_a_frechet_distance_is_its_spread_over_fresh_draws(generator):
    reference = torch.randn(4000, 4, generator=generator)
    distance = metrics.FrechetDistance(reference)
    fresh = [distance(torch.randn(300, 4, generator=generator) + 0.3) for _ in range(60)]
    measured = metrics.frechet(torch.randn(300, 4, generator=generator) + 0.3, reference)
    assert measured.value == pytest.approx(np.mean(fresh), abs=4 * np.std(fresh))
    assert measured.error == pytest.approx(np.std(fresh), rel=0.5)


def test_kernel_distance_is_the_unbiased_discrepancy(generator):
    """With all rows in every subset, against the double sums written out."""
    one = torch.randn(40, 5, generator=generator, dtype=torch.float64)
    two = torch.randn(40, 5, generator=generator, dtype=torch.float64) + 0.5

    def kernel(x, y):
        return (x @ y.T / 5 + 1) ** 3

    def off_diagonal(matrix):
        return (matrix.sum() - matrix.trace()) / (40 * 39)

    expected = off_diagonal(kernel(one, one)) + off_diagonal(kernel(two, two))
    expected -= 2 * kernel(one, two).mean()
    measured = metrics.kernel(one, two)
    assert measured.value == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("subset", [50, 200])
def test_the_error_of_a_kernel_distance_is_its_spread_over_fresh_draws(
    generator, subset, monkeypatch
):
    """Also where every subset holds all 200 rows, so that subsets differ in nothing."""
    monkeypatch.setattr(metrics, "SUBSET", subset)
    reference = torch.randn(4000, 4, generator=generator)
    measured = [
        metrics.kernel(torch.randn(200, 4, generator=generator) + 0.3, reference, seed)
        for seed in range(25)
    ]
    spread = np.std([m.value for m in measured], ddof=1)
    assert np.mean([m.error for m in measured]) == pytest.approx(spread, rel=0.6)


def test_precision_and_recall_against_brute_force(generator, monkeypatch):
    monkeypatch.setattr(metrics, "ROWS", 7)
    real = torch.randn(50, 2, generator=generator)
    fake = torch.randn(30, 2, generator=generator) * 0.5 + 0.8

    def covered(point, manifold):
        for centre in manifold:
            others = sorted(float((centre - other).norm()) for other in manifold)
            if float((centre - point).norm()) <= others[metrics.NEIGHBOUR] + 1e-6:
                return True
        return False

    precision, recall = metrics.precision_recall(fake, real)
    assert precision.value == pytest.approx(np.mean([covered(point, real) for point in fake]))
    assert recall.value == pytest.approx(np.mean([covered(point, fake) for point in real]))
    share = precision.value
    assert precision.error == pytest.approx(np.sqrt(share * (1 - share) / 30))


def test_a_collapsed_set_is_precise_and_recalls_little(generator):
    real = torch.randn(400, 3, generator=generator)
    collapsed = 0.05 * torch.randn(400, 3, generator=generator)
    precision, recall = metrics.precision_recall(collapsed, real)
    assert precision.value > 0.99
    assert recall.value < 0.05
    far, _ = metrics.precision_recall(collapsed + 100, real)
    assert far.value == 0


def test_nearest_finds_what_was_hidden(generator, monkeypatch):
    monkeypatch.setattr(metrics, "ROWS", 4)
    monkeypatch.setattr(metrics, "POOL_ROWS", 9)
    pool = torch.randint(0, 256, (60, 1, 6, 6), generator=generator).to(torch.uint8)
    hidden = torch.tensor([3, 59, 17, 4, 30, 8])
    copies = pool[hidden].clone()
    copies[0, 0, 0, 0] ^= 255
    distances, indices = metrics.nearest(copies, pool)
    assert torch.equal(indices, hidden)
    difference = abs(int(copies[0, 0, 0, 0]) - int(pool[3, 0, 0, 0])) / 255
    assert distances[0].item() == pytest.approx(difference, rel=1e-3)
    assert (distances[1:] == 0).all()


def test_the_distribution_of_the_pixels():
    dark, bright = (torch.full((3, 1, 4, 4), v, dtype=torch.uint8) for v in (51, 102))
    compared = metrics.pixel_distribution(bright, dark)
    assert compared["wasserstein"] == pytest.approx(0.2)
    mixed = torch.cat([dark, bright])
    fit = fit_log_normal(positive(mixed))
    compared = metrics.pixel_distribution(mixed, dark)
    assert (compared["log_mean"], compared["log_std"]) == (fit.log_mean, fit.log_std)
    assert compared["wasserstein"] == pytest.approx(0.1)


def test_imbalance():
    even = torch.tensor([0, 1, 2, 3])
    assert metrics.imbalance(even, even, 4) == 0
    assert metrics.imbalance(torch.tensor([0, 0]), torch.tensor([1]), 4) == 1
    assert metrics.imbalance(torch.tensor([0, 1]), even, 4) == pytest.approx(0.5)


@pytest.mark.parametrize("features", [torch.zeros(1, 3), torch.zeros(6)])
def test_too_little_to_measure(features):
    good = torch.zeros(9, 3)
    with pytest.raises(ValueError, match="Expected features"):
        metrics.FrechetDistance(good)(features)
    with pytest.raises(ValueError, match="Expected features"):
        metrics.kernel(good, features)
    with pytest.raises(ValueError, match="more than 3 rows"):
        metrics.precision_recall(good, torch.zeros(3, 3))
    with pytest.raises(ValueError, match="Expected 3 features, got 4"):
        metrics.FrechetDistance(good)(torch.zeros(9, 4))
