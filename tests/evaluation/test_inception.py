"""Inception's features, with random weights, since the real ones do not come with the program.

An image takes the network half a second, so there are few of them.
"""

from io import BytesIO

import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import NoTrainInceptionV3

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.evaluation import classifier, metrics
from dale_demo.evaluation.evaluate import Reference
from dale_demo.evaluation.inception import Inception, load_inception
from tests.evaluation.test_evaluate import real

IMAGES = real(2, 3).images


class Untrained(FeatureExtractorInceptionV3):
    """Torch-fidelity's network as it is built, without reading weights."""

    def load_state_dict(self, *_: object, **__: object) -> None:
        pass


@pytest.fixture(scope="module")
def weights():
    """In the form in which they are published, but random."""
    nothing = BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return Untrained("untrained", ["2048"], nothing).state_dict()


@pytest.fixture(scope="module")
def file(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "inception.safetensors"
    save_file(weights, path)
    return path


@pytest.fixture(scope="module")
def inception(file):
    return load_inception(file)


@pytest.fixture(scope="module")
def features(inception):
    return inception.describe(IMAGES)


def test_features_are_those_of_torchmetrics(features, weights, tmp_path):
    """Which enlarges and scales images by itself, and reads the weights as they are published."""
    torch.save(weights, tmp_path / "published.pth")
    theirs = NoTrainInceptionV3("inception", ["2048"], str(tmp_path / "published.pth"))
    assert features.shape == (2, 2048)
    assert_close(features, theirs(IMAGES.repeat(1, 3, 1, 1)))
    assert not torch.equal(features[0], features[1])


def test_batches_and_colours_change_nothing(inception, features, monkeypatch):
    monkeypatch.setattr("dale_demo.evaluation.inception.BATCH", 1)
    assert_close(inception.describe(IMAGES.repeat(1, 3, 1, 1)), features)


def test_a_reference_compares_in_the_features_that_it_is_given():
    untrained = classifier.new_classifier(real(1, 0)).eval()
    pixels = FirstPixels()
    plain, lent = (Reference(untrained, real(12, 1), real(9, 2), one) for one in (None, pixels))
    images, labels = real(6, 3).images, torch.arange(6) % 3
    own, other = plain.compare(images, labels), lent.compare(images, labels)
    ours, reference = pixels.describe(images), pixels.describe(lent.test.images)
    assert other["frechet"]["value"] == metrics.FrechetDistance(reference)(ours)
    assert other["frechet"] != own["frechet"]
    for measure in ("imbalance", "pixel_law", "nearest_training"):
        assert other[measure] == own[measure], "these need no features"


class FirstPixels(Inception):
    """A stand-in that is quick to compute."""

    def __init__(self):
        pass

    def describe(self, images):
        return images.flatten(1)[:, :20].float() / 255


def test_other_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="missing"):
        load_inception(tmp_path / "nothing.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="does not hold the weights of FID's Inception"):
        load_inception(tmp_path / "other.safetensors")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "pickle.safetensors")
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        load_inception(tmp_path / "pickle.safetensors")
