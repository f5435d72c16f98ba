"""The page Playground without a browser: its first view, its widgets, and bad input."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from dale_demo.toy import FORWARD, SIDE, STEPPED, TOY_SAMPLERS, ToySettings
from dale_demo.toy_network import ToyTraining
from dale_demo.ui.playground import learned
from dale_demo.ui.playground import page as playground
from dale_demo.ui.playground import settings as playground_settings
from dale_demo.ui.playground.settings import (
    CELLS,
    DEFAULT,
    MOST_POINTS,
    NOISING,
    PAINTED,
    SAMPLING,
    PlaygroundRequest,
    decode,
    encode,
    example,
)
from dale_demo.ui.shared.equations import EQUATIONS

PAGE = Path(__file__).with_name("app.py")
KINDS = ("selectbox", "slider", "select_slider", "number_input", "text_input")


@pytest.fixture
def app(monkeypatch) -> AppTest:
    """The page before its first run, with a short table."""
    monkeypatch.setattr(playground, "COMPARED", (4,))
    return AppTest.from_file(str(PAGE), default_timeout=120)


@pytest.fixture
def played(monkeypatch) -> list[PlaygroundRequest]:
    """The requests that the page has played, in order."""
    requests: list[PlaygroundRequest] = []
    monkeypatch.setattr(playground, "_play", requests.append)
    monkeypatch.setattr(playground, "_compare", lambda *_: None)
    return requests


def opened(app: AppTest, **query: str) -> AppTest:
    app.query_params.update({f"play-{name}": value for name, value in query.items()})
    app.run()
    assert not app.exception
    return app


def rows(app: AppTest) -> dict[str, list[str]]:
    """The table's rows by their step number."""
    (table,) = [m.value for m in app.markdown if m.value.startswith("| steps")]
    cells = [line.strip("| ").replace("*", "").split(" | ") for line in table.splitlines()[2:]]
    return {steps: [c for cell in row for c in cell.split(" · ")] for steps, *row in cells}


def test_opens_on_particles_that_cross_and_particles_that_do_not(app):
    opened(app)
    assert not app.warning
    assert any("1,000 particles from exact samples" in caption.value for caption in app.caption)
    measured = rows(app)
    assert list(measured) == ["4", "25"]
    for dale, _, unconstrained, _ in measured.values():
        assert dale == "0"
        assert int(unconstrained.replace(",", "")) > 100
    near, far = (float(measured["25"][i]) for i in (1, 3))
    assert near < 0.2 < far


def test_every_widget_has_one_sentence_of_help(app, played):
    opened(app, data=PAINTED)
    widgets = [w for kind in KINDS for w in getattr(app.sidebar, kind)]
    assert len(widgets) == 10
    for widget in widgets:
        assert widget.help.endswith("."), widget.key
        assert ". " not in widget.help, widget.key


def test_no_key_is_that_of_a_widget_of_another_page(app, played):
    opened(app, data=PAINTED)
    keys = {w.key for kind in KINDS for w in getattr(app, kind)}
    assert all(key.startswith("play-") for key in keys)


def test_the_address_restores_the_settings(app, played):
    opened(app, data="moons", left="bridge", right="additive", noise="0.7", steps="10", seed="3")
    settings = ToySettings(noise_level=0.7, steps=10, seed=3)
    assert played == [PlaygroundRequest("moons", "", ("bridge", "additive"), settings, SAMPLING)]


def test_grid_and_step_size_reach_the_run(app, played):
    opened(app, grid="uniform", delta="0.01")
    assert played[0].settings == replace(DEFAULT, grid="uniform", step_size=0.01)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("direction", "sideways"),
        ("data", "swiss roll"),
        ("left", "euler"),
        ("right", "../../etc"),
        ("noise", "1e9"),
        ("noise", "nan"),
        ("steps", "0"),
        ("steps", "many"),
        ("grid", "cubic"),
        ("delta", "-1"),
        ("delta", "inf"),
        ("seed", "-1"),
    ],
)
def test_a_bad_address_falls_back_to_the_default(app, played, name, bad):
    opened(app, **{name: bad})
    assert not app.warning
    samplers = ("dale-langevin", "unconstrained")
    assert played == [PlaygroundRequest("two spirals", "", samplers, DEFAULT, SAMPLING)]


@pytest.mark.parametrize(
    ("left", "right", "idle"),
    [("bridge", "probability-flow", True)] + [("bridge", name, False) for name in STEPPED],
)
def test_the_step_size_can_be_set_where_it_means_something(app, played, left, right, idle):
    opened(app, left=left, right=right)
    assert app.number_input(key="play-delta").disabled == idle


def test_painted_points_become_the_data(app, played):
    points = encode(np.array([[0.5, 0.5], [2.5, 1.0]]))
    opened(app, data=PAINTED, points=points)
    assert not app.warning
    assert played[0].points == points
    data = playground_settings.data_of(PAINTED, points)
    np.testing.assert_allclose(data.log_means.exp(), [[0.5, 0.5], [2.5, 1.0]], atol=SIDE / CELLS)


@pytest.mark.parametrize("bad", ["?", "AA", "A" * 4000, "お", "AA=A"])
def test_points_that_cannot_be_read_are_one_sentence_and_the_example_plays(app, played, bad):
    opened(app, data=PAINTED, points=bad)
    (warning,) = app.warning
    assert "paint some instead" in warning.value
    assert played[0].points == example()
    assert app.text_input(key="play-points").value == bad, "what was typed is not lost"


def test_forward_noise_is_multiplied_and_compared_with_theory(app):
    opened(app, direction=NOISING, steps="6", left="bridge", delta="0.01")
    assert any("1,000 particles from samples of the data" in c.value for c in app.caption)
    measured = rows(app)
    assert list(measured) == ["4", "6"]
    for crossed, near, euler, far in measured.values():
        assert crossed == "0"
        assert int(euler) > 100
        assert float(near) < 0.05 < float(far)
    (spread,) = [m.value for m in app.markdown if "standard deviation at T" in m.value]
    first = spread.splitlines()[2].replace(r"\|", "").strip("| ").split(" | ")
    theory, exact, _ = map(float, first[1:])
    assert exact == pytest.approx(theory, rel=0.06)
    for key in ("play-left", "play-right"):
        assert app.selectbox(key=key).disabled
    assert app.number_input(key="play-delta").disabled
    assert [expander.label.split(": ")[1] for expander in app.expander] == list(FORWARD)
    assert not app.button, "there is no score to learn"


def test_a_score_is_learned_on_press_and_belongs_to_data_and_seed(app, monkeypatch):
    monkeypatch.setattr(playground, "_compare", lambda *_: None)
    monkeypatch.setattr(
        learned, "ToyTraining", lambda seed: ToyTraining(steps=40, batch_size=64, seed=seed)
    )
    opened(app, data="log-normal mixture", steps="6")
    assert "playground-learned" not in app.session_state, "nothing trains on load"
    app.button(key="play-train").click().run()
    assert not app.exception
    assert not app.button
    assert any("40 steps of 64 draws, seed 0" in caption.value for caption in app.caption)
    (errors,) = [m.value for m in app.markdown if "| untrained |" in m.value]
    assert len(errors.splitlines()) == 2 + len(learned.LEVELS)
    app.number_input(key="play-seed").set_value(1).run()
    assert app.button(key="play-train"), "another seed is another network"
    app.number_input(key="play-seed").set_value(0).run()
    assert not app.button


def test_every_pair_of_samplers_shows_its_equations_and_its_source(app, played):
    for name in (*TOY_SAMPLERS, *FORWARD):
        assert name in EQUATIONS
    opened(app, left="additive", right="bridge")
    labels = [expander.label for expander in app.expander]
    assert labels == [f"How this step is computed: {name}" for name in ("additive", "bridge")]


@given(st.lists(st.tuples(*[st.integers(0, CELLS - 1)] * 2), min_size=1, max_size=MOST_POINTS))
def test_points_survive_encoding(cells):
    points = (np.array(cells) + 0.5) * (SIDE / CELLS)
    text = encode(points)
    np.testing.assert_allclose(decode(text), points)
    assert text.replace("-", "").replace("_", "").isalnum()


def test_points_at_the_edges_stay_inside():
    held = decode(encode(np.array([[-1.0, 0.0], [SIDE, 99.0]])))
    assert (held > 0).all()
    assert (held < SIDE).all()
