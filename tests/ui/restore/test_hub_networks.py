"""The page Noise and restore with networks from the Hub: typed, unavailable, mislabelled."""

import json
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.ui.restore import image_source
from dale_demo.ui.restore import page as restore
from dale_demo.ui.restore.settings import DRAWN, UPLOADED
from dale_demo.ui.shared import networks
from tests.hub.fixtures import files_of
from tests.tiny_network import save_tiny
from tests.ui.sample.test_hub_networks import typed

PAGE = Path(__file__).with_name("app.py")
DRAWING = np.diag(np.full(8, 255, np.uint8))


@pytest.fixture
def app(hub, monkeypatch) -> AppTest:
    """The page before its first run, with a picture on its canvas; nothing is known of the Hub."""
    monkeypatch.setattr(restore, "HEAD_START", 0)
    monkeypatch.setattr(image_source, "drawing", lambda *_, **__: DRAWING)
    monkeypatch.delenv("DALE_NETWORKS", raising=False)
    monkeypatch.setattr(Selectbox, "_widget_state", property(typed))
    st.cache_resource.clear()
    return AppTest.from_file(str(PAGE), default_timeout=120)


def choose(app: AppTest, name: str) -> AppTest:
    app.query_params.update({"restorer": name, "walk": "2", "draws": "2"})
    app.run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption])


def test_a_typed_name_is_downloaded_and_restores_a_drawing(app, hub, commits):
    commit = next(commits)
    choose(app, "ann/net")
    assert not app.warning
    assert f"Downloaded from the Hugging Face Hub at commit {commit[:7]}." in said(app)
    assert app.selectbox(key="picture").options == [DRAWN, UPLOADED]
    _, restored = app.session_state["restoration"].restored
    assert restored.draws.shape == (1, 2, 1, 8, 8)
    assert "Network *ann/net*" in said(app)
    assert "have no SSIM" in said(app)
    hub.requests.clear()
    app.number_input(key="noise").set_value(4).run()
    assert hub.requests == []


def test_a_network_that_is_not_available_is_replaced(app):
    choose(app, "ann/none")
    (warning,) = app.warning
    assert warning.value.endswith("; the bundled network *mnist* is used instead.")
    assert "Network *mnist*" in said(app)


def test_a_network_for_colours_is_refused_in_one_sentence(app, hub, tmp_path):
    hub.repository("ann/net").commit(files_of(save_tiny(tmp_path / "colours", channels=3)))
    (warning,) = choose(app, "ann/net").warning
    assert warning.value == "The network ann/net is not for grey images; choose another."


def test_a_data_set_s_name_alone_brings_no_pictures_of_it(app, hub, network):
    """Those of MNIST are larger, and of more classes, than what this network knows."""
    raw = json.loads((network / "config.json").read_text()) | {"dataset": "mnist"}
    files = files_of(network) | {"config.json": json.dumps(raw).encode()}
    hub.repository("ann/net").commit(files)
    assert choose(app, "ann/net").selectbox(key="picture").options == [DRAWN, UPLOADED]


def test_markup_in_the_data_set_s_name_is_escaped(app, hub, network):
    raw = json.loads((network / "config.json").read_text())
    raw["dataset"] = "![x](http://evil.example/x.png)"
    files = files_of(network) | {"config.json": json.dumps(raw).encode()}
    hub.repository("ann/net").commit(files)
    assert r"only **!\[x\](http://evil.example/x.png)**" in said(choose(app, "ann/net"))


def test_a_network_that_cannot_be_loaded_is_one_sentence(app, commits, monkeypatch):
    def damaged(_):
        raise CheckpointError("It is damaged.")

    next(commits)
    monkeypatch.setattr(networks, "network", damaged)
    assert choose(app, "ann/net").warning[0].value == "It is damaged."
