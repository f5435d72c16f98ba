"""Experiments: equal conditions for all rules, reproducibility, exact reports, known results."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from dale_demo.plasticity import (
    CorrelatedRegression,
    Digits,
    Experiment,
    OnlineRegression,
    RelevantInputs,
    Rule,
    ScoreNetwork,
)
from dale_demo.plasticity.learner import DivergedError
from dale_demo.plasticity.observation import BIN_EDGES
from dale_demo.plasticity.search import search

SMALL = RelevantInputs(inputs=60, relevant=4, threshold=2, examples=200, epochs=3, batch_size=50)
EG, GD = Rule("eg", 0.5), Rule("gd", 0.1)


@pytest.fixture(scope="module")
def run():
    experiment = Experiment(SMALL, {"EG": EG, "GD": GD}, seed=3)
    return experiment, list(experiment.snapshots(4))


def test_snapshots_are_spread_over_the_run(run):
    experiment, snapshots = run
    assert [s.step for s in snapshots] == [0, 4, 8, 12]
    assert [s.epoch for s in snapshots] == [0, 1, 2, 3]
    assert experiment.steps == 12


def test_every_rule_starts_from_the_same_weights(run):
    experiment, snapshots = run
    first = snapshots[0].states
    np.testing.assert_array_equal(first["EG"].paths, first["GD"].paths)
    assert first["EG"].test_loss == first["GD"].test_loss
    assert_close(experiment.start(), torch.full((60,), 2 * 2 / 60))


def test_a_rule_is_the_same_alone_as_beside_others(run):
    _, snapshots = run
    *_, last = Experiment(SMALL, {"alone": EG}, seed=3).snapshots(2)
    np.testing.assert_array_equal(last.states["alone"].paths, snapshots[-1].states["EG"].paths)
    assert last.states["alone"].cumulative_loss == snapshots[-1].states["EG"].cumulative_loss
    *_, other = Experiment(SMALL, {"alone": EG}, seed=4).snapshots(2)
    assert not np.array_equal(other.states["alone"].paths, last.states["alone"].paths)


def test_a_state_reports_the_weights(run):
    experiment, snapshots = run
    for label, state in snapshots[-1].states.items():
        w = experiment.weights(label).double()
        assert state.counts.sum() == 60
        assert state.counts[1].sum() == (w < 0).sum()
        assert state.flipped == pytest.approx((w < 0).double().mean().item())
        fullest = state.counts[0].argmax()
        inside = (w > BIN_EDGES[fullest]) & (w < BIN_EDGES[fullest + 1])
        assert state.counts[0, fullest] == inside.sum() > 0
        relevant = experiment.problem.relevant
        assert state.relevant_share == pytest.approx(
            (w[relevant].abs().sum() / w.abs().sum()).item()
        )
        assert state.fits["log-normal"].mean == pytest.approx(w.abs().log().mean().item())
        change = state.dual_change["entropy"].std
        start = experiment.start().double()
        dual = w.sign() * (w.abs().log() + 1) - (start.log() + 1)
        assert change == pytest.approx(dual.std(correction=0).item(), rel=1e-6)
        assert set(state.paths).issubset(set(w.tolist()))


def test_flips_are_counted_for_gradient_descent_and_absent_for_eg():
    rules = {"EG": Rule("eg", 5.0), "GD": Rule("gd", 1.0), "held": Rule("sign-constrained", 1.0)}
    flips = {label: [] for label in rules}
    for snapshot in Experiment(SMALL, rules).snapshots(13):
        for label, state in snapshot.states.items():
            flips[label].append(state.flips)
    assert flips["EG"] == flips["held"] == [0] * 13
    assert flips["GD"][-1] > 20
    assert flips["GD"] == sorted(flips["GD"])


def test_gradient_descent_is_that_of_pytorch():
    """One epoch in one batch: a single plain gradient step, by hand."""
    task = RelevantInputs(inputs=30, relevant=3, threshold=1, examples=40, epochs=1, batch_size=40)
    experiment = Experiment(task, {"GD": Rule("gd", 0.2)})
    list(experiment.snapshots(2))
    train, w = experiment.problem.train, experiment.start()
    x = train.inputs.float()
    gradient = x.T @ (torch.sigmoid(x @ w - 1) - train.targets) / 40
    assert_close(experiment.weights("GD"), w - 0.2 * gradient)


def test_a_search_ends_with_its_best_inside_and_keeps_its_table():
    experiment = Experiment(SMALL, {"EG": Rule("eg"), "GD": GD})
    trials = experiment.trials["EG"]
    rates = sorted(trial.learning_rate for trial in trials)
    chosen = experiment.rules["EG"].learning_rate
    assert 2 <= rates.index(chosen) <= len(rates) - 3
    assert max(trial.accuracy for trial in trials) == next(
        trial.accuracy for trial in trials if trial.learning_rate == chosen
    )
    assert "GD" not in experiment.trials
    assert experiment.rules["GD"] == GD


def test_a_search_never_looks_at_the_test_examples(monkeypatch):
    from dale_demo.plasticity import search as module

    seen, evaluate = [], module.evaluate
    monkeypatch.setattr(
        module,
        "evaluate",
        lambda m, p, examples: seen.append(examples) or evaluate(m, p, examples),
    )
    experiment = Experiment(SMALL, {"EG": Rule("eg")})
    assert seen
    assert all(examples is experiment.problem.validation for examples in seen)


def test_a_search_steps_over_rates_that_diverge():
    experiment = Experiment(OnlineRegression(inputs=20, relevant=2, trials=60), {"GD": Rule("gd")})
    losses = [trial.loss for trial in experiment.trials["GD"]]
    assert experiment.rules["GD"].learning_rate < 0.1
    assert math.isfinite(min(losses))


def test_a_search_pauses_within_a_trial(monkeypatch):
    monkeypatch.setattr("dale_demo.plasticity.search.PAUSE_STEPS", 3)
    task = RelevantInputs(inputs=20, relevant=4, threshold=2, examples=100, epochs=4)
    drawn = list(search(task, Rule("eg"), task.build(0), 0))
    assert drawn[0] is None
    trials = tuple(trial for trial in drawn if trial)
    assert trials == Experiment(task, {"EG": Rule("eg")}).trials["EG"]
    assert len(drawn) == 2 * len(trials)


def test_divergence_names_the_rule_and_the_remedy():
    experiment = Experiment(OnlineRegression(inputs=50, trials=300), {"plain": Rule("gd", 10.0)})
    with pytest.raises(DivergedError, match=r"plain diverged .* rate 10; lower it"):
        list(experiment.snapshots(2))


def test_pruning_goes_from_the_network_to_chance():
    task = Digits(hidden=20, epochs=1)
    experiment = Experiment(task, {"EG": Rule("eg", 1.0)})
    *_, last = experiment.snapshots(2)
    whole, almost_none = experiment.pruning((0.0, 0.999))["EG"]
    assert whole == last.states["EG"].test_accuracy
    assert almost_none < whole
    assert (experiment.weights("EG") != 0).all()


# The results, small. ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_eg_finds_the_relevant_inputs_and_gradient_descent_does_not(seed):
    """10 of 20 among 2,000; the bounds are a few times the spread over seeds."""
    rules = {"EG": Rule("eg", 1.0), "GD": Rule("gd", 0.01)}
    *_, last = Experiment(RelevantInputs(), rules, seed=seed).snapshots(2)
    eg, gd = last.states["EG"], last.states["GD"]
    assert eg.test_accuracy > 0.98
    assert 0.72 < gd.test_accuracy < 0.79
    assert eg.relevant_share > 0.95
    assert 0.09 < gd.relevant_share < 0.14
    assert (eg.flipped, eg.flips) == (0, 0)
    assert 0.28 < gd.flipped < 0.37


def test_sparse_targets_favour_eg_and_dense_ones_gradient_descent():
    losses = {}
    for relevant, rate in ((2, 0.2), (60, 0.006)):
        task = OnlineRegression(inputs=60, relevant=relevant, trials=400)
        rules = {
            "EG": Rule("eg", rate, {"total": float(relevant)}),
            "GD": Rule("gd", 1 / (4 * 60)),
        }
        *_, last = Experiment(task, rules).snapshots(2)
        losses[relevant] = {label: s.cumulative_loss for label, s in last.states.items()}
    assert losses[2]["EG"] < 0.7 * losses[2]["GD"]
    assert losses[60]["GD"] < 0.9 * losses[60]["EG"]


def test_the_dual_change_identifies_the_rule():
    task = CorrelatedRegression(inputs=2000, examples=40, epochs=150)
    rules = {"EG": Rule("eg", 0.15), "GD": Rule("gd", 0.004)}
    *_, last = Experiment(task, rules).snapshots(2)
    for label, own, other in (("EG", "entropy", "2-norm"), ("GD", "2-norm", "entropy")):
        change = last.states[label].dual_change
        assert last.states[label].train_loss < 0.01
        assert change[own].ks < 0.03 < 0.06 < change[other].ks


# Mistakes. --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    build: object
    message: str


@pytest.mark.parametrize(
    "mistake",
    [
        Mistake(lambda: RelevantInputs(inputs=10, relevant=11), r"relevant must be at most inputs"),
        Mistake(lambda: RelevantInputs(relevant=5, threshold=6), "threshold must be at most"),
        Mistake(lambda: RelevantInputs(inputs=0), "inputs must be"),
        Mistake(lambda: RelevantInputs(epochs=0), "epochs must be"),
        Mistake(lambda: OnlineRegression(inputs=3, relevant=4), "relevant must be at most"),
        Mistake(lambda: CorrelatedRegression(correlation=1.0), "correlation must be"),
        Mistake(lambda: CorrelatedRegression(start="uniform"), "start must be"),
        Mistake(lambda: Digits(hidden=0), "hidden must be"),
        Mistake(lambda: ScoreNetwork(epochs=0), "epochs must be"),
        Mistake(lambda: ScoreNetwork(signs="rows").build(0), "signs must be"),
        Mistake(lambda: Digits(data="no-such-set").build(0), "Unknown data set"),
        Mistake(lambda: Rule("hebb"), "Unknown rule"),
        Mistake(lambda: Rule("eg", 0.0), "learning_rate must be"),
        Mistake(lambda: Experiment(SMALL, {}), "at least one rule"),
        Mistake(lambda: Experiment(SMALL, {"EG": EG}, seed=-1), "seed must be"),
        Mistake(lambda: next(Experiment(SMALL, {"EG": EG}).snapshots(1)), "at least two"),
    ],
    ids=lambda mistake: mistake.message,
)
def test_mistakes_are_explained(mistake):
    with pytest.raises(ValueError, match=mistake.message):
        mistake.build()


def test_an_experiment_runs_once(run):
    with pytest.raises(ValueError, match="has run"):
        next(run[0].snapshots())


def test_pruning_everything_is_refused(run):
    with pytest.raises(ValueError, match=r"in \[0, 1\)"):
        run[0].pruning((1.0,))
