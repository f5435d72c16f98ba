"""The page with networks from the Hub: typed, offered, gone, hostile; nothing shown is lost."""

import json
import shutil
import time
from pathlib import Path

import pytest
import streamlit as st
from huggingface_hub import constants
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from dale_demo.checkpoint import folder as checkpoint
from dale_demo.hub.client import PUBLIC_CACHE
from dale_demo.ui.sample import page as sample
from dale_demo.ui.shared import networks as resources
from tests.hub.fixtures import files_of
from tests.tiny_network import save_tiny

APP = Path(__file__).resolve().parents[3] / "app.py"


def typed(box: Selectbox) -> WidgetState:
    """The message a browser sends of a selectbox; that of AppTest knows no typed value."""
    return WidgetState(id=box.id, string_value=box.value)


@pytest.fixture
def app(hub, tmp_path, monkeypatch) -> AppTest:
    """The app with one bundled network, before its first run; nothing is known of the Hub."""
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path / "bundled")
    monkeypatch.setattr(sample, "HEAD_START", 0)
    monkeypatch.delenv("DALE_NETWORKS", raising=False)
    save_tiny(tmp_path / "bundled" / "home", class_names=("x", "y", "z"))
    monkeypatch.setattr(Selectbox, "_widget_state", property(typed))
    st.cache_resource.clear()
    return AppTest.from_file(str(APP), default_timeout=60)


def choose(app: AppTest, name: str) -> AppTest:
    app.query_params["network"] = name
    app.query_params.update({"steps": "2", "pictures": "2"})
    app.run()
    assert not app.exception
    return app


def press(app: AppTest) -> AppTest:
    app.button(key="sample").click().run()
    assert not app.exception
    return app


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.sidebar.caption)


def test_a_typed_name_is_fetched_and_sampled(app, hub, commits):
    commit = next(commits)
    press(choose(app, "ann/net"))
    assert not app.warning
    assert f"Downloaded from the Hugging Face Hub at commit {commit[:7]}." in captions(app)
    assert f"({hub.address}/ann/net/tree/{commit})" in captions(app)
    result = app.session_state["kept"].result
    assert (result.network, result.class_names) == ("ann/net", ("a", "b", "c"))
    assert hub.authorised.count(True) == 0


def test_the_hub_is_not_asked_at_every_click(app, hub, commits):
    next(commits)
    choose(app, "ann/net")
    hub.requests.clear()
    app.number_input(key="seed").set_value(4).run()
    press(app)
    assert hub.requests == []


def test_a_failure_is_not_asked_for_at_every_click_but_again_later(app, hub, commits, monkeypatch):
    hub.status = 500
    choose(app, "ann/net")
    assert "trouble of its own" in app.warning[0].value
    hub.status = 0
    next(commits)
    hub.requests.clear()
    app.number_input(key="seed").set_value(4).run()
    assert hub.requests == []
    monkeypatch.setattr(resources, "RETRY_SECONDS", 0)
    app.number_input(key="seed").set_value(5).run()
    assert not app.warning


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../../etc", "expected one of home, or OWNER/NAME"),
        ("/etc", "expected one of home, or OWNER/NAME"),
        ("ann/none", "shows no repository ann/none: it does not exist, or it is private"),
        ("ann/net@v9", "has no revision v9"),
        ("[click](http://evil.example)", r"\[click\](http://evil.example)"),
        ("![x](http://evil.example/x.png)", r"\[x\](http"),
        ("<script>alert(1)</script>", r"\<script\>alert"),
    ],
)
def test_what_is_not_to_be_had_gives_way_to_the_bundled_one(app, commits, name, sentence):
    next(commits)
    press(choose(app, name))
    (warning,) = app.warning
    assert sentence in warning.value
    assert warning.value.endswith("; the bundled network *home* takes its place.")
    assert app.session_state["kept"].result.network == "home"


def test_a_visitor_reaches_no_folder_but_the_owner_may_offer_one(app, network, monkeypatch):
    assert "takes its place" in choose(app, str(network)).warning[0].value
    monkeypatch.setenv("DALE_NETWORKS", str(network))
    app.run()
    assert not app.warning
    assert app.selectbox(key="network").options == ["home", str(network)]


def test_what_the_owner_offers_may_be_private(app, hub, commits, logged_in, monkeypatch):
    next(commits)
    hub.repository("ann/net").private = True
    assert "it is private" in choose(app, "ann/net").warning[0].value
    monkeypatch.setenv("DALE_NETWORKS", "ann/net")
    app.run()
    assert not app.warning


def test_the_hub_goes_away_in_the_middle_of_a_visit(app, stand_in, commits):
    next(commits)
    press(choose(app, "ann/net"))
    shown = app.session_state["kept"].result
    stand_in.stop()
    app.selectbox(key="network").set_value("ann/other").run()
    assert not app.exception
    (warning,) = app.warning
    sentence = "The Hub cannot be reached; the bundled network *home* takes its place."
    assert warning.value == sentence
    assert app.session_state["kept"].result is shown, "what was on the screen is still there"
    press(app)
    assert app.session_state["kept"].result.network == "home"
    st.cache_resource.clear()
    app.selectbox(key="network").set_value("ann/net").run()
    assert "newer ones unknown: The Hub cannot be reached." in captions(app)
    assert app.session_state["kept"].result.network == "home"
    press(app)
    assert app.session_state["kept"].result.network == "ann/net"


def test_what_was_taken_away_to_make_room_is_fetched_anew(app, hub, commits):
    next(commits)
    choose(app, "ann/net")
    repository = Path(constants.HF_HOME, PUBLIC_CACHE, "models--ann--net")
    assert list(repository.glob("snapshots/*/model.safetensors"))
    shutil.rmtree(repository)
    hub.requests.clear()
    press(app)
    assert not app.warning
    assert app.session_state["kept"].result.network == "ann/net"
    assert "model.safetensors" in hub.downloads()


def test_an_answer_within_five_seconds_when_the_hub_hangs(app, hub, commits):
    next(commits)
    app.run()
    hub.hangs = "all"
    began = time.monotonic()
    app.selectbox(key="network").set_value("ann/net").run()
    assert time.monotonic() - began < 6, "five for the Hub, one for the page"
    assert app.warning[0].value.startswith("The Hub does not answer;")


def test_classes_of_another_network_do_not_stay(app, commits):
    next(commits)
    app.query_params["classes"] = "y"
    app.run()
    assert app.session_state["classes"] == ["y"]
    app.selectbox(key="network").set_value("ann/net").run()
    assert not app.exception
    press(app)
    assert app.session_state["kept"].result.class_names == ("a", "b", "c")


def test_names_in_a_hostile_config_are_shown_as_they_are(app, hub, network):
    raw = json.loads((network / "config.json").read_text())
    raw["class_names"] = ["![x](http://evil.example/x.png)", "<b>b</b>", "$c$"]
    files = files_of(network) | {"config.json": json.dumps(raw).encode()}
    hub.repository("ann/net").commit(files)
    choose(app, "ann/net")
    assert not app.warning
    options = next(b for b in app.get("button_group") if b.proto.label == "Classes").proto.options
    shown = [option.content for option in options]
    assert shown[:3] == [r"!\[x\](http://evil.example/x.png)", r"\<b\>b\</b\>", r"\$c\$"]


def test_without_a_bundled_network_the_hub_may_still_serve(
    app, hub, commits, tmp_path, monkeypatch
):
    next(commits)
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path / "empty")
    monkeypatch.setenv("DALE_NETWORKS", "ann/net")
    app.run()
    assert not app.warning
    hub.status = 500
    app.selectbox(key="network").set_value("ann/other").run()
    assert not app.exception
    assert "trouble of its own" in app.warning[0].value
    assert app.button(key="sample").disabled
