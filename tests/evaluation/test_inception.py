"""Inception's features, with weights drawn at random, since the real ones are not shipped."""

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

PICTURES = real(6, 3).images


class Untrained(FeatureExtractorInceptionV3):
    """Torch-fidelity's network as it is built, before it reads its weights."""

    def load_state_dict(self, *_: object, **__: object) -> None:
        pass


@pytest.fixture(scope="module")
def weights():
    """As they are published, but random and of no use."""
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


def test_features_are_those_of_torchmetrics(inception, weights, tmp_path):
    """Which enlarges and scales the pictures by itself, and reads the weights as they come."""
    torch.save(weights, tmp_path / "published.pth")
    theirs = NoTrainInceptionV3("inception", ["2048"], str(tmp_path / "published.pth"))
    features = inception.describe(PICTURES)
    assert features.shape == (6, 2048)
    assert_close(features, theirs(PICTURES.repeat(1, 3, 1, 1)))
    assert not torch.equal(features[0], features[1])


def test_batches_and_colours_change_nothing(inception, monkeypatch):
    whole = inception.describe(PICTURES)
    monkeypatch.setattr("dale_demo.evaluation.inception.BATCH", 4)
    assert_close(inception.describe(PICTURES.repeat(1, 3, 1, 1)), whole)


def test_a_reference_compares_by_the_features_that_it_is_lent(inception):
    judge = classifier.new_classifier(real(1, 0)).eval()
    small = Halved(inception)
    plain, lent = (Reference(judge, real(12, 1), real(9, 2), one) for one in (None, small))
    images, labels = PICTURES, torch.arange(6) % 3
    own, other = plain.compare(images, labels), lent.compare(images, labels)
    ours, reference = small.describe(images), small.describe(lent.test.images)
    assert other["frechet"]["value"] == metrics.frechet_distance(ours, reference)
    assert other["frechet"] != own["frechet"]
    for measure in ("imbalance", "pixel_law", "nearest_training"):
        assert other[measure] == own[measure], "which no features are needed for"


class Halved(Inception):
    """Few of the features: a matrix root of 2048 rows takes its time."""

    def __init__(self, inception: Inception):
        self._whole = inception

    def describe(self, images):
        return self._whole.describe(images)[:, :20]


def test_other_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="missing"):
        load_inception(tmp_path / "nothing.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="does not hold the weights of FID's Inception"):
        load_inception(tmp_path / "other.safetensors")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "pickle.safetensors")
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        load_inception(tmp_path / "pickle.safetensors")
