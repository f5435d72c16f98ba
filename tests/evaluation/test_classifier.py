"""The classifier: its training, its features and its folder."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.evaluation import classifier as classifiers
from tests.evaluation.bars import bars
from tests.tiny_network import save_tiny


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


def test_training_can_augment_its_images(monkeypatch):
    data, seen = bars(50, seed=0), []

    def noted(images, share, generator):
        seen.append((len(images), share))
        return 255 - images

    monkeypatch.setattr(classifiers, "augmented", noted)
    weights = []
    for augment in (0.0, 0.3):
        classifier = classifiers.new_classifier(data, seed=5)
        run = classifiers.train_classifier(
            classifier, data, epochs=1, batch_size=25, augment=augment
        )
        assert len(list(run)) == 2
        weights.append(classifier.state_dict())
    assert seen == [(25, 0.3)] * 2
    assert any(not torch.equal(w, weights[1][name]) for name, w in weights[0].items())


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


def test_a_shift_moves_images_and_changes_nothing_else():
    data, generator = bars(40, seed=3), torch.Generator().manual_seed(0)
    moved = classifiers.shifted(data.images, 2, generator)
    offsets = set()
    for image, original in zip(moved, data.images, strict=True):
        padded = np.pad(original[0].numpy(), 2, mode="edge")
        found = [
            (i, j)
            for i in range(5)
            for j in range(5)
            if (padded[i : i + 12, j : j + 12] == image[0].numpy()).all()
        ]
        assert len(found) == 1
        offsets.add(found[0])
    assert len(offsets) > 10
    assert torch.equal(classifiers.shifted(data.images, 0, generator), data.images)


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


WRONG = {
    f"{key} {str(value)[:20]}": {key: value}
    for key, value in (
        *(("dataset", bad) for bad in (5, None, "", [], "\udce9")),
        *(("class_names", bad) for bad in (5, None, "abc", {"a": 1}, [], [1], [None], ["\udce9"])),
        *(("image_channels", bad) for bad in ("1", None, True, 0, 10**6, 1.0)),
        *((key, bad) for key in ("training", "metrics") for bad in (5, None, "a", [])),
        *(("metrics", {"test_accuracy": bad, "interval": [0, 1]}) for bad in ("a", [], 2, True)),
        *(("metrics", {"test_accuracy": 0.5, "interval": bad}) for bad in (5, "ab", [1], ["a", 1])),
        ("unknown", 1),
    )
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_config_with_wrong_types_is_refused(change, tmp_path):
    model = classifiers.new_classifier(bars(4, seed=0)).eval()
    classifiers.save_classifier(tmp_path, model, model.config)
    classifiers.load_classifier(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError) as refusal:
        classifiers.load_classifier(tmp_path)
    assert len(str(refusal.value)) <= 300
