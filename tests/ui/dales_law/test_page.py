"""The page Dale's law without a browser: its first view, its runs, and bad input."""

import math
import time
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import Mock

import pytest
from streamlit.testing.v1 import AppTest

from dale_demo.plasticity import ScoreNetwork
from dale_demo.ui.dales_law import page as dales_law
from dale_demo.ui.dales_law import run as learning_run
from dale_demo.ui.dales_law.page import LearningSession
from dale_demo.ui.dales_law.record import SHARES
from dale_demo.ui.dales_law.settings import FIRST_RULES, default_request
from dale_demo.ui.dales_law.stored_run import STORED
from dale_demo.ui.dales_law.tasks import GIVEN_RATES, SCORE, TASKS
from dale_demo.ui.shared import queue

PAGE = Path(__file__).with_name("app.py")
QUICK = {"r-of-k-inputs": "200", "r-of-k-epochs": "5", "eta-gd": "0.1", "eta-eg": "0.5"}
RATES = {"gd": 0.1, "eg": 0.5, "sign-constrained": 0.1}


@pytest.fixture
def app(monkeypatch) -> AppTest:
    """The page before its first run; runs have few snapshots, whose fits take most of the time."""
    monkeypatch.setattr(dales_law, "HEAD_START", 0)
    monkeypatch.setattr(learning_run, "FRAMES", 6)
    return AppTest.from_file(str(PAGE), default_timeout=60)


def learning(app: AppTest) -> LearningSession:
    return app.session_state["learning"]


def opened(app: AppTest, **query: str) -> AppTest:
    app.query_params.update(query)
    app.run()
    assert not app.exception
    return app


def started(app: AppTest, **query: str) -> AppTest:
    """Open the page with a quick task and press Run."""
    opened(app, **QUICK, **{"eta-sign-constrained": "0.1"} | query)
    app.button(key="run").click().run()
    assert not app.exception
    return app


def test_opens_with_the_stored_training_and_trains_nothing(app, monkeypatch):
    monkeypatch.setattr(learning_run, "Training", lambda *_: pytest.fail("trained on load"))
    opened(app)
    assert not app.warning
    assert learning(app).run == "stored"
    assert any("Stored training, 600 updates" in caption.value for caption in app.caption)
    assert not any("Press **Run**" in caption.value for caption in app.caption)
    assert app.selectbox(key="task").value == "r-of-k"


@pytest.mark.parametrize("task", TASKS)
def test_every_widget_has_one_sentence_of_help(app, task):
    opened(app, task=task)
    widgets = [
        *app.sidebar.selectbox,
        *app.sidebar.select_slider,
        *app.sidebar.number_input,
        *app.sidebar.get("button_group"),
    ]
    assert len(widgets) == 1 + len(TASKS[task][1]) + 1 + 1 + 1 + len(FIRST_RULES)
    for widget in widgets:
        assert widget.help.endswith("."), widget.key
        assert ". " not in widget.help, widget.key


def test_no_key_is_that_of_a_widget_of_the_page_sample(app):
    """Both pages live in one session."""
    sample = AppTest.from_file(str(PAGE.parents[3] / "app.py"), default_timeout=60).run()
    kinds = ("button", "selectbox", "slider", "select_slider", "number_input", "toggle")

    def keys(page: AppTest) -> set[str]:
        widgets = [w for kind in kinds for w in getattr(page, kind)]
        return {w.key for w in [*widgets, *page.get("button_group")]}

    theirs = keys(sample)
    assert {"sampler", "seed"} <= theirs
    for task in TASKS:
        assert not keys(opened(app, task=task)) & theirs


def test_the_address_restores_the_settings(app):
    opened(app, task="correlated", rules="EG", draw="7", **{"correlated-start": "normal"})
    assert app.selectbox(key="task").value == "correlated"
    assert app.selectbox(key="correlated-start").value == "normal"
    request = learning(app).request
    assert (request.task, request.seed, request.rates) == ("correlated", 7, {"eg": None})
    assert request.sizes["start"] == "normal"
    assert any("Press **Run**" in caption.value for caption in app.caption)


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("task", "xor"),
        ("r-of-k-inputs", "17"),
        ("r-of-k-inputs", "many"),
        ("r-of-k-relevant", "0"),
        ("r-of-k-relevant", "nan"),
        ("r-of-k-epochs", "1e9"),
        ("rules", "hebb"),
        ("draw", "-1"),
        ("eta-eg", "-2"),
        ("eta-eg", "inf"),
        ("eta-gd", "fast"),
        ("synaptic-noise", "0.9"),
        ("synaptic-noise", "-0.1"),
        ("pruned", "2"),
    ],
)
def test_a_bad_address_falls_back_to_the_default(app, name, bad):
    opened(app, **{name: bad})
    assert not app.warning
    assert learning(app).request == default_request()


def test_more_relevant_inputs_than_inputs_is_one_sentence(app):
    opened(app, **QUICK, **{"r-of-k-relevant": "300"})
    (warning,) = app.warning
    assert "relevant must be at most inputs (200), got 300" in warning.value
    app.button(key="run").click().run()
    assert not app.exception
    assert learning(app).run == "stored"
    assert learning(app).training is None
    app.number_input(key="r-of-k-relevant").set_value(10).run()
    assert not [w for w in app.warning if "at most" in w.value and "300" not in w.value]


def test_no_rule_is_one_sentence(app):
    opened(app)
    app.get("button_group")[0].set_value([]).run()
    assert not app.exception
    assert "choose at least one" in app.warning[0].value


def test_a_run_ends_with_a_result(app, monkeypatch):
    monkeypatch.setattr(dales_law, "SLICE", math.inf)
    started(app, draw="3")
    shown = learning(app).record
    assert learning(app).training is None
    assert not shown.stopped
    assert shown.task == {"name": "r-of-k", "inputs": 200, "relevant": 20, "epochs": 5, "seed": 3}
    assert {name: rule.learning_rate for name, rule in shown.rules.items()} == RATES
    assert shown.rules["gd"].frames.flips[-1] > 0 == shown.rules["eg"].frames.flips[-1]
    assert any("Trained in" in c.value and "seed 3" in c.value for c in app.caption)
    assert not any("Press **Run**" in caption.value for caption in app.caption)
    assert len(queue.QUEUE) == 0


def test_rates_that_are_left_open_are_searched(app, monkeypatch):
    monkeypatch.setattr(dales_law, "SLICE", math.inf)
    opened(app, rules="EG", **{"r-of-k-inputs": "200", "r-of-k-epochs": "5"})
    app.button(key="run").click().run()
    (rule,) = learning(app).record.rules.values()
    assert rule.searched
    assert rule.learning_rate in rule.trials[:, 0]


def test_a_run_goes_on_over_clicks_elsewhere_until_stop(app, monkeypatch):
    monkeypatch.setattr(dales_law, "SLICE", 0)
    started(app)
    frames = [len(learning(app).training.record)]
    for seed in (1, 2, 3):
        app.number_input(key="draw").set_value(seed).run()
        frames.append(len(learning(app).training.record))
    assert frames == [1, 2, 3, 4]
    assert learning(app).training.request.seed == 0, "settings are for the next run"
    assert any("In training on" in caption.value for caption in app.caption)
    app.button(key="halt").click().run()
    assert not app.exception
    assert learning(app).training is None
    assert len(learning(app).record) == 4
    assert any("stopped at update" in caption.value for caption in app.caption)
    assert any("Press **Run**" in caption.value for caption in app.caption)
    assert "halt" not in {button.key for button in app.button}


def test_stop_during_the_search_keeps_the_record_shown(app, monkeypatch):
    monkeypatch.setattr(dales_law, "SLICE", 0)
    opened(app, **{"r-of-k-inputs": "200", "r-of-k-epochs": "5"})
    app.button(key="run").click().run()
    assert learning(app).training.record is None
    app.button(key="halt").click().run()
    assert learning(app).training is None
    assert learning(app).run == "stored"
    assert not app.exception


def test_a_rate_that_diverges_is_one_sentence(app, monkeypatch):
    monkeypatch.setattr(dales_law, "SLICE", math.inf)
    opened(app, task="sparse", rules="GD", **{"eta-gd": "1000", "sparse-trials": "500"})
    app.button(key="run").click().run()
    assert not app.exception
    assert "diverged" in app.warning[0].value
    assert learning(app).run == "stored"
    assert learning(app).training is None


def test_a_visitor_waits_in_the_queue(app, monkeypatch):
    monkeypatch.setattr(dales_law, "SLICE", math.inf)
    with ExitStack() as others:
        for _ in range(queue.CONCURRENT_RUNS):
            others.enter_context(queue.QUEUE.ticket())
        leave = Mock(side_effect=lambda _: others.close())
        monkeypatch.setattr(queue.Ticket, "wait", leave)
        started(app)
    leave.assert_called_once_with(queue.POLL_SECONDS)
    assert learning(app).run != "stored"


def test_a_training_that_waited_works_as_long_as_it_has_waited(app, monkeypatch):
    """Or it would get one slice for each share of the runs that it waits for."""
    monkeypatch.setattr(dales_law, "SLICE", 0)
    with ExitStack() as others:
        for _ in range(queue.CONCURRENT_RUNS):
            others.enter_context(queue.QUEUE.ticket())
        leave = Mock(side_effect=lambda _: (time.sleep(1), others.close()))
        monkeypatch.setattr(queue.Ticket, "wait", leave)
        started(app)
    assert learning(app).training is None or learning(app).training.beat > 1


@pytest.mark.parametrize("task", [name for name in TASKS if name != "r-of-k"])
def test_every_task_runs_and_is_described(app, monkeypatch, task):
    monkeypatch.setattr(dales_law, "SLICE", math.inf)
    sizes = {
        "sparse": {"inputs": "100", "trials": "500"},
        "dense": {"inputs": "20", "trials": "500"},
        "correlated": {"inputs": "1000", "examples": "20", "epochs": "100", "start": "normal"},
        "digits": {"hidden": "20", "epochs": "2"},
        "score": {"hidden": "64", "epochs": "10"},
    }[task]
    rates = {"eta-gd": "0.002", "eta-eg": "0.01", "eta-sign-constrained": "0.002"}
    opened(app, task=task, **rates, **{f"{task}-{k}": v for k, v in sizes.items()})
    app.button(key="run").click().run()
    assert not app.exception
    assert not app.warning
    assert learning(app).record.task["name"] == task
    assert len(app.metric) == 3


def test_all_rules_run_with_noise_on_synapses(app, monkeypatch):
    monkeypatch.setattr(dales_law, "SLICE", math.inf)
    rates = {"eta-adam": "0.01", "eta-eg-adam": "0.05", "eta-sign-constrained": "0.1"}
    rules = ["GD", "sign-constrained", "EG", "Adam", "EG-Adam"]
    opened(app, **QUICK, **rates, rules=rules, **{"synaptic-noise": "0.02"})
    assert learning(app).request.noise == 0.02
    app.button(key="run").click().run()
    assert not app.exception
    shown = learning(app).record
    assert list(shown.rules) == ["gd", "sign-constrained", "eg", "adam", "eg-adam"]
    flips = {name: rule.frames.flips[-1] for name, rule in shown.rules.items()}
    assert flips["eg"] == flips["eg-adam"] == flips["sign-constrained"] == 0 < flips["adam"]
    assert any("noise on synapses ς 0.02" in caption.value for caption in app.caption)
    assert not any("Press **Run**" in caption.value for caption in app.caption)


def test_a_link_to_the_score_networks_shows_them_at_once(app, monkeypatch):
    monkeypatch.setattr(learning_run, "Training", lambda *_: pytest.fail("trained on load"))
    opened(app, task="score", rules=["GD", "sign-constrained", "EG", "Adam", "EG-Adam"])
    assert learning(app).record.task["name"] == "score"
    assert learning(app).request == STORED["score"]
    assert any("Stored training, 1,500 updates" in caption.value for caption in app.caption)
    assert not any("Press **Run**" in caption.value for caption in app.caption)


@pytest.mark.parametrize("name", ["score", "noisy"])
def test_a_stored_training_is_shown_with_its_settings(app, name):
    opened(app, draw="5", **{"eta-eg": "3", "synaptic-noise": "0.1"})
    app.button(key=f"show-{name}").click().run()
    assert not app.exception
    assert learning(app).request == STORED[name]
    assert dict(learning(app).record.task) == STORED[name].described()
    assert not any("Press **Run**" in caption.value for caption in app.caption)


def test_the_examples_of_the_limits_set_the_sidebar(app):
    opened(app)
    app.button(key="try-correlated").click().run()
    assert app.selectbox(key="task").value == "correlated"
    assert app.selectbox(key="correlated-start").value == "normal"
    app.button(key="try-dense").click().run()
    assert app.selectbox(key="task").value == "dense"
    assert not app.exception


def test_pruning_shows_the_numbers_of_the_record(app):
    opened(app)
    end = learning(app).record.rules["gd"].end
    for share in (0.5, 0.9):
        app.select_slider(key="pruned").set_value(share).run()
        expected = f"{end.pruned[SHARES.index(share)]:.1%}".replace(".0%", "%")
        assert app.metric[0].value == expected


def test_the_rates_given_with_the_score_network_are_the_librarys():
    """Written out there, so that the page opens without PyTorch."""
    assert dict(GIVEN_RATES[SCORE]) == ScoreNetwork().rates
