"""The page Weights without a browser: bundled networks, the Hub, a visitor's files, bad input."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from safetensors.numpy import save
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from dale_demo.ui.weights import figures, page, reading, settings, sources, story
from dale_demo.ui.weights.reading import Kept, Readings
from dale_demo.ui.weights.settings import MY_FILE, NOTHING, SEED
from dale_demo.ui.weights.stored_run import TWIN, load_stored_network, stored_names
from dale_demo.weights.change_report import ChangeReport, LayerChange
from dale_demo.weights.report import EDGES, Layer
from tests.hub.fixtures import files_of
from tests.ui.sample.test_hub_networks import typed
from tests.weights.files import npy

PAGE = Path(__file__).with_name("app.py")
RANDOM = np.random.default_rng(3)
TYPE = "application/octet-stream"
STRENGTHS = "id;EPSP (mV)\n" + "".join(
    f"{i};{x:.4f}\n".replace(".", ",") for i, x in enumerate(RANDOM.lognormal(-0.7, 0.94, 400))
)


def matrices(scale: float = 1.0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)
    return {
        f"layers.{i}.weight": scale * random.normal(size=(30, 40 + i)).astype("f4")
        for i in range(3)
    }


@pytest.fixture
def app(monkeypatch) -> AppTest:
    """The page before its first run; nothing was read yet."""
    monkeypatch.setattr(Selectbox, "_widget_state", property(typed))
    monkeypatch.setattr(reading, "SHARED", Kept(4))
    # AppTest looks through all installed packages for components at every start.
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", lambda *_, **__: [])
    st.cache_resource.clear()
    return AppTest.from_file(str(PAGE), default_timeout=60)


def opened(app: AppTest, **query: str) -> AppTest:
    app.query_params.update({key.replace("_", "-"): value for key, value in query.items()})
    app.run()
    assert not app.exception
    return app


def uploaded(app: AppTest, data: bytes, name: str, key: str = "weights") -> AppTest:
    app.file_uploader(key=f"{key}-upload").set_value((name, data, TYPE)).run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    texts = [element.value for element in (*app.markdown, *app.caption, *app.info)]
    return "\n".join(text for text in texts if "<svg" not in text)


def plots(app: AppTest) -> list[str]:
    return [element.value for element in app.markdown if "<svg" in element.value]


def test_opens_with_two_stored_networks_and_reads_nothing(app, monkeypatch):
    monkeypatch.setattr(reading, "_read", lambda *_: pytest.fail("read on load"))
    opened(app)
    assert not app.warning
    second = TWIN if TWIN in stored_names() else "fashion_mnist"
    assert [head.value for head in app.subheader][:2] == ["mnist", second.replace("_", r"\_")]
    assert len(plots(app)) == 6, "distribution, Q–Q plot and change of each"
    report = load_stored_network("mnist").report
    assert f"**{report.whole.count:,} synapses**" in said(app)
    assert f"{report.whole.ks_normal:.3f}" in said(app)
    assert list(app.dataframe[0].value["layer"]) == [layer.name for layer in report.layers]


def test_the_page_can_be_opened_without_pytorch():
    code = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(PAGE)!r}, default_timeout=60).run()\n"
        "sys.exit('torch' in sys.modules or bool(app.exception) or not app.dataframe)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PAGE.parents[3]).returncode == 0


def test_networks_trained_by_adam_change_signs_and_are_not_log_normal():
    for name in ("mnist", "fashion_mnist", "kmnist"):
        stored = load_stored_network(name)
        assert stored.report.whole.nearer == "normal"
        assert stored.change.whole.flipped_share > 0.4
        assert stored.change.whole.nearest == "2-norm"


def test_a_layer_in_the_link_is_shown_of_both(app):
    opened(app, layer="unet.last.2.weight", cortex="in mV")
    layer = load_stored_network("mnist").report.find("unet.last.2.weight")
    assert layer.name
    assert f"**{layer.count:,} synapses**" in said(app)
    assert sum("Song et al. 2005" in plot for plot in plots(app)) == 2
    assert app.selectbox(key="layer").value == layer.name
    app.selectbox(key="cortex").set_value("not shown").run()
    assert not any("Song et al. 2005" in plot for plot in plots(app))


def test_one_network_alone(app):
    opened(app, beside=NOTHING)
    assert [head.value for head in app.subheader] == ["mnist", "mnist"]
    assert len(plots(app)) == 3


def test_a_column_of_strengths_of_one_s_own(app):
    opened(app, weights=MY_FILE, beside=NOTHING, start=NOTHING, cortex="in mV")
    assert "Choose your file" in said(app)
    uploaded(app, STRENGTHS.encode(), "strengths.csv")
    assert not app.warning
    assert "**400 synapses**, **100.0% excitatory**, nearer to **log-normal**" in said(app)
    assert app.selectbox(key="weights-column").value == "EPSP (mV)"
    assert "deleted when you leave" in said(app)
    app.selectbox(key="weights-column").set_value("id").run()
    assert not app.exception
    assert "99.7% excitatory" not in said(app)
    assert "**400 synapses**, **100.0% excitatory**, nearer to **normal**" in said(app)


@pytest.mark.parametrize(
    ("data", "name", "sentence"),
    [
        (b"<!doctype html>", "x.safetensors", "This is not a safetensors file"),
        (b"\x80\x04pickle", "[x](http:evil).npy", "never loaded"),
        (npy(np.array([{}]), allow_pickle=True), "x.npy", "Python objects"),
        (b"a,b\nc,d\n", "x.csv", "no column of numbers"),
        (b"w\n1\n2\n3\n**oops**\n", "x.csv", r"\*\*oops\*\*"),
        (npy(np.ones(0)), "x.npy", "no weights in it"),
    ],
)
def test_a_hostile_file_is_one_sentence_and_the_next_one_works(app, data, name, sentence):
    opened(app, weights=MY_FILE, beside="mnist", start=NOTHING)
    uploaded(app, data, name)
    (warning,) = app.warning
    assert sentence in warning.value
    assert [head.value for head in app.subheader] == ["mnist"], "the other is shown"
    uploaded(app, save(matrices()), "good.safetensors")
    assert not app.warning
    assert [head.value for head in app.subheader] == ["good.safetensors", "mnist"]


@pytest.mark.parametrize(
    "array", [np.zeros((3, 3)), np.full((4, 5), -2.0), np.array([[1.0, np.nan]]), np.eye(3)]
)
def test_weights_that_cannot_be_fitted_are_counted(app, array):
    opened(app, weights=MY_FILE, beside=NOTHING, start=MY_FILE, cortex="same centre")
    uploaded(app, npy(array), "odd.npy")
    assert not app.warning
    assert f"**{np.isfinite(array).sum()} synapses**" in said(app)
    uploaded(app, npy(2 * array), "odd.npy", "start")
    assert "too few weights have changed" in said(app)


def test_a_file_is_read_once_and_is_no_other_visitor_s(app, monkeypatch):
    opened(app, weights=MY_FILE, beside=NOTHING, start=NOTHING)
    uploaded(app, save(matrices()), "mine.safetensors")
    assert not list(reading.SHARED._results)
    monkeypatch.setattr(reading, "_read", lambda *_: pytest.fail("read again"))
    app.selectbox(key="layer").set_value("layers.1.weight").run()
    assert not app.exception
    assert "**1,230 synapses**" in said(app)


def test_before_and_after_two_files(app):
    opened(app, weights=MY_FILE, beside=NOTHING, start=MY_FILE)
    uploaded(app, save({n: w * np.exp(RANDOM.normal(0, 0.4, w.shape)).astype("f4")
                        for n, w in matrices().items()}), "after.safetensors")  # fmt: skip
    uploaded(app, save(matrices()), "before.safetensors", "start")
    assert "no synapse changed its sign; the change is nearest to normal in ln" in said(app)
    assert "**0** (0.0%)" in said(app)
    uploaded(app, save({"other": np.ones((3, 3), "f4")}), "other.safetensors", "start")
    assert "no layer of the same name and shape" in app.warning[0].value


def model(**more: bytes) -> dict[str, bytes]:
    """A model in two files, with its index, and another file."""
    parts = {"one.safetensors": {}, "two.safetensors": {}}
    for i, (name, w) in enumerate(matrices().items()):
        parts["one.safetensors" if i < 2 else "two.safetensors"][name] = w
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    files = {file: save(held) for file, held in parts.items()}
    return files | {"model.safetensors.index.json": json.dumps(index).encode()} | more


def test_a_model_on_the_hub_in_several_files(app, hub):
    commit = hub.repository("ann/model").commit(model())
    opened(app, weights="ann/model", beside=NOTHING, layer="layers.2.weight")
    assert not app.warning
    assert f"From the Hugging Face Hub at commit {commit[:7]}." in said(app)
    assert "**1,260 synapses**" in said(app), "the layer in the link, from the second file"
    assert len(app.dataframe[0].value) == 3
    assert hub.authorised.count(True) == 0
    hub.requests.clear()
    app.selectbox(key="layer").set_value("all synapses").run()
    assert "**3,690 synapses**" in said(app)
    assert hub.requests == []
    app.selectbox(key="weights-file").set_value("one.safetensors").run()
    assert "**2,430 synapses**" in said(app)
    assert hub.downloads() == ["one.safetensors"]


def test_a_file_of_a_model_by_link_and_another_revision_as_its_start(app, hub):
    old = hub.repository("ann/model").commit({"model.safetensors": save(matrices())})
    hub.repository("ann/model").commit(
        {"model.safetensors": save({n: w + 0.1 for n, w in matrices().items()})}
    )
    opened(app, weights="ann/model", beside=NOTHING, start=f"ann/model@{old}")
    assert not app.warning
    assert "that had a sign changed it, which exponentiated gradient cannot do" in said(app)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ann/none", "The Hub has no repository ann/none"),
        ("[click](http://evil.example)", r"\[click\](http://evil.example)"),
        ("ann/bad", "is not JSON"),
        ("ann/pickle", "ann/pickle holds no safetensors file"),
    ],
)
def test_what_the_hub_has_not_is_one_sentence_and_the_other_is_shown(app, hub, name, sentence):
    hub.repository("ann/bad").commit({"model.safetensors": b"\x08" + b"\0" * 7 + b"nonsense"})
    hub.repository("ann/pickle").commit({"pytorch_model.bin": b"\x80"})
    opened(app, weights=name, start=NOTHING)
    (warning,) = app.warning
    assert sentence in warning.value
    assert len(plots(app)) == 2
    hub.requests.clear()
    app.selectbox(key="cortex").set_value("same centre").run()
    assert hub.requests == [], "a failure is not asked for again at every click"


def test_the_start_of_a_score_network_on_the_hub(app, hub, network, monkeypatch):
    raw = json.loads((network / "config.json").read_text())
    raw["training"] = {"settings": {"seed": 0}}
    files = files_of(network) | {"config.json": json.dumps(raw).encode()}
    hub.repository("ann/net").commit(files)
    opened(app, weights="ann/net", beside=NOTHING, start=SEED)
    assert not app.warning
    assert "that had a sign changed it" in said(app)
    hub.repository("ann/net").commit(files_of(network))
    st.cache_resource.clear()
    app.run()
    assert "does not tell how its first weights were drawn" in app.warning[0].value


def test_a_click_loses_nothing_of_what_was_read():
    """A run that is stopped while it draws goes on in the next."""

    class Stopped(BaseException):
        pass

    class Slot:
        def __init__(self) -> None:
            self.drawn = 0

        def progress(self, *_: object) -> None:
            self.drawn += 1
            if self.drawn == 3:
                raise Stopped

        def empty(self) -> None:
            pass

    began = []

    def begin(task: reading.Reading) -> Iterator[str]:
        began.append(task)
        for i in range(5):
            task.take(10)
            yield str(i)
        return "done"

    task, slot = Readings().reading("key", 50), Slot()
    told = reading.TELL_SECONDS
    try:
        reading.TELL_SECONDS = -1
        with pytest.raises(Stopped):
            reading._read(task, "Reading", begin, slot)
        assert 0 < task.progress < 1
        assert reading._read(task, "Reading", begin, slot) == "done"
    finally:
        reading.TELL_SECONDS = told
    assert (len(began), task.progress) == (1, 1)


def test_what_was_left_half_read_is_given_up_in_the_end():
    session = Readings()
    first = session.reading("0", 1)
    assert session.reading("0", 1) is first
    for i in range(1, reading.MAX_RUNNING + 1):
        session.reading(str(i), 1)
    assert "0" not in session.running
    assert len(session.running) == reading.MAX_RUNNING


def test_results_are_kept_until_others_are_used():
    kept = Kept(2)
    kept.keep("a", 1)
    kept.keep("b", 2)
    assert kept.get("a") == 1
    kept.keep("c", 3)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)


def test_the_folder_of_networks_is_the_library_s():
    from dale_demo.checkpoint.folder import BUNDLED, bundled_checkpoints

    assert sources.CHECKPOINTS == BUNDLED
    assert set(stored_names()) == set(bundled_checkpoints())


def test_what_is_known_is_shown_while_the_rest_is_read(app, hub, monkeypatch):
    drawn, draw = [], page._distributions

    def noted(shown, *settings, **more):
        drawn.append([source.title for source, _ in shown])
        draw(shown, *settings, **more)

    monkeypatch.setattr(page, "_distributions", noted)
    hub.repository("ann/model").commit(model())
    opened(app, weights="ann/model", beside="kmnist")
    assert drawn == [["kmnist"], ["ann/model", "kmnist"]]
    app.selectbox(key="cortex").set_value("same centre").run()
    assert drawn[2:] == [["ann/model", "kmnist"]], "now all is known"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"used": 900, "ks": (0.01, 0.2, 0.1)}, "no synapse changed its sign; the change is nearest"
         " to normal in w, the geometry of gradient descent (KS 0.010)."),
        ({"used": 900, "ks": (0.1, 0.2, 0.01)}, r"ln\|w\|, the geometry of exponentiated"),
        ({"used": 900, "ks": (0.1, 0.2, 0.01), "flipped": 3, "signed": 900}, "3 of 900 synapses "
         "that had a sign changed it, which exponentiated gradient cannot do; the change is far "
         "from normal, least so in w (KS 0.100)."),
        ({}, "too few weights have changed that are 0 at neither time"),
    ],
)  # fmt: skip
def test_the_verdict(fields, sentence):
    layer = LayerChange("a", count=1000, **fields)
    assert sentence in story.verdict("net", ChangeReport((layer,), layer), layer)
    with_more = story.verdict("net", ChangeReport((layer,), layer, unmatched=2), layer)
    assert with_more.endswith(" 2 layers are in one of the two only, or differ in shape.")


def test_the_plots_hold_what_they_are_drawn_from():
    layer = load_stored_network("mnist").report.whole
    low, high = figures.span_of([layer])
    edges, counts = EDGES[:-1], layer.counts.sum(0)
    inside = counts[(edges >= low * 0.999) & (edges < high * 0.999)].sum()
    assert inside > 0.995 * layer.signed
    assert figures.distribution(layer).svg().count("stroke-dasharray") == 2, "the normal fit"
    assert figures.distribution(Layer("")).svg().count("stroke-dasharray") == 0, "nothing to fit"
    wider = figures.span_of([layer], "in mV")
    assert wider[0] == low < high < wider[1]
    heights = np.array([np.trapezoid(curve, y) for y in [np.linspace(-25, 8, 9001)]
                        for pair in figures._curves(layer, y) for curve in pair])  # fmt: skip
    np.testing.assert_allclose(heights[0::2] + heights[1::2], 1, atol=1e-3)


def test_a_table_is_looked_through_once(app, monkeypatch):
    opened(app, weights=MY_FILE, beside=NOTHING, start=NOTHING)
    uploaded(app, STRENGTHS.encode(), "strengths.csv")
    monkeypatch.setattr(settings, "table_of", lambda *_: pytest.fail("looked through again"))
    app.selectbox(key="cortex").set_value("in mV").run()
    assert not app.exception
    assert "**400 synapses**" in said(app)
