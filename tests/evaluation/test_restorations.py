"""PSNR and SSIM of known cases, the filters against their definitions, and the table of both."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from dale_demo.evaluation.filters import FILTERS, STRENGTHS, WIDTHS, lee, median, non_local_means
from dale_demo.evaluation.restorations import (
    METHODS,
    NETWORK_METHODS,
    UNRESTORED,
    best_filtered,
    compare,
    quality,
)
from dale_demo.restoration import Restoration


@pytest.fixture
def original():
    """A bright square on black [28, 28]."""
    image = np.zeros((28, 28))
    image[8:20, 8:20] = 1
    return image


@pytest.fixture
def noised(original):
    z = np.random.default_rng(0).standard_normal(original.shape)
    return (1 + original) * np.exp(0.5 * z)


def test_quality_of_known_cases(original):
    assert quality(original, original) == (math.inf, pytest.approx(1))
    assert quality(original * 0.9 + 0.05, original)[0] == pytest.approx(26.0206, abs=1e-4)
    assert quality(1 - original, original)[0] == pytest.approx(0)
    assert quality(1 - original, original)[1] < 0


def test_quality_agrees_with_torchmetrics(original):
    image = original.copy()
    image += 0.1 * np.random.default_rng(1).standard_normal(image.shape)
    a, b = (torch.from_numpy(p)[None, None] for p in (image, original))
    psnr, ssim = quality(image, original)
    assert psnr == pytest.approx(peak_signal_noise_ratio(a, b, data_range=1.0).item(), abs=1e-4)
    _, theirs = structural_similarity_index_measure(
        a, b, data_range=1.0, sigma=1.5, return_full_image=True
    )
    assert ssim == pytest.approx(theirs[..., 5:-5, 5:-5].mean().item(), abs=1e-6)


def test_median_is_the_middle_of_x_and_of_ln_x(noised):
    by_log = np.exp(median(np.log(noised), 3))
    np.testing.assert_allclose(median(noised, 3), by_log)
    assert median(noised, 3)[10, 10] == np.median(noised[9:12, 9:12])


def test_lee_pixel_by_pixel(noised):
    level = 0.5
    window = noised[9:12, 9:12] / math.exp(level**2 / 2)
    mean, variance = window.mean(), window.var()
    weight = max(0, 1 - (math.exp(level**2) - 1) / (variance / mean**2))
    expected = mean + weight * (window[1, 1] - mean)
    assert lee(noised, level, 3)[10, 10] == pytest.approx(expected)


def test_lee_keeps_an_image_without_noise_and_averages_a_flat_one(original):
    np.testing.assert_allclose(lee(1 + original, 1e-6, 5), 1 + original, atol=1e-6)
    z = np.random.default_rng(2).standard_normal((200, 200))
    flat = lee(np.exp(0.3 * z), 0.3, 7)
    assert flat.mean() == pytest.approx(1, abs=0.01)
    assert flat.std() < 0.15


def test_non_local_means_removes_noise(noised, original):
    before = np.square(np.log(noised) - np.log(1 + original)).mean()
    after = np.square(np.log(non_local_means(noised, 0.5, 1.0)) - np.log(1 + original)).mean()
    assert after < before / 2


def test_each_filter_gets_its_best_setting(noised, original):
    best = best_filtered(noised, original, 0.5)
    for name, count in zip(FILTERS, (len(WIDTHS), len(STRENGTHS), len(WIDTHS)), strict=True):
        variants = [(x - 1).clip(0, 1) for x in FILTERS[name](noised, 0.5)]
        assert len(variants) == count
        scores = [quality(v, original)[0] for v in variants]
        assert quality(best[name], original)[0] == max(scores) > min(scores)


def test_the_table_measures_each_method(noised, original):
    flat = np.full((1, 1, 28, 28), 0.5)
    draws = np.stack([original, 1 - original, original])[None, :, None]
    restoration = Restoration(noised[None, None], original[None, None], flat, draws)
    table = compare(restoration, original[None], 0.5)
    assert tuple(table) == METHODS
    assert table[NETWORK_METHODS["tweedie"]][0, 0] == math.inf
    assert table[NETWORK_METHODS["flow"]][0, 0] == pytest.approx(quality(flat[0, 0], original)[0])
    assert table[NETWORK_METHODS["mean"]][0, 0] == pytest.approx(10 * math.log10(9))
    assert table[UNRESTORED][0, 0] == quality((noised - 1).clip(0, 1), original)[0]
    similar = [quality(d, original)[1] for d in draws[0, :, 0]]
    assert table[NETWORK_METHODS["draws"]][0, 1] == pytest.approx(np.mean(similar))
