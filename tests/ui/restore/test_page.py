"""The page Noise and restore without a browser: how it opens, its widgets, mistakes."""

import io
import re
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from dale_demo import restoration
from dale_demo.checkpoint import folder as checkpoint
from dale_demo.ui.restore import decode, image_source, stored_run, story
from dale_demo.ui.restore import page as restore
from dale_demo.ui.restore import pixel_canvas as canvas
from dale_demo.ui.restore.settings import DRAWN, UPLOADED
from dale_demo.ui.shared import networks
from dale_demo.weights import files
from tests.tiny_network import save_tiny

PAGE = Path(__file__).with_name("app.py")
QUICK = {"walk": "2", "draws": "2"}


@pytest.fixture
def app(monkeypatch) -> AppTest:
    """The page before its first run."""
    monkeypatch.setattr(restore, "HEAD_START", 0)
    return AppTest.from_file(str(PAGE), default_timeout=120)


def opened(app: AppTest, **query: str) -> AppTest:
    app.query_params.update(query)
    app.run()
    assert not app.exception
    return app


def said(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption])


def test_opens_with_the_stored_results_and_asks_no_network(app, monkeypatch):
    monkeypatch.setattr(networks, "network", lambda _: pytest.fail("asked on load"))
    opened(app)
    assert not app.warning
    assert "Press **Fill**" not in said(app)
    assert "| one Tweedie step | 1 |" in said(app)


def test_another_level_is_restored_at_once(app):
    opened(app, level="0.3", noise="4", **QUICK)
    assert "s(t) = 0.3" in said(app)
    assert "seed 4" in said(app)
    (_, restored) = app.session_state["restoration"].restored
    assert restored.draws.shape == (1, 2, 1, 28, 28)


@pytest.mark.parametrize(("name", "taught"), [("mnist", False), ("kmnist", True)])
def test_a_network_that_had_a_teacher_says_that_it_gives_no_mean(app, name, taught):
    assert ("a teacher" in said(opened(app, restorer=name, **QUICK))) == taught


def test_a_few_step_network_is_refused_in_one_sentence(app, monkeypatch, tmp_path):
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    save_tiny(tmp_path / "mnist", levels=((8.0, 0.5),))
    opened(app, restorer="mnist")
    (warning,) = app.warning
    assert "restoration needs a network that estimates the posterior mean" in warning.value


def test_the_page_calls_multiplicative_noise_harmless_to_signs_only(app):
    opened(app, level="2.0", **QUICK)
    crossed = int(re.search(r"pushes (\d+) of 784", said(app))[1])
    assert crossed > 100


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("picture", "ten"),
        ("level", "0.77"),
        ("level", "nan"),
        ("noise", "-1"),
        ("drawer", "multistep"),
        ("walk", "0"),
        ("draws", "99"),
        ("hole", "everything"),
        ("answers", "many"),
    ],
)
def test_a_bad_address_falls_back_to_the_default(app, monkeypatch, name, bad):
    monkeypatch.setattr(networks, "network", lambda _: pytest.fail("not the default"))
    opened(app, **{name: bad})
    assert not app.warning


def test_every_widget_has_one_sentence_of_help(app):
    opened(app)
    sidebar = app.sidebar
    widgets = [*sidebar.selectbox, *sidebar.select_slider, *sidebar.number_input]
    assert len(widgets) == 9
    for widget in widgets:
        assert widget.help.endswith("."), widget.key
        assert ". " not in widget.help, widget.key


@pytest.mark.parametrize("own", [DRAWN, UPLOADED])
def test_before_an_image_is_drawn_or_uploaded_nothing_is_restored(app, own):
    opened(app, picture=own)
    assert not app.warning
    assert "Signal-to-noise" not in said(app)


def png(shade: int) -> bytes:
    """A bar on a dark ground."""
    image = Image.new("L", (40, 30))
    image.paste(shade, (10, 5, 18, 25))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def decoded(monkeypatch) -> list[bool]:
    """For each upload that is decoded, whether it is the visitor's turn in the queue."""
    calls: list[bool] = []
    turns: list[object] = []

    @contextmanager
    def wait_turn(status):
        turns.append(status)
        yield
        turns.pop()

    def noted(data: bytes) -> Image.Image:
        calls.append(bool(turns))
        return decode.decode(data)

    monkeypatch.setattr(image_source, "wait_turn", wait_turn)
    monkeypatch.setattr(image_source, "decode", noted)
    monkeypatch.setattr(restore, "_show", lambda *_: None)
    return calls


def test_an_upload_is_decoded_once_in_its_turn(app, decoded):
    opened(app, picture=UPLOADED)
    app.file_uploader(key="upload").upload("bar.png", png(200), "image/png").run()
    for seed in (5, 6):
        app.number_input(key="noise").set_value(seed).run()
    assert not app.exception
    assert not app.warning
    assert decoded == [True]
    app.file_uploader(key="upload").set_value(("other.png", png(250), "image/png")).run()
    assert decoded == [True, True]


def test_after_an_upload_that_cannot_be_used_a_good_one_works(app, decoded):
    opened(app, picture=UPLOADED)
    app.file_uploader(key="upload").upload("bad.png", png(200)[:60], "image/png").run()
    app.number_input(key="noise").set_value(5).run()
    assert not app.exception
    assert "damaged" in app.warning[0].value
    assert len(decoded) == 1
    app.file_uploader(key="upload").set_value(("bar.png", png(200), "image/png")).run()
    assert not app.exception
    assert not app.warning


def test_the_server_takes_uploads_as_large_as_the_largest_that_a_page_reads():
    config = Path(__file__).resolve().parents[3] / ".streamlit" / "config.toml"
    server = tomllib.loads(config.read_text(encoding="utf-8"))["server"]
    assert server["maxUploadSize"] * 2**20 == max(decode.MAX_BYTES, files.MAX_BYTES)


def test_fill_gives_as_many_answers_as_asked(app, monkeypatch):
    monkeypatch.setattr(stored_run, "FILL_STEPS", 2)
    opened(app, hole="middle", answers="2")
    assert "Press **Fill**" in said(app)
    app.button(key="fill").click().run()
    assert not app.exception
    assert "Press **Fill**" not in said(app)
    _, shown, hole, answers = app.session_state["restoration"].filled
    assert answers.shape == (2, 1, 28, 28)
    np.testing.assert_allclose(answers[0, 0][~hole], shown[~hole] / 255, atol=1e-6)


def test_the_stored_results_are_those_of_the_bundled_network(monkeypatch):
    """Made anew they are the same; if not: `python -m dale_demo.ui.build restore --force`.

    Only the first samples are made, which do not depend on how many follow.
    """
    stored, answers = stored_run.load_stored_run()
    assert stored.draws.shape[1] == stored_run.DEFAULT.draws
    assert len(answers) == stored_run.ANSWERS
    monkeypatch.setattr(stored_run, "DEFAULT", replace(stored_run.DEFAULT, draws=2))
    monkeypatch.setattr(stored_run, "ANSWERS", 2)
    made, filled = stored_run.make_run()
    np.testing.assert_allclose(stored.noised, made.noised, rtol=1e-4)
    for name in ("tweedie", "flow"):
        assert np.abs(getattr(stored, name) - getattr(made, name)).mean() < 0.01, name
    assert np.abs(stored.draws[:, :2] - made.draws).mean() < 0.01
    assert np.abs(answers[:2] - filled).mean() < 0.01


def test_a_classical_filter_that_wins_is_named():
    means = {way: np.array([10.0, 0.5]) for way in story.METHODS}
    means["Lee"] = np.array([12.0, 0.5])
    assert story.verdict(means).startswith("**Here a classical filter wins**: Lee’s filter, 2.0 dB")
    means["one draw"] = np.array([13.0, 0.5])
    assert "one draw" in story.verdict(means)


@pytest.mark.parametrize(
    "painted",
    [None, 3, {}, {"id": "a"}, {"id": "b", "ink": "00" * 4}, {"id": "a", "ink": "zz" * 4},
     {"id": "a", "ink": "00" * 5}, {"id": "a", "ink": 7}, {"id": "a", "ink": "00  " * 2},
     {"id": "a", "ink": [0] * 8}],
)  # fmt: skip
def test_a_message_that_is_not_of_this_canvas_changes_nothing(painted):
    start = np.full((2, 2), 9, np.uint8)
    assert (canvas.parse(painted, "a", start) == start).all()
    good = canvas.parse({"id": "a", "ink": "00ff0102"}, "a", start)
    assert good.tolist() == [[0, 255], [1, 2]]


def test_defaults_are_those_that_are_stored():
    assert restoration.RestorationSettings() == stored_run.DEFAULT
