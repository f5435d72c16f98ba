"""Batches: the noise levels of each recipe, and augmented images."""

import dataclasses
import math

import pytest
import torch
from scipy import stats

from dale_demo.data import Dataset
from dale_demo.network import MAX_NOISE_LEVEL, MIN_NOISE_LEVEL
from dale_demo.paper import PROCESS
from dale_demo.training.batches import MAX_SHIFT, augmented, global_batch
from dale_demo.training.config import TrainingConfig

SIZE = 4000


@pytest.fixture(scope="module")
def data():
    return Dataset("dots", torch.zeros(SIZE, 1, 1, 1, dtype=torch.uint8), torch.zeros(SIZE), ("a",))


def times(data, **settings):
    return global_batch(data, TrainingConfig(batch_size=SIZE, **settings), 3)[2]


def test_the_papers_recipe_draws_times_uniformly(data):
    t = times(data, recipe="paper")
    assert stats.kstest(t.numpy(), "uniform").pvalue > 1e-4
    assert stats.kstest(PROCESS.noise_level(t).numpy() / 0.8, "uniform").pvalue < 1e-9, "not in s"
    levels = PROCESS.noise_level(t)
    assert levels.min() >= MIN_NOISE_LEVEL * (1 - 1e-12)
    assert levels.max() <= PROCESS.max_noise_level


def test_edms_recipe_draws_log_noise_levels_from_a_normal_distribution(data):
    log_s = PROCESS.noise_level(times(data)).log()
    config = TrainingConfig()
    inside = stats.norm(config.log_noise_mean, config.log_noise_std)
    assert stats.kstest(log_s.numpy(), inside.cdf).pvalue > 1e-4
    assert log_s.max() <= math.log(MAX_NOISE_LEVEL) + 1e-9


def disc(count, side=28):
    """`count` images of a white disc in the middle, and its area in pixels."""
    ramp = torch.arange(side) - (side - 1) / 2
    image = (ramp[:, None] ** 2 + ramp**2 < 36).to(torch.uint8) * 255
    return image.expand(count, 1, side, side), int(image.sum()) / 255


def test_augmented_images_are_a_little_elsewhere():
    images, area = disc(500)
    moved = augmented(images, 1.0, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert moved.dtype == torch.uint8
    mass = moved.double().sum((1, 2, 3)) / 255
    centres = [
        (moved.double() * at).sum((1, 2, 3)) / 255 / mass
        for at in (torch.arange(28.0), torch.arange(28.0)[:, None])
    ]
    for centre in centres:
        off = centre - 13.5
        # Scaled by up to e^0.1, and mixed with the other direction by turn and shear.
        assert off.abs().max() < MAX_SHIFT * 1.35
        # Uniform up to MAX_SHIFT has a standard deviation of MAX_SHIFT/√3.
        assert off.std().item() == pytest.approx(MAX_SHIFT / math.sqrt(3), rel=0.1)
        assert off.mean().abs() < 0.2
    assert (mass / area).min() > 0.75
    assert (mass / area).max() < 1.3


def test_as_many_are_augmented_as_asked():
    images, _ = disc(2000)
    images = images.clone()
    images[:, :, 0, 0] = torch.arange(2000).remainder(200)[:, None] + 1
    moved = augmented(images, 0.3, torch.Generator().manual_seed(0))
    changed = (moved != images).flatten(1).any(1)
    assert changed.double().mean().item() == pytest.approx(0.3, abs=0.05)
    assert not (augmented(images, 0.0, torch.Generator()) != images).any()


def test_batches_are_augmented_where_it_is_asked(halves):
    config = TrainingConfig(batch_size=16)
    plain, label, t, z = global_batch(halves, config, 0)
    same = global_batch(halves, config, 0)
    other = global_batch(halves, dataclasses.replace(config, augment=1.0), 0)
    assert torch.equal(plain, same[0])
    assert not torch.equal(plain, other[0])
    assert 1 <= other[0].min() <= other[0].max() <= 2
    assert torch.equal(t, other[2]), "the same noise levels"
    assert label.shape == (16,)
    assert torch.equal(z, other[3])
