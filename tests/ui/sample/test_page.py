"""The page Sample without a browser: how it opens, its widgets, its runs."""

import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dale_demo import trajectory
from dale_demo.checkpoint import folder as checkpoint
from dale_demo.datasets import BUNDLED_NETWORKS, DEFAULT_NETWORK
from dale_demo.evaluation.trade_off import Point, TradeOff
from dale_demo.sampling import PRESETS, run
from dale_demo.ui.sample import live, settings, stored_run, trade_off
from dale_demo.ui.sample import page as sample
from dale_demo.ui.shared import estimate, queue
from tests.tiny_network import save_tiny

APP = Path(__file__).resolve().parents[3] / "app.py"


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """A folder of networks with one tiny one, in place of the bundled ones."""
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    monkeypatch.setattr(sample, "HEAD_START", 0)
    save_tiny(tmp_path / "tiny")
    return tmp_path


@pytest.fixture
def app(networks):
    """The app before its first run."""
    return AppTest.from_file(str(APP), default_timeout=60)


def result_of(app: AppTest) -> live.RunResult | None:
    return app.session_state["latest_run"].result


def press(app: AppTest, **query: str) -> AppTest:
    """Open the app at an address and press Sample."""
    app.query_params.update({"steps": "3", "pictures": "2"} | query)
    app.run()
    app.button(key="sample").click().run()
    assert not app.exception
    return app


def test_opens_with_the_stored_run_and_samples_nothing(app, monkeypatch):
    monkeypatch.setattr(live, "run", lambda *_: pytest.fail("sampled on load"))
    app.run()
    assert not app.exception
    assert not app.warning
    assert result_of(app) is None
    assert any("Stored run" in caption.value for caption in app.caption)
    assert [app.selectbox(key="sampler").value, app.select_slider(key="steps").value] == [
        "multistep-bridge",
        20,
    ]


@pytest.mark.parametrize(
    ("synapses", "told"),
    [
        ({"changed_sign": 0, "signed": 4_000}, "none of its 4,000 synapses changed sign"),
        ({"changed_sign": 1_000, "signed": 4_000}, "25% of its 4,000 synapses changed sign"),
        ({"changed_sign": -1, "signed": 4_000}, None),
        ({"changed_sign": "0", "signed": 4_000}, None),
        (["x"], None),
    ],
)
def test_it_says_what_learning_did_to_a_networks_signs(synapses, told, app, networks):
    save_tiny(networks / "tiny", training={"synapses": synapses})
    app.run()
    assert not app.exception
    said = [caption.value for caption in app.caption if "changed sign" in caption.value]
    assert len(said) == (told is not None)
    assert told is None or told in said[0]


def test_a_link_to_a_network_opens_with_its_stored_run(monkeypatch):
    monkeypatch.setattr(sample, "HEAD_START", 0)
    app = AppTest.from_file(str(APP), default_timeout=60)
    app.query_params["network"] = "fashion_mnist"
    app.run()
    assert not app.exception
    account = next(caption.value for caption in app.caption if "Stored run" in caption.value)
    assert "*fashion_mnist*" in account
    assert not any("Press **Sample**" in caption.value for caption in app.caption)

    app.selectbox(key="network").select("kmnist").run()
    account = next(caption.value for caption in app.caption if "Stored run" in caption.value)
    assert "*kmnist*" in account
    estimated(monkeypatch, 1)
    app.select_slider(key="steps").set_value(3).run()
    assert any("Press **Sample**" in caption.value for caption in app.caption)


def test_every_widget_has_one_sentence_of_help(app):
    app.run()
    widgets = [
        *app.sidebar.selectbox,
        *app.sidebar.slider,
        *app.sidebar.select_slider,
        *app.sidebar.number_input,
        *app.sidebar.toggle,
        *app.sidebar.get("button_group"),
    ]
    assert len(widgets) == 17
    for widget in widgets:
        assert widget.help.endswith("."), widget.key
        assert ". " not in widget.help, widget.key


def test_a_preset_sets_the_others_and_is_what_they_are(app):
    app.run()
    preset = app.get("button_group")[0]
    assert preset.value == "wide"
    preset.set_value("paper").run()
    paper = PRESETS["paper"]
    for name in settings.PRESET_FIELDS:
        assert app.session_state[name] == getattr(paper, name), name
    app.select_slider(key="steps").set_value(500).run()
    assert app.get("button_group")[0].value is None
    app.get("button_group")[0].set_value("wide").run()
    assert app.slider(key="noise_level").value == 8.0
    assert not app.exception


def test_a_tuned_preset_only_where_the_paper_has_one():
    assert list(settings.presets("mnist")) == ["wide", "paper", "annealed"]
    assert list(settings.presets("tiny")) == ["wide", "paper"]


def test_a_few_step_network_is_sampled_by_leaps_from_its_own_levels(app, networks):
    save_tiny(networks / "tiny", levels=((8.0, 0.5), (8.0, 1.5, 0.6, 0.25)))
    press(app)
    assert not app.warning
    assert result_of(app).settings.levels == (8.0, 1.5, 0.6, 0.25)
    assert result_of(app).trajectory.score_evaluations[-1] == 4
    assert "sampler" not in app.session_state, "there is nothing to choose"
    app.query_params["leaps"] = "1e999"
    app.run()
    assert not app.exception
    app.get("button_group")[0].set_value(2).run()
    app.slider(key="noise_level").set_value(2.0).run()
    app.button(key="sample").click().run()
    assert not app.exception
    assert result_of(app).settings.levels == pytest.approx((2.0, 0.5))


def test_the_address_restores_the_settings(app):
    app.query_params.update(
        {"sampler": "bridge", "steps": "40", "noise_level": "4", "seed": "7", "classes": "c"}
    )
    app.run()
    assert app.selectbox(key="sampler").value == "bridge"
    assert app.select_slider(key="steps").value == 40
    assert app.slider(key="noise_level").value == 4.0
    assert app.number_input(key="seed").value == 7
    assert app.session_state["classes"] == ["c"]


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("sampler", "euler"),
        ("steps", "17"),
        ("steps", "many"),
        ("noise_level", "1e9"),
        ("noise_level", "nan"),
        ("guidance", "-1"),
        ("pictures", "100000"),
        ("seed", "-3"),
        ("classes", "seven"),
        ("mu", "inf"),
        ("grid", "cosine"),
        ("start", "warm"),
        ("repeats", "0"),
        ("step_size", "-1"),
        ("tweedie", "perhaps"),
        ("tweedie_steps", "-1"),
        ("preset", "best"),
    ],
)
def test_a_bad_address_falls_back_to_the_default(app, name, bad):
    defaults = settings.fields_of(PRESETS["wide"]) | {
        "network": "tiny",
        "preset": "wide",
        "classes": [],
        "pictures": 20,
        "seed": 0,
    }
    app.query_params[name] = bad
    app.run()
    assert not app.exception
    assert not app.warning
    values = {key: app.session_state[key] for key in defaults}
    assert values == defaults


def test_a_run_leaves_a_trajectory(app):
    press(app, classes="c", seed="5")
    result = result_of(app)
    assert not result.stopped
    assert result.settings.labels == (2, 2)
    assert result.trajectory.images.shape == (2, 8, 8, 1)
    assert len(result.trajectory) == 4
    assert result.seconds > 0
    assert any("Sampled in" in c.value and "seed 5" in c.value for c in app.caption)


def test_the_same_seed_gives_the_same_images_and_another_does_not(app):
    first = result_of(press(app)).trajectory.states
    again = result_of(press(app)).trajectory.states
    assert (first == again).all()
    app.number_input(key="seed").set_value(1).run()
    app.button(key="sample").click().run()
    other = result_of(app).trajectory.states
    assert (first != other).any()


def test_guided_evaluations_count_twice(app):
    press(app, classes="a", guidance="2")
    assert any("6 network evaluations" in c.value for c in app.caption)


def test_what_does_not_go_together_is_one_plain_sentence(app):
    press(app, start="fitted")
    (warning,) = app.warning
    assert "belongs to noise level 0.8" in warning.value
    assert result_of(app) is None


def test_without_a_network_the_stored_run_is_still_there(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not app.exception
    assert "no network" in app.warning[0].value
    assert app.button(key="sample").disabled


class Slate:
    """In place of Streamlit's placeholder: remembers what was written on it."""

    def __init__(self):
        self.texts, self.images = [], []

    def image(self, data, **_):
        assert data.startswith("data:image/jpeg;base64,/9j/"), "a JPEG"
        self.images.append(data)

    def progress(self, _, text):
        self.texts.append(text)

    def info(self, text, **_):
        self.texts.append(text)

    def empty(self):
        pass


@pytest.fixture
def slate(monkeypatch):
    slate = Slate()
    monkeypatch.setattr(live.st, "empty", lambda: slate)
    return slate


@pytest.fixture
def tiny(networks):
    return checkpoint.load_checkpoint(networks / "tiny")


TINY = replace(PRESETS["wide"], steps=6, labels=(0, 1))


def test_a_run_broken_off_keeps_what_is_there(slate, tiny, monkeypatch):
    """A click or a closed tab raises at a `st` call: here, at the third."""
    latest = live.LatestRun()
    monkeypatch.setattr(slate, "progress", Mock(side_effect=[None, None, KeyboardInterrupt]))
    monkeypatch.setattr(live, "DRAW_SECONDS", 0)
    with pytest.raises(KeyboardInterrupt):
        live.sample("tiny", tiny, TINY, latest)
    assert latest.result.stopped
    assert latest.result.steps == 2
    assert len(latest.result.trajectory) == 3
    assert len(queue.QUEUE) == 0


def test_the_next_script_waits_for_a_run_that_is_still_unwinding(slate, tiny, monkeypatch):
    """Streamlit starts it in another thread before the run's `finally` has been reached."""
    latest, stopped = live.LatestRun(), threading.Event()
    finish = live.Recorder.finish

    def slowly(recorder):
        stopped.set()
        time.sleep(0.2)
        return finish(recorder)

    def script():
        with suppress(KeyboardInterrupt):
            live.sample("tiny", tiny, TINY, latest)

    monkeypatch.setattr(live.Recorder, "finish", slowly)
    monkeypatch.setattr(slate, "progress", Mock(side_effect=KeyboardInterrupt))
    thread = threading.Thread(target=script)
    thread.start()
    stopped.wait()
    assert latest.result is not None
    thread.join()


def test_a_visitor_waits_in_the_queue_and_sees_how_many_are_ahead(slate, tiny, monkeypatch):
    latest = live.LatestRun()
    with ExitStack() as others:
        for _ in range(queue.CONCURRENT_RUNS + 1):
            others.enter_context(queue.QUEUE.ticket())
        monkeypatch.setattr(queue.Ticket, "wait", lambda *_: others.close())
        live.sample("tiny", tiny, TINY, latest)
    assert slate.texts[0].startswith("2 people are ahead of you")
    assert slate.texts[-1].startswith("Step 6 of 6 · 6 network evaluations")
    assert not latest.result.stopped


def test_a_waiting_visitor_can_leave(slate, tiny, monkeypatch):
    latest = live.LatestRun()
    with ExitStack() as others:
        for _ in range(queue.CONCURRENT_RUNS):
            others.enter_context(queue.QUEUE.ticket())
        monkeypatch.setattr(slate, "info", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            live.sample("tiny", tiny, TINY, latest)
        assert len(queue.QUEUE) == queue.CONCURRENT_RUNS
    assert latest.result is None


@pytest.fixture
def one_place(monkeypatch):
    """The queue with a single place, where nobody may keep others waiting."""
    short = queue.Queue(1, share=0.0)
    monkeypatch.setattr(queue, "QUEUE", short)
    return short


def come_at(step: int, others: ExitStack, monkeypatch) -> None:
    """Let somebody join the queue when a run has reached a step."""
    see = live._Watch.see

    def watched(watch, seen):
        if seen.index == step:
            others.enter_context(queue.QUEUE.ticket())
        return see(watch, seen)

    monkeypatch.setattr(live._Watch, "see", watched)


def test_a_long_run_pauses_for_others_and_loses_nothing(slate, tiny, one_place, monkeypatch):
    latest, alone, real, skipped = live.LatestRun(), live.LatestRun(), time.monotonic, [0.0]

    def wait_long(*_):
        skipped[0] += 1000
        others.close()

    monkeypatch.setattr(time, "monotonic", lambda: real() + skipped[0])
    live.sample("tiny", tiny, TINY, alone)
    slate.texts.clear()
    with ExitStack() as others:
        come_at(3, others, monkeypatch)
        monkeypatch.setattr(queue.Ticket, "wait", wait_long)
        live.sample("tiny", tiny, TINY, latest)
    assert any("ahead of you; your run pauses" in text for text in slate.texts)
    assert not latest.result.stopped
    assert (latest.result.trajectory.states == alone.result.trajectory.states).all()
    assert latest.result.seconds < 1000, "a pause is not time that the run took"


def test_a_run_that_is_stopped_in_a_pause_keeps_what_it_reached(
    slate, tiny, one_place, monkeypatch
):
    latest = live.LatestRun()
    with ExitStack() as others:
        come_at(3, others, monkeypatch)
        monkeypatch.setattr(slate, "info", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            live.sample("tiny", tiny, TINY, latest)
        assert len(one_place) == 1, "its own place is free"
    assert latest.result.steps == 3
    assert len(latest.result.trajectory) == 4


def test_a_finished_run_teaches_how_long_the_next_one_takes(slate, tiny, monkeypatch):
    estimator = Mock()
    monkeypatch.setattr(live, "ESTIMATOR", estimator)
    live.sample("tiny", tiny, replace(TINY, guidance=2.0), live.LatestRun())
    ((network, device, evaluations, images, seconds), _) = estimator.learn.call_args
    assert (network, device, evaluations, images) == (tiny.config.network, "cpu", 8, 2), (
        "two for each guided score, of those after the first step"
    )
    assert seconds > 0


def test_a_stopped_run_teaches_it_too_unless_it_has_hardly_begun(slate, tiny, monkeypatch):
    estimator = Mock()
    monkeypatch.setattr(live, "ESTIMATOR", estimator)
    monkeypatch.setattr(live, "DRAW_SECONDS", 0)
    for steps, taught in ((1, 0), (4, 1)):
        stop = Mock(side_effect=[*[None] * steps, KeyboardInterrupt])
        monkeypatch.setattr(slate, "progress", stop)
        with pytest.raises(KeyboardInterrupt):
            live.sample("tiny", tiny, TINY, live.LatestRun())
        assert estimator.learn.call_count == taught
    assert estimator.learn.call_args[0][2] == 3


LONG = {"steps": "1000", "pictures": "64", "repeats": "10", "sampler": "dale-langevin"}


def estimated(monkeypatch, seconds: float) -> None:
    """Make every run take so long."""
    monkeypatch.setattr(sample.ESTIMATOR, "seconds", lambda *_: seconds)


@pytest.mark.parametrize(("seconds", "prompt"), [(0.4, True), (0.6, False)])
def test_a_changed_setting_is_sampled_at_once_where_the_run_is_short(
    seconds, prompt, app, monkeypatch
):
    estimated(monkeypatch, seconds)
    app.query_params.update({"steps": "3", "pictures": "2"})
    app.run()
    assert result_of(app) is None, "a link alone samples nothing"
    app.run()
    assert result_of(app) is None, "nor does a rerun"
    app.slider(key="noise_level").set_value(2.0).run()
    assert not app.exception
    if not prompt:
        assert result_of(app) is None
        assert any("Press **Sample**" in caption.value for caption in app.caption)
        return
    assert result_of(app).settings.noise_level == 2.0
    assert not any("Press **Sample**" in caption.value for caption in app.caption)
    first = result_of(app)
    app.run()
    assert result_of(app) is first, "once for each change"


def test_another_network_is_not_sampled_before_a_setting_is_changed(app, networks, monkeypatch):
    save_tiny(networks / "tiny2")
    estimated(monkeypatch, 0.1)
    app.run()
    app.selectbox(key="network").select("tiny2").run()
    assert not app.exception
    assert result_of(app) is None


def test_the_time_of_a_run_stands_beside_the_button(app, monkeypatch):
    estimated(monkeypatch, 41)
    app.query_params["steps"] = "100"
    app.run()
    assert [c.value for c in app.caption if "about" in c.value] == [
        "Press **Sample** to see these settings: about 40 s."
    ]
    estimated(monkeypatch, 1)
    app.run()
    assert not any("about" in c.value for c in app.caption)
    assert any(c.value == "Press **Sample** to see these settings." for c in app.caption)


def test_the_time_of_the_run_that_is_shown_stands_there_too(app, monkeypatch):
    estimated(monkeypatch, 41)
    press(app).run()
    assert any(c.value == "About 40 s." for c in app.caption)


def test_a_run_that_would_take_too_long_is_refused_in_one_sentence(app, monkeypatch):
    app.query_params.update(LONG | {"guidance": "2", "classes": "a"})
    estimated(monkeypatch, 5400)
    app.run()
    assert not app.exception
    (warning,) = app.warning
    assert "about 90 min" in warning.value
    assert "fewer steps, fewer repeats, fewer images or guidance 1" in warning.value
    assert "command line" in warning.value
    assert len(warning.value) <= 300
    assert app.button(key="sample").disabled
    monkeypatch.setattr(sample, "sample", lambda *_: pytest.fail("sampled all the same"))
    app.button(key="sample").proto.disabled = False  # a forged click
    app.button(key="sample").click().run()
    assert not app.exception
    assert result_of(app) is None
    estimated(monkeypatch, 1)
    app.run()
    assert not app.warning
    assert not app.button(key="sample").disabled


@pytest.mark.parametrize("name", ["wide", "paper", "annealed"])
def test_a_preset_is_not_too_long_before_anything_is_measured(name):
    network = checkpoint.load_config(checkpoint.find_checkpoint(DEFAULT_NETWORK))
    chosen = settings.presets(network.dataset)[name]
    runs = chosen.network_evaluations
    seconds = estimate.guess(network.network, "cpu", runs, stored_run.IMAGES)
    assert estimate.too_long(seconds, []) is None
    assert estimate.too_long(20_000 / runs * 64 / stored_run.IMAGES * seconds, [])


def test_a_step_that_is_recorded_and_drawn_is_made_into_images_once(slate, tiny, monkeypatch):
    """And one that the recorder leaves out, where it is drawn, looks as it would there."""
    made = []
    to_images = trajectory.to_images

    def count(step, *more):
        made.append(step.index)
        return to_images(step, *more)

    monkeypatch.setattr(trajectory, "to_images", count)
    monkeypatch.setattr(live, "to_images", count)
    monkeypatch.setattr(live, "DRAW_SECONDS", 0)
    live.sample("tiny", tiny, TINY, live.LatestRun())
    assert made == list(range(7))
    kept_and_drawn, slate.images = slate.images, []
    few = partial(trajectory.Recorder, max_frames=2)
    monkeypatch.setattr(
        live.Recorder,
        "of",
        lambda config, settings: few(settings.process, config.data_distribution, settings.steps),
    )
    live.sample("tiny", tiny, TINY, live.LatestRun())
    assert made == [*range(7), *range(7)]
    assert slate.images == kept_and_drawn


@pytest.mark.parametrize(
    ("network", "count"),
    [(name, 4 if name != DEFAULT_NETWORK else stored_run.IMAGES) for name in BUNDLED_NETWORKS],
)
def test_the_stored_run_is_that_of_the_bundled_network(network, count):
    """Made anew it is the same; if not: `python -m dale_demo.ui.build sample --force`.

    Of all but one network only the first images are made, which do not depend on the others.
    """
    loaded = checkpoint.load_checkpoint(checkpoint.find_checkpoint(network))
    chosen = stored_run.default_settings()
    steps = run(loaded, chosen, indices=range(count))
    made = trajectory.record(steps, trajectory.Recorder.of(loaded.config, chosen))
    stored = stored_run.load_stored_run(network)
    assert stored.estimates.shape == (21, stored_run.IMAGES, 28, 28, 1)
    for name in ("states", "estimates", "scores"):
        before, now = getattr(stored, name)[:, :count], getattr(made, name)
        assert np.abs(before.astype(int) - now.astype(int)).mean() < 2, name
    if count == stored_run.IMAGES:
        np.testing.assert_allclose(stored.fitted, made.fitted, rtol=0.01, atol=0.01)
    assert stored.images.max() > 200
    assert stored.images.mean() > 10


def test_the_trade_off_shows_where_it_is_stored(app, tmp_path, monkeypatch):
    monkeypatch.setattr(trade_off, "FOLDER", tmp_path)
    trade_off.load_measurements.clear()
    app.run()
    assert trade_off.TITLE not in [expander.label for expander in app.expander]

    points = tuple(
        Point("bridge", "bridge", "ours", "exact", calls, calls / 1000, 5 / calls, 0.01)
        for calls in (10, 20)
    )
    seen = {"ours": 4400000}
    trade_off.store(
        [TradeOff("mnist", n, "two cores", seen, 0.1, 0.01, points) for n in (1000, 10_000)]
    )
    trade_off.load_measurements.clear()
    app.session_state["trade-off"] = True
    app.run()
    assert not app.exception
    assert trade_off.TITLE in [expander.label for expander in app.expander]
    choice = app.selectbox(key="trade-off-curve")
    assert choice.options == ["mnist, 1,000 images", "mnist, 10,000 images"]
    words = next(caption.value for caption in app.caption if "two cores" in caption.value)
    assert "by our network 4,400,000." in words
    choice.select(choice.options[1]).run()
    assert not app.exception
    trade_off.load_measurements.clear()
