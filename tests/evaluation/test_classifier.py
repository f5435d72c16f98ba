"""The classifier, the recognised share and its interval."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import binomtest

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.data import Dataset
from dale_demo.evaluation import classifier as classifiers
from dale_demo.evaluation.classifier import Share, recognise, recognised_share
from tests.tiny_network import save_tiny

CLASSES = ("top", "bottom", "left")


def bars(count: int, seed: int) -> Dataset:
    """12×12 pictures with noise and a bright bar at one of three sides."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 90, (count, 1, 12, 12), generator=generator)
    labels = torch.arange(count) % 3
    images[labels == 0, :, :4] += 140
    images[labels == 1, :, 8:] += 140
    images[labels == 2, :, :, :4] += 140
    return Dataset("bars", images.to(torch.uint8), labels, CLASSES)


def picture_arrays(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return data.images[:, 0].numpy(), data.labels.numpy()


@pytest.fixture(scope="module")
def trained() -> classifiers.Classifier:
    data = bars(300, seed=0)
    classifier = classifiers.new_classifier(data)
    for _ in classifiers.train_classifier(classifier, data, epochs=4, batch_size=30, shift=1):
        pass
    return classifier


def test_a_classifier_learns_and_an_untrained_one_does_not_know(trained):
    unseen = bars(90, seed=1)
    assert classifiers.accuracy(trained, unseen).value > 0.95
    assert classifiers.accuracy(classifiers.new_classifier(unseen).eval(), unseen).value < 0.7


def test_training_reports_its_progress_and_repeats_exactly():
    data = bars(50, seed=0)
    weights = []
    for _ in range(2):
        classifier = classifiers.new_classifier(data, seed=5)
        reports = list(
            classifiers.train_classifier(classifier, data, epochs=2, batch_size=20, seed=5)
        )
        weights.append(classifier.state_dict())
    assert [r.images for r in reports] == [20, 40, 50, 70, 90, 100]
    assert all(r.total == 100 and math.isfinite(r.loss) for r in reports)
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0)


def test_training_settings_outside_their_range():
    data = bars(6, seed=0)
    with pytest.raises(ValueError, match="epochs and batch_size"):
        next(classifiers.train_classifier(classifiers.new_classifier(data), data, epochs=0))


def test_the_head_reads_the_features(trained):
    images = bars(7, seed=2).images
    features = trained.features(images)
    assert features.shape == (7, trained.FEATURES)
    torch.testing.assert_close(trained.head(features), trained(images))


def test_features_batch_by_batch_are_those_at_once(trained, monkeypatch):
    images = bars(7, seed=2).images
    monkeypatch.setattr(classifiers, "BATCH", 3)
    torch.testing.assert_close(trained.describe(images), trained.features(images))


def test_a_shift_moves_pictures_and_nothing_else():
    data, generator = bars(40, seed=3), torch.Generator().manual_seed(0)
    moved = classifiers.shifted(data.images, 2, generator)
    offsets = set()
    for picture, original in zip(moved, data.images, strict=True):
        padded = np.pad(original[0].numpy(), 2, mode="edge")
        found = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if (padded[i : i + 12, j : j + 12] == picture[0].numpy()).all()
        ]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) > 10
    assert torch.equal(classifiers.shifted(data.images, 0, generator), data.images)


def test_share_of_a_perfect_a_half_right_and_a_wrong_labelling(trained):
    images, _ = picture_arrays(bars(60, seed=4))
    seen = trained.predict(torch.from_numpy(images).unsqueeze(1)).numpy()
    wrong = (seen + 1) % 3
    assert recognised_share(trained, images, seen) == 1
    assert recognised_share(trained, images, wrong) == 0
    assert recognised_share(trained, images, np.where(np.arange(60) < 30, seen, wrong)) == 0.5


def test_shares_per_class(trained):
    images, labels = picture_arrays(bars(60, seed=4))
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
def test_pictures_and_labels_that_do_not_fit(trained, shape, dtype, labels):
    with pytest.raises(ValueError, match=r"Expected uint8|needs labels"):
        recognise(trained, np.zeros(shape, dtype), labels)


def test_classifier_folder_round_trip(trained, tmp_path):
    classifiers.save_classifier(tmp_path, trained, trained.config)
    loaded = classifiers.load_classifier(tmp_path)
    torch.testing.assert_close(loaded.state_dict(), trained.state_dict(), rtol=0, atol=0)
    assert loaded.config == trained.config
    assert not loaded.training
    images = bars(5, seed=0).images
    torch.testing.assert_close(loaded(images), trained(images), rtol=0, atol=0)


def test_folders_that_are_no_classifier(trained, tmp_path):
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        classifiers.load_classifier(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="does not describe a 'small-cnn-classifier'"):
        classifiers.load_classifier(save_tiny(tmp_path / "denoiser"))
    folder = tmp_path / "damaged"
    classifiers.save_classifier(folder, trained, trained.config)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-10])
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        classifiers.load_classifier(folder)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | {"surprise": 1}))
    with pytest.raises(CheckpointError, match="incomplete or wrong"):
        classifiers.load_classifier(folder)
    with pytest.raises(CheckpointError, match="no classifier of 'bars'"):
        classifiers.find_classifier("bars")


BUNDLED = sorted(classifiers.CLASSIFIERS.glob("*/config.json"))
LEAST_ACCURACY = {"mnist": 0.985, "fashion-mnist": 0.9, "kmnist-10k": 0.96}


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.parent.name)
def test_bundled_classifiers_are_small_and_good(path):
    classifier = classifiers.load_classifier(classifiers.find_classifier(path.parent.name))
    assert classifier.config.metrics["test_accuracy"] > LEAST_ACCURACY[path.parent.name]
    assert (path.parent / "model.safetensors").stat().st_size < 2 * 2**20
    tensors = load_file(path.parent / "model.safetensors")
    assert tensors["head.weight"].shape == (10, classifier.FEATURES)
