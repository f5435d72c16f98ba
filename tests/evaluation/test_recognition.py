"""How many images are recognised, and the interval of that share."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from dale_demo.data import Dataset
from dale_demo.evaluation.classifier import new_classifier
from dale_demo.evaluation.recognition import Share, accuracy, recognise
from tests.evaluation.bars import bars


def arrays(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return data.images[:, 0].numpy(), data.labels.numpy()


def test_a_classifier_learns_and_an_untrained_one_knows_nothing(trained):
    unseen = bars(90, seed=1)
    assert accuracy(trained, unseen).value > 0.95
    assert accuracy(new_classifier(unseen).eval(), unseen).value < 0.7


def test_share_of_a_perfect_a_half_right_and_a_wrong_labelling(trained):
    images, _ = arrays(bars(60, seed=4))
    seen = trained.predict(torch.from_numpy(images).unsqueeze(1)).numpy()
    wrong = (seen + 1) % 3
    half = np.where(np.arange(60) < 30, seen, wrong)
    shares = [recognise(trained, images, labels).share.value for labels in (seen, half, wrong)]
    assert shares == [1, 0.5, 0]


def test_shares_per_class(trained):
    images, labels = arrays(bars(60, seed=4))
    swapped = np.where(labels == 1, 2, labels)
    result = recognise(trained, images, swapped)
    assert list(result.per_class) == [0, 2]
    assert sum(share.count for share in result.per_class.values()) == 60
    assert sum(share.hits for share in result.per_class.values()) == result.share.hits
    assert result.per_class[0].value > 0.9
    assert result.per_class[2].value == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (10, 10), (1940, 2000), (3, 7)])
def test_interval_is_wilsons(hits, count):
    low, high = Share(hits, count).interval
    z, p = 1.959963984540054, hits / count
    centre = (p + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(p * (1 - p) / count + z**2 / (4 * count**2))
    assert (low, high) == pytest.approx((centre - half, centre + half), abs=1e-9)
    exact = binomtest(hits, count).proportion_ci(method="exact")
    assert exact.low - 0.02 <= low <= p <= high <= exact.high + 0.02


@pytest.mark.parametrize(("hits", "count"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_shares(hits, count):
    with pytest.raises(ValueError, match="hits"):
        Share(hits, count)


@pytest.mark.parametrize(
    ("shape", "dtype", "labels"),
    [
        ((2, 12, 12), np.uint8, [0, 3]),
        ((2, 12, 12), np.uint8, [0, -1]),
        ((2, 12, 12), np.uint8, [0]),
        ((2, 12, 12), np.float32, [0, 1]),
        ((2, 12, 12, 3), np.uint8, [0, 1]),
        ((0, 12, 12), np.uint8, []),
    ],
)
def test_images_and_labels_that_do_not_fit(trained, shape, dtype, labels):
    with pytest.raises(ValueError, match=r"Expected uint8|needs labels"):
        recognise(trained, np.zeros(shape, dtype), labels)
