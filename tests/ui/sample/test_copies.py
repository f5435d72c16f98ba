"""The panel with the nearest training images, without a browser."""

import re

import pytest
import torch
from streamlit.testing.v1 import AppTest

from dale_demo.data import DataError, Dataset
from dale_demo.evaluation.classifier import new_classifier
from dale_demo.evaluation.neighbours import TrainingSet
from dale_demo.hub.idle_timeout import IdleTimeoutError
from dale_demo.ui.sample import copies, stored_run
from dale_demo.ui.sample import page as sample
from tests.ui.sample.test_page import APP


@pytest.fixture
def app(monkeypatch):
    """The app with the panel open, before its first run."""
    monkeypatch.setattr(sample, "HEAD_START", 0)
    copies._load.clear()
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.session_state["copies"] = True
    yield app
    copies._load.clear()


@pytest.fixture
def training() -> TrainingSet:
    """Half of the stored run's images as training images; as test images, all upside down."""
    run = stored_run.load_stored_run("mnist")
    images = torch.from_numpy(run.images).permute(0, 3, 1, 2)
    labels = torch.zeros(len(images), dtype=torch.int64)
    test = Dataset("mnist", images.flip(2), labels, tuple("0123456789"))
    train = Dataset("mnist", images[:10], labels[:10], test.class_names)
    return TrainingSet(new_classifier(train).eval(), train, test)


def said(app: AppTest) -> str:
    return " ".join(element.value for element in (*app.caption, *app.markdown))


def test_copies_are_counted_and_every_image_is_shown(app, training, monkeypatch):
    waited = []
    monkeypatch.setattr(copies, "load_training_set", lambda *_: training)
    real = copies.wait_turn
    monkeypatch.setattr(copies, "wait_turn", lambda slot: waited.append(slot) or real(slot))
    app.run()
    assert not app.exception
    assert re.search(r"Of 20 images, 1\d in pixels and 1\d in features are nearer", said(app))
    assert "| this run: least | 0.00 | 0.00 |" in said(app)
    (html,) = [block.proto.body for block in app.get("html") if "copies" in block.proto.body]
    assert html.count("data:image/png") == 4 * 3
    assert html.count("<span>") == 2 * 20
    assert len(waited) == 1
    app.run()
    assert not app.exception
    assert len(waited) == 1, "the same run is not looked at again"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("This network was trained on images of its own."), "images of its own"),
        (DataError("mnist cannot be downloaded."), "cannot be downloaded"),
        (IdleTimeoutError("no progress"), "did not come in time"),
    ],
)
def test_without_data_there_is_one_sentence(app, monkeypatch, error, sentence):
    def fail(*_):
        raise error

    monkeypatch.setattr(copies, "load_training_set", fail)
    app.run()
    assert not app.exception
    (info,) = app.info
    assert sentence in info.value


def test_nothing_is_read_before_the_panel_is_open(app, monkeypatch):
    monkeypatch.setattr(copies, "load_training_set", lambda *_: pytest.fail("read on load"))
    app.session_state["copies"] = False
    app.run()
    assert not app.exception
    assert copies.TITLE in [expander.label for expander in app.expander]
