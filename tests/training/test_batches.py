"""Batches: the noise levels of each recipe, and where images are augmented."""

import dataclasses
import math

import pytest
import torch
from scipy import stats

from dale_demo.data import Dataset
from dale_demo.network import MAX_NOISE_LEVEL, MIN_NOISE_LEVEL
from dale_demo.paper import PROCESS
from dale_demo.training.batches import global_batch
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
