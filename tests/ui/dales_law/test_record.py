"""Records of trainings: they hold what the experiment did, in memory, on disk and as sent."""

import base64
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace

import numpy as np
import pytest

from dale_demo.drawing.palette import RULES as COLOURS
from dale_demo.plasticity import Experiment, Rule, ScoreNetwork, statistics
from dale_demo.plasticity.geometry import MIRROR_MAPS
from dale_demo.ui.dales_law import player as learning_player
from dale_demo.ui.dales_law import run as learning_run
from dale_demo.ui.dales_law.figures import pruning, quantiles, trials
from dale_demo.ui.dales_law.player import pack
from dale_demo.ui.dales_law.record import (
    DISTRIBUTIONS,
    GREYS,
    NAMES,
    SHARES,
    LearningRecord,
    RuleFrames,
    end_of,
    load_record,
)
from dale_demo.ui.dales_law.run import Training, train_to_end
from dale_demo.ui.dales_law.settings import RULES, LearningRequest
from dale_demo.ui.dales_law.stored_run import STORED, load_stored_training, opening, request_of
from dale_demo.ui.dales_law.tasks import GIVEN_RATES, TASKS

SMALL = request_of(
    "r-of-k", {"gd": 0.1, "sign-constrained": None, "eg": 0.5}, inputs=60, relevant=4, epochs=3
)
GIVEN = replace(SMALL, rates={"gd": 0.1, "eg": 0.5})
DRAWN = request_of("score", {"adam": 0.005, "eg-adam": 0.05}, hidden=16, epochs=2)


@pytest.fixture(scope="module", autouse=True)
def few_frames() -> Iterator[None]:
    """Runs with few snapshots, whose fits take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning_run, "FRAMES", 13)
        yield


@pytest.fixture(scope="module")
def small(few_frames) -> LearningRecord:
    return train_to_end(SMALL)


def assert_same(one: LearningRecord, two: LearningRecord) -> None:
    """Every number but the time is the same."""
    assert (dict(one.task), one.planned, one.relevant_paths) == (
        dict(two.task),
        two.planned,
        two.relevant_paths,
    )
    assert list(one.rules) == list(two.rules)
    for name, rule in one.rules.items():
        other = two.rules[name]
        assert rule.learning_rate == other.learning_rate
        np.testing.assert_array_equal(rule.trials, other.trials)
        for part in ("frames", "end"):
            for field in fields(getattr(rule, part)):
                np.testing.assert_array_equal(
                    getattr(getattr(rule, part), field.name),
                    getattr(getattr(other, part), field.name),
                    err_msg=f"{name} {field.name}",
                )


def test_a_record_holds_what_the_experiment_did(small):
    task, rules = SMALL.build()
    rules["sign-constrained"] = Rule(
        "sign-constrained", small.rules["sign-constrained"].learning_rate
    )
    experiment = Experiment(task, rules, seed=0)
    snapshots = list(experiment.snapshots(learning_run.FRAMES))
    assert small.steps.tolist() == [s.step for s in snapshots]
    for name, rule in small.rules.items():
        for k in (0, len(snapshots) - 1):
            state = snapshots[k].states[name]
            assert rule.frames.flips[k] == state.flips
            assert rule.frames.test_accuracy[k] == pytest.approx(state.test_accuracy)
            np.testing.assert_array_equal(rule.frames.counts[k], state.counts)
        w = experiment.weights(name)
        end = end_of(rule)
        assert rule.frames.fits[-1, 1, 2] == pytest.approx(statistics.fit(w, "log-normal").ks)
        assert end.log_skew[1] == pytest.approx(statistics.log_skew(w))
        assert end.likelihood[1] == pytest.approx(statistics.likelihood_ratio(w).z)
        assert end.pruned[0] == state.test_accuracy
        np.testing.assert_array_equal(
            end.quantiles[1], statistics.quantile_plot(w, "log-normal").sample
        )
        entropy = list(MIRROR_MAPS).index("entropy")
        assert rule.frames.dual_change[-1, entropy] == pytest.approx(
            state.dual_change["entropy"].ks
        )


def test_before_training_there_is_nothing_to_fit(small):
    """All weights of the point neuron are equal at the start."""
    for rule in small.rules.values():
        assert np.isnan(rule.frames.fits[0]).all()
        assert math.isnan(end_of(rule).log_skew[0])


def test_a_record_survives_its_file(small, tmp_path):
    small.save(tmp_path / "run.npz")
    again = load_record(tmp_path / "run.npz")
    assert_same(small, again)
    assert again.seconds is None
    (tmp_path / "bytes.npz").write_bytes(small.npz_bytes())
    assert_same(small, load_record(tmp_path / "bytes.npz"))


def test_a_running_training_has_a_file_too(small, tmp_path):
    running = replace(small, rules={n: replace(r, end=None) for n, r in small.rules.items()})
    running.save(tmp_path / "run.npz")
    assert load_record(tmp_path / "run.npz").rules["eg"].end is None
    with pytest.raises(ValueError, match="stop it first"):
        end_of(running.rules["eg"])


# The stored trainings. --------------------------------------------------------------------------


@pytest.mark.parametrize("name", STORED)
def test_a_stored_training_is_what_was_asked_for(name):
    """And its rates are those given or the best of its searches."""
    kept, request = load_stored_training(name), STORED[name]
    assert dict(kept.task) == request.described()
    assert list(kept.rules) == list(request.rates)
    for label, rule in kept.rules.items():
        if request.rates[label] is not None:
            assert rule.learning_rate == request.rates[label]
            assert not rule.searched
            continue
        rate, loss, accuracy = rule.trials.T
        best = loss.argmin() if np.isnan(accuracy).all() else accuracy.argmax()
        assert rule.learning_rate == rate[best]
        assert 2 <= best <= len(rate) - 3


@pytest.mark.parametrize("name", [name for name in STORED if name != "score"])
def test_a_stored_training_can_be_reproduced(name):
    """Training with its rates ends where it ended."""
    kept, request = load_stored_training(name), STORED[name]
    task, rules = request.build()
    rules = {n: replace(r, learning_rate=kept.rules[n].learning_rate) for n, r in rules.items()}
    *_, last = Experiment(task, rules, seed=0).snapshots(2)
    for label, state in last.states.items():
        frames = kept.rules[label].frames
        assert frames.flips[-1] == pytest.approx(state.flips, rel=0.01)
        np.testing.assert_allclose(
            frames.cumulative_loss[-1], state.cumulative_loss, rtol=1e-3, err_msg=label
        )
        assert frames.fits[-1, 1, 1] == pytest.approx(state.fits["log-normal"].std, rel=0.01)


def test_the_start_of_the_stored_score_networks_can_be_reproduced():
    """Up to the first frame after the start: a whole training takes a minute."""
    kept, request = load_stored_training("score"), STORED["score"]
    task, rules = request.build()
    frames = len(kept)
    snapshots = Experiment(task, rules, seed=0).snapshots(frames)
    next(snapshots)
    for label, state in next(snapshots).states.items():
        stored = kept.rules[label].frames
        assert stored.flips[1] == pytest.approx(state.flips, rel=0.01)
        assert stored.test_loss[1] == pytest.approx(state.test_loss, rel=1e-3)
        difference = stored.images[1].astype(int) - state.images // (256 // GREYS)
        assert np.abs(difference).mean() < 0.1


def test_the_first_training_supports_the_text_of_the_page():
    """EG keeps every sign and finds the relevant inputs; gradient descent does neither."""
    gd, held, eg = (
        load_stored_training("opening").rules[name] for name in ("gd", "sign-constrained", "eg")
    )
    assert not eg.frames.flips.any()
    assert not held.frames.flips.any()
    assert gd.frames.flips[-1] > 1000
    assert eg.frames.counts[:, 1].sum() == 0 < gd.frames.counts[-1, 1].sum()
    assert eg.frames.relevant_share[-1] > 0.95 > 0.5 > gd.frames.relevant_share[-1]
    assert eg.frames.test_accuracy[-1] > gd.frames.test_accuracy[-1] + 0.1


def test_the_trainings_of_the_limits_support_their_text():
    dense = load_stored_training("dense").rules
    assert dense["gd"].frames.cumulative_loss[-1] < dense["eg"].frames.cumulative_loss[-1]
    for name, low, high in (("log-normal-start", -0.2, 0.2), ("normal-start", -1.7, -1.3)):
        before, after = end_of(load_stored_training(name).rules["eg"]).log_skew
        assert low < before < high
        assert low < after < high
        least = {
            r: load_stored_training(name).rules[r].frames.dual_change[-1].argmin()
            for r in ("gd", "eg")
        }
        assert least == {"gd": 0, "eg": 2}, "the change shows the geometry, whatever the start"


def test_the_stored_score_networks_support_their_text():
    """EG needs Adam's moments to be as good as Adam, and then only its weights are log-normal."""
    rules = load_stored_training("score").rules
    loss = {name: rule.frames.test_loss[-1] for name, rule in rules.items()}
    assert list(rules) == ["gd", "sign-constrained", "eg", "adam", "eg-adam"]
    assert loss["eg-adam"] < 1.02 * loss["adam"]
    assert max(loss["adam"], loss["eg-adam"]) < min(loss["gd"], loss["eg"]) - 0.02
    kept = {name for name, rule in rules.items() if rule.frames.flips[-1] == 0}
    assert kept == {"sign-constrained", "eg", "eg-adam"}
    normal, log_normal = rules["eg-adam"].frames.fits[-1, :, 2]
    assert log_normal < 0.7 * normal
    assert rules["adam"].frames.fits[-1, 0, 2] < rules["adam"].frames.fits[-1, 1, 2]


def test_the_noisy_training_supports_its_text():
    plain, noisy = (load_stored_training(name).rules["eg"] for name in ("normal-start", "noisy"))
    assert plain.frames.fits[-1, 0, 2] < 0.02 < plain.frames.fits[-1, 1, 2]
    assert noisy.frames.fits[-1, 1, 2] < 0.05 < 0.15 < noisy.frames.fits[-1, 0, 2]
    assert end_of(plain).log_skew[1] < -1.3 < -0.7 < end_of(noisy).log_skew[1]
    assert not noisy.frames.flips.any()
    assert plain.frames.train_loss[-1] < 1e-6 < noisy.frames.train_loss[-1] < 0.02


def test_a_link_to_the_score_networks_opens_their_stored_training():
    assert opening("score") == "score"
    assert {opening(name) for name in (None, "", "xor", *TASKS)} == {"score", "opening"}


def test_the_stored_files_are_small():
    from dale_demo.ui.dales_law.stored_run import path

    assert sum(path(name).stat().st_size for name in STORED) < 350_000


# As sent to the browser. ------------------------------------------------------------------------


def test_what_is_sent_is_json_and_the_same_numbers(small):
    sent = json.loads(json.dumps(pack(small), allow_nan=False))
    assert sent["steps"] == small.steps.tolist()
    assert sent["relevant"] == 4
    for rule, (name, kept) in zip(sent["rules"], small.rules.items(), strict=True):
        assert (rule["name"], rule["colour"]) == (NAMES[name], COLOURS[name])
        counts = np.array(rule["counts"])
        np.testing.assert_array_equal(counts.sum((1, 2)), 60)
        np.testing.assert_array_equal(counts.sum(2), kept.frames.counts.sum(2))
        np.testing.assert_allclose(rule["measure"], kept.frames.test_accuracy, rtol=1e-4)
        signed = np.exp(rule["paths"]) * np.array(rule["signs"])
        np.testing.assert_allclose(signed, kept.frames.paths.T, rtol=1e-2)
        assert rule["fits"]["log-normal"][0] == [None, None]
        np.testing.assert_allclose(
            rule["fits"]["log-normal"][-1],
            kept.frames.fits[-1, DISTRIBUTIONS.index("log-normal"), :2],
            rtol=1e-4,
        )


def test_sent_bins_contain_every_weight(small):
    sent = pack(small)
    low, high = sent["bins"]
    eg = sent["rules"][2]
    edges = np.exp(np.linspace(low, high, len(eg["counts"][0][0]) + 1))
    first = small.rules["eg"].frames.paths[0, 0]
    (fullest,) = np.flatnonzero(eg["counts"][0][0])
    assert edges[fullest] <= first <= edges[fullest + 1]


def test_a_weight_of_zero_is_drawn_at_the_smallest_magnitude(small):
    frames = small.rules["eg"].frames
    dead = replace(frames, paths=np.zeros_like(frames.paths))
    rules = {"eg": replace(small.rules["eg"], frames=dead)}
    (rule,) = pack(replace(small, rules=rules))["rules"]
    np.testing.assert_allclose(rule["paths"], math.log(learning_player.LEAST_PATH), atol=1e-3)


@pytest.fixture(scope="module")
def drawn(few_frames) -> LearningRecord:
    return train_to_end(DRAWN)


def test_a_thinned_record_has_every_second_frame(drawn):
    thin = drawn.thinned(2)
    assert thin.steps.tolist() == drawn.steps[::2].tolist()
    assert len(thin) == 7
    for name, rule in thin.rules.items():
        for field in fields(RuleFrames):
            whole, kept = (getattr(r.frames, field.name) for r in (drawn.rules[name], rule))
            np.testing.assert_array_equal(kept, whole[::2])
        assert rule.end is drawn.rules[name].end


def test_the_images_of_a_network_are_kept_and_sent(drawn, small, tmp_path):
    task, rules = DRAWN.build()
    *_, last = Experiment(task, rules, seed=0).snapshots(learning_run.FRAMES)
    drawn.save(tmp_path / "run.npz")
    assert_same(drawn, load_record(tmp_path / "run.npz"))
    sent = json.loads(json.dumps(pack(drawn), allow_nan=False))
    for rule, (name, kept) in zip(sent["rules"], drawn.rules.items(), strict=True):
        assert kept.frames.images.shape == (len(drawn), 10, 14, 14)
        assert kept.frames.images.max() < GREYS
        np.testing.assert_array_equal(kept.frames.images[-1], last.states[name].images // 16)
        images = rule["images"]
        assert (images["count"], images["height"], images["width"]) == (10, 14, 14)
        pixels = np.frombuffer(base64.b64decode(images["frames"][-1]), np.uint8)
        unpacked = np.stack([pixels >> 4, pixels & 15], 1).reshape(10, 14, 14)
        np.testing.assert_array_equal(unpacked, kept.frames.images[-1])
    assert small.rules["eg"].frames.images is None
    assert [rule["images"] for rule in pack(small)["rules"]] == [None] * 3


@pytest.mark.parametrize(
    ("task", "field"),
    [
        ("sparse", "cumulative_loss"),
        ("correlated", "train_loss"),
        ("digits", "test_accuracy"),
        ("score", "test_loss"),
    ],
)
def test_each_task_has_its_own_measure(small, task, field):
    measured = learning_player.measure(replace(small, task={"name": task}))["field"]
    assert measured == field
    assert field in {f.name for f in fields(RuleFrames)}


# Settings. --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_every_task_can_be_built_from_its_defaults(task):
    built, rules = request_of(task, dict.fromkeys(RULES)).build()
    assert list(rules) == list(RULES)
    assert built.rates["eg"] > 0
    for size in TASKS[task][1]:
        assert getattr(built, size.name) == size.default


def test_the_rates_given_are_the_first_guess_of_the_task():
    assert GIVEN_RATES["score"] == ScoreNetwork().rates


def options_of(request: LearningRequest) -> dict[str, dict[str, object]]:
    return {name: dict(rule.options) for name, rule in request.build()[1].items()}


def test_noise_and_momentum_go_to_the_rules_that_have_them():
    everything = dict.fromkeys(RULES, 0.1)
    noise = {"noise": 0.02, "seed": 3}
    noisy = replace(request_of("r-of-k", everything), noise=0.02, seed=3)
    plain = {name: {} for name in ("gd", "sign-constrained", "adam")}
    assert options_of(noisy) == {**plain, "eg": noise, "eg-adam": noise}
    assert noisy.described()["noise"] == 0.02
    quiet = request_of("score", everything)
    heavy = {name: {"momentum": 0.9} for name in ("gd", "sign-constrained", "eg")}
    assert options_of(quiet) == {**heavy, "adam": {}, "eg-adam": {}}
    assert "noise" not in quiet.described()
    sparse = replace(request_of("sparse", everything), noise=0.02)
    assert options_of(sparse)["eg"] == {"total": 3.0, "noise": 0.02, "seed": 0}


def test_half_of_the_relevant_inputs_is_the_threshold():
    for relevant, threshold in ((20, 10), (7, 3), (1, 1)):
        assert (
            request_of("r-of-k", {"eg": None}, relevant=relevant).build()[0].threshold == threshold
        )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (request_of("r-of-k", {"eg": None}, relevant=3000), "relevant must be at most inputs"),
        (request_of("sparse", {"eg": None}, relevant=501), "relevant must be at most inputs"),
        (request_of("r-of-k", {}), "choose at least one"),
        (request_of("r-of-k", {"eg": -1.0}), "learning_rate must be positive"),
    ],
)
def test_mistakes_are_explained(asked, message):
    with pytest.raises(ValueError, match=message):
        Training(asked)


# A training in slices. --------------------------------------------------------------------------


def test_slices_give_the_same_run_as_one_call(small):
    training = Training(SMALL)
    lengths = []
    while not training.done:
        assert 0 <= training.progress <= 1
        assert training.status
        training.advance(0)
        lengths.append(len(training.record) if training.record else 0)
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 5
    assert training.beat == len(lengths)
    assert_same(training.record, small)


def test_threads_of_a_session_take_turns(small):
    """A click during a slice starts a second thread before the first has ended."""
    training = Training(SMALL)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(15):
            for slice_ in [pool.submit(training.advance, 0.002) for _ in range(4)]:
                slice_.result()
    training.advance(math.inf)
    assert_same(training.record, small)


def test_a_stopped_training_keeps_its_frames():
    training = Training(GIVEN)
    for _ in range(5):
        training.advance(0)
    training.stop()
    assert training.done
    assert training.record.stopped
    assert len(training.record) == 5
    assert end_of(training.record.rules["eg"]).pruned.shape == (len(SHARES),)


@pytest.mark.parametrize("asked", [SMALL, GIVEN], ids=["in its search", "at its first frame"])
def test_a_training_stopped_too_early_leaves_nothing(asked):
    training = Training(asked)
    training.advance(0)
    training.stop()
    assert training.done
    assert training.record is None


def test_a_training_that_diverges_says_so():
    training = Training(request_of("sparse", {"gd": 10.0}, inputs=50, trials=300))
    with pytest.raises(ValueError, match="gd diverged"):
        training.advance(math.inf)


# Figures. ---------------------------------------------------------------------------------------


def test_figures_hold_their_numbers(small):
    eg = small.rules["eg"]
    diagonal, *rules = quantiles(small).data
    assert list(diagonal.x) == list(diagonal.y)
    assert [trace.name for trace in rules] == [NAMES[name] for name in small.rules]
    mean, std = eg.frames.fits[-1, 1, :2]
    np.testing.assert_allclose(rules[2].y, (eg.end.quantiles[1] - mean) / std, rtol=1e-5)
    curve = pruning(small, 0.9).data[2]
    np.testing.assert_allclose(curve.y, eg.end.pruned, rtol=1e-6)
    (search,) = trials(small).data
    assert search.name == NAMES["sign-constrained"], "the others' rates were given"
    np.testing.assert_allclose(search.x, small.rules["sign-constrained"].trials[:, 0], rtol=1e-6)
    assert list(search.marker.symbol).count("circle-open-dot") == 1


def test_a_trial_that_diverged_has_no_place_in_the_figure(small):
    rows = np.array([[0.1, 1.0, np.nan], [0.2, 0.5, np.nan], [0.4, np.inf, np.nan]])
    rules = {"gd": replace(small.rules["gd"], learning_rate=0.2, trials=rows)}
    (search,) = trials(replace(small, rules=rules)).data
    np.testing.assert_allclose(search.y, [1.0, 0.5])


def test_the_page_can_be_imported_without_pytorch():
    """So that the page opens without waiting for it."""
    code = "import dale_demo.ui.dales_law.page, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
