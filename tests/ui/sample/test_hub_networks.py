"""The page Sample with networks from the Hub: typed, offered, unavailable, untrusted."""

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from huggingface_hub import constants
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from dale_demo.checkpoint import folder as checkpoint
from dale_demo.hub import client as hub_client
from dale_demo.ui.sample import page as sample
from tests.hub.fixtures import files_of
from tests.tiny_network import save_tiny

APP = Path(__file__).resolve().parents[3] / "app.py"


def typed(box: Selectbox) -> WidgetState:
    """The message that a browser sends for a selectbox; AppTest's cannot hold a typed value."""
    return WidgetState(id=box.id, string_value=box.value)


@pytest.fixture
def app(hub, tmp_path, monkeypatch) -> AppTest:
    """The app with one bundled network and empty caches, before its first run."""
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


def test_a_typed_name_is_downloaded_and_sampled(app, hub, commits):
    commit = next(commits)
    press(choose(app, "ann/net"))
    assert not app.warning
    assert f"Downloaded from the Hugging Face Hub at commit {commit[:7]}." in captions(app)
    assert f"({hub.address}/ann/net/tree/{commit})" in captions(app)
    result = app.session_state["latest_run"].result
    assert (result.network, result.class_names) == ("ann/net", ("a", "b", "c"))
    assert hub.authorised.count(True) == 0


def test_the_hub_is_not_asked_at_every_click(app, hub, commits):
    next(commits)
    choose(app, "ann/net")
    hub.requests.clear()
    app.number_input(key="seed").set_value(4).run()
    press(app)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ann/none", "The Hub has no repository ann/none, or it is private"),
        ("[click](http://evil.example)", r"\[click\](http://evil.example)"),
        ("![x](http://evil.example/x.png)", r"\[x\](http"),
        ("<script>alert(1)</script>", r"\<script\>alert"),
    ],
)
def test_a_network_that_is_not_available_is_replaced(app, name, sentence):
    """Which names are valid is tested in tests/hub/test_lookup.py; here, how they are shown."""
    press(choose(app, name))
    (warning,) = app.warning
    assert sentence in warning.value
    assert warning.value.endswith("; the bundled network *home* is used instead.")
    assert app.session_state["latest_run"].result.network == "home"


def with_field(text: str) -> Callable[[dict[str, bytes]], None]:
    """Replace the mean of ln x in config.json by a number that only JSON can write."""

    def change(files: dict[str, bytes]) -> None:
        files["config.json"] = re.sub(
            rb'"log_mean": [^,]+', f'"log_mean": {text}'.encode(), files["config.json"]
        )

    return change


BAD = {
    "a mean of 10³⁰⁹": with_field("1" + "0" * 309),
    "a mean of 1e999": with_field("1e999"),
    "a mean of true": with_field("true"),
    "no config": lambda files: files.pop("config.json"),
    "a config that is a list": lambda files: files.update({"config.json": b"[1]"}),
    "cut weights": lambda files: files.update(
        {"model.safetensors": files["model.safetensors"][:-9]}
    ),
    "no repository": None,
    "no name": None,
}


@pytest.mark.parametrize("kind", BAD)
def test_after_a_bad_network_a_good_one_works_at_once(app, hub, commits, network, kind):
    next(commits)
    if damage := BAD[kind]:
        files = files_of(network)
        damage(files)
        hub.repository("ann/bad").commit(files)
    press(choose(app, "home"))
    app.number_input(key="seed").set_value(7).run()
    app.selectbox(key="network").set_value("bad" if kind == "no name" else "ann/bad").run()
    assert not app.exception
    (warning,) = app.warning
    assert len(warning.value) <= 400
    assert warning.value.endswith("; the bundled network *home* is used instead.")
    assert not app.button(key="sample").disabled
    app.selectbox(key="network").set_value("ann/net").run()
    assert not app.exception
    assert not app.warning
    press(app)
    result = app.session_state["latest_run"].result
    assert result.network == "ann/net"
    assert (result.settings.seed, result.settings.steps) == (7, 2), "what was set before stays"


def test_a_network_that_fails_as_nobody_has_foreseen(app, hub, commits, monkeypatch):
    next(commits)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("an unknown fault " * 50)

    with monkeypatch.context() as patch:
        patch.setattr(hub_client, "load_checkpoint", fail)
        choose(app, "ann/net")
    (warning,) = app.warning
    assert warning.value.startswith("ann/net cannot be loaded: RuntimeError;")
    st.cache_resource.clear()  # as after RETRY_SECONDS
    app.run()
    assert not app.warning


def test_an_offered_folder_without_a_network_is_replaced(app, tmp_path, monkeypatch):
    """Its configuration is read when it is chosen, so the page keeps its widgets."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("DALE_NETWORKS", str(tmp_path / "empty"))
    assert (
        "the bundled network *home* is used"
        in choose(app, str(tmp_path / "empty")).warning[0].value
    )
    press(app)
    assert app.session_state["latest_run"].result.network == "home"


def test_a_visitor_reaches_no_folder_but_the_owner_may_offer_one(app, network, monkeypatch):
    assert "is used instead" in choose(app, str(network)).warning[0].value
    monkeypatch.setenv("DALE_NETWORKS", str(network))
    app.run()
    assert not app.warning
    assert app.selectbox(key="network").options == ["home", str(network)]


def test_an_offered_network_may_be_private(app, hub, commits, logged_in, monkeypatch):
    next(commits)
    hub.repository("ann/net").private = True
    assert "or it is private" in choose(app, "ann/net").warning[0].value
    monkeypatch.setenv("DALE_NETWORKS", "ann/net")
    app.run()
    assert not app.warning


def test_the_hub_stops_during_a_session(app, stand_in, commits):
    next(commits)
    press(choose(app, "ann/net"))
    shown = app.session_state["latest_run"].result
    stand_in.stop()
    app.selectbox(key="network").set_value("ann/other").run()
    assert not app.exception
    (warning,) = app.warning
    sentence = "The Hub cannot be reached; the bundled network *home* is used instead."
    assert warning.value == sentence
    assert app.session_state["latest_run"].result is shown, "the run shown stays"
    press(app)
    assert app.session_state["latest_run"].result.network == "home"
    st.cache_resource.clear()
    app.selectbox(key="network").set_value("ann/net").run()
    assert "could not check for a newer commit: The Hub cannot be reached." in captions(app)
    assert app.session_state["latest_run"].result.network == "home"
    press(app)
    assert app.session_state["latest_run"].result.network == "ann/net"


def test_a_network_removed_from_the_cache_is_downloaded_again(app, hub, commits):
    next(commits)
    choose(app, "ann/net")
    repository = Path(constants.HF_HOME, hub_client.PUBLIC_FOLDER, "models--ann--net")
    assert list(repository.glob("snapshots/*/model.safetensors"))
    shutil.rmtree(repository)
    hub.requests.clear()
    press(app)
    assert not app.warning
    assert app.session_state["latest_run"].result.network == "ann/net"
    assert "model.safetensors" in hub.downloads()


def test_the_page_does_not_wait_longer_than_the_timeout(app, hub, commits, monkeypatch):
    monkeypatch.setattr(hub_client, "IDLE_TIMEOUT", 1.0)
    next(commits)
    app.run()
    hub.hangs = "all"
    began = time.monotonic()
    app.selectbox(key="network").set_value("ann/net").run()
    assert time.monotonic() - began < 2.5, "one for the Hub, the rest for the page"
    assert app.warning[0].value.startswith("The Hub does not answer;")


def test_classes_of_another_network_do_not_stay(app, commits):
    next(commits)
    app.query_params["classes"] = "y"
    app.run()
    assert app.session_state["classes"] == ["y"]
    app.selectbox(key="network").set_value("ann/net").run()
    assert not app.exception
    press(app)
    assert app.session_state["latest_run"].result.class_names == ("a", "b", "c")


def test_markup_in_class_names_is_escaped(app, hub, network):
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
    assert "server error" in app.warning[0].value
    assert app.button(key="sample").disabled
