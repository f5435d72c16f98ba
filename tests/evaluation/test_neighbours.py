"""Samples beside their nearest training images: copies are found, others are not taken for them."""

import threading
from contextlib import closing

import numpy as np
import pytest
import torch

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.data import DataError, Dataset
from dale_demo.evaluation import neighbours
from dale_demo.evaluation.classifier import Classifier, new_classifier
from dale_demo.evaluation.neighbours import TrainingSet, load_training_set
from tests.evaluation.bars import bars
from tests.tiny_network import tiny_config

ROUNDING = 1e-4
"""Of features, which differ a little with the other images of their batch."""


@pytest.fixture
def untrained() -> Classifier:
    """With random weights: features still tell images apart."""
    return new_classifier(bars(1, 0)).eval()


@pytest.fixture
def data() -> Dataset:
    return bars(40, seed=1)


@pytest.fixture
def training(untrained, data, monkeypatch) -> TrainingSet:
    """In several batches."""
    monkeypatch.setattr(neighbours, "BATCH", 16)
    return TrainingSet(untrained, data, bars(20, seed=2))


def prepared(training: TrainingSet) -> TrainingSet:
    *_, share = training.prepare()
    assert share == 1
    return training


def last_channels(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy()


def test_a_copy_is_at_distance_0_and_anything_else_is_not(training, data):
    copies = last_channels(data.images[[31, 4, 17]])
    others = copies.copy()
    others[:, 5, 5] ^= 128
    found = prepared(training).neighbours(copies)
    assert found.nearest["pixels"].distances.tolist() == [0, 0, 0]
    assert found.nearest["features"].distances.max() < ROUNDING
    for one in found.nearest.values():
        np.testing.assert_array_equal(one.images, copies)
        assert max(one.least, one.median) < ROUNDING
        assert one.below(ROUNDING) == 3
    changed = training.neighbours(others)
    np.testing.assert_allclose(changed.nearest["pixels"].distances, 128 / 255, rtol=1e-5)
    assert changed.nearest["features"].least > ROUNDING
    fresh = training.neighbours(last_channels(bars(3, seed=9).images))
    assert fresh.nearest["pixels"].below(training.unseen["pixels"]["lowest_percent"] / 2) == 0


def test_distances_are_those_of_brute_force(training, data, untrained):
    samples = bars(5, seed=3).images
    found = prepared(training).neighbours(last_channels(samples))
    spaces = {
        "pixels": (samples.double() / 255, data.images.double() / 255),
        "features": (untrained.describe(samples).double(), untrained.describe(data.images)),
    }
    for space, (own, pool) in spaces.items():
        each = (own[:, None] - pool[None].double()).flatten(2).norm(dim=2)
        one = found.nearest[space]
        np.testing.assert_allclose(one.distances, each.min(1).values, rtol=1e-4)
        np.testing.assert_array_equal(one.images, last_channels(data.images[each.argmin(1)]))


def test_the_sheet_has_three_rows(training):
    samples = last_channels(bars(4, seed=3).images)
    found = prepared(training).neighbours(samples)
    sheet = found.sheet()
    assert sheet.shape == (3 * 14 + 2, 4 * 14 + 2, 1)
    np.testing.assert_array_equal(sheet[2:14, 16:28], samples[1])
    np.testing.assert_array_equal(sheet[16:28, 2:14], found.nearest["pixels"].images[0])
    np.testing.assert_array_equal(sheet[30:42, 44:56], found.nearest["features"].images[3])


def test_unseen_images_are_summarised(training, data, untrained):
    prepared(training)
    test = bars(20, seed=2).images
    spaces = {
        "pixels": (test.flatten(1).double() / 255, data.images.flatten(1).double() / 255),
        "features": (untrained.describe(test), untrained.describe(data.images)),
    }
    for space, (own, pool) in spaces.items():
        least = torch.cdist(own.double(), pool.double()).min(1).values.numpy()
        summary = training.unseen[space]
        assert summary["median"] == pytest.approx(np.median(least), rel=1e-4)
        assert summary["lowest_percent"] == pytest.approx(np.percentile(least, 1), rel=1e-4)


def test_features_are_computed_once_however_often_they_are_asked_for(training, monkeypatch):
    """One who is broken off leaves the work that was done; two at once share it."""
    described: list[int] = []
    describe = Classifier.describe

    def count(classifier, images):
        described.append(len(images))
        return describe(classifier, images)

    monkeypatch.setattr(Classifier, "describe", count)
    with pytest.raises(ValueError, match="not been prepared"):
        training.neighbours(last_channels(bars(1, seed=3).images))
    with closing(training.prepare()) as broken_off:
        assert next(broken_off) == 16 / 40
    threads = [threading.Thread(target=lambda: list(training.prepare())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert described == [16, 16, 8, 20], "each training image once, then the test images"
    assert list(training.prepare()) == []


def test_a_network_of_other_images_cannot_be_compared(training):
    with pytest.raises(ValueError, match=r"shape \[1, 8, 8\].*cannot be compared"):
        training.check(tiny_config())


@pytest.mark.parametrize("name", ["folder:cats", "idx:a,b", "someone's", ""])
def test_data_of_ones_own_are_not_here(name):
    with pytest.raises(ValueError, match="images of its own"):
        load_training_set(name)


def test_what_is_missing_is_said_in_one_sentence(monkeypatch):
    def no_network(*_):
        raise DataError("mnist is not here and cannot be downloaded.")

    monkeypatch.setattr(neighbours, "load_split", no_network)
    with pytest.raises(ValueError, match="cannot be downloaded"):
        load_training_set("mnist")

    def no_classifier(_):
        raise CheckpointError("There is none.")

    monkeypatch.setattr(neighbours, "find_classifier", no_classifier)
    with pytest.raises(ValueError, match="no classifier of MNIST"):
        load_training_set("mnist")


def test_a_named_set_is_loaded_with_its_classifier(monkeypatch, trained):
    monkeypatch.setattr(neighbours, "find_classifier", lambda name: name)
    monkeypatch.setattr(neighbours, "load_classifier", lambda *_: trained)
    pair = (bars(30, len("train")), bars(30, len("test")))
    monkeypatch.setattr(neighbours, "load_split", lambda name: pair)
    training = prepared(load_training_set("mnist"))
    copy = last_channels(bars(30, len("train")).images[7:8])
    unseen = last_channels(bars(30, len("test")).images[7:8])
    assert training.neighbours(copy).nearest["features"].least < ROUNDING
    assert training.neighbours(unseen).nearest["features"].least > ROUNDING
