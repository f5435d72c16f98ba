"""Tasks: the problems match their descriptions and are the same for the same seed."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from dale_demo.plasticity import (
    CorrelatedRegression,
    Digits,
    OnlineRegression,
    RelevantInputs,
    ScoreNetwork,
)
from dale_demo.plasticity.pruning import pruned
from dale_demo.plasticity.tasks import relevant_share, weight_parameters

TASKS = [
    RelevantInputs(inputs=50, relevant=5, threshold=3, examples=100),
    OnlineRegression(inputs=30, relevant=2, trials=50),
    CorrelatedRegression(inputs=60, examples=10),
    Digits(hidden=5),
    ScoreNetwork(hidden=5),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_the_same_seed_gives_the_same_problem(task):
    first, again, other = task.build(1), task.build(1), task.build(2)
    assert_close(first.train.inputs, again.train.inputs)
    assert_close(list(first.start.parameters()), list(again.start.parameters()))
    assert not torch.equal(first.train.inputs, other.train.inputs)


def test_relevant_inputs_decide_the_class():
    problem = TASKS[0].build(0)
    assert problem.relevant.sum() == 5
    for examples in (problem.train, problem.validation, problem.test):
        on = examples.inputs[:, problem.relevant].sum(1)
        assert_close(examples.targets, (on >= 3).float())
    outputs = problem.start(problem.test.inputs)
    expected = problem.test.inputs.float().sum(1) * 3 / 25 - 3
    assert_close(outputs, expected)
    assert relevant_share(problem.start, problem.relevant).item() == pytest.approx(5 / 50)


def test_online_targets_are_linear_in_the_relevant_inputs():
    problem = TASKS[1].build(0)
    x, y = problem.train.inputs, problem.train.targets
    assert set(x.unique().tolist()) == {-1, 1}
    u = torch.linalg.lstsq(x, y[:, None]).solution.flatten()
    assert_close(u.abs(), problem.relevant.float(), atol=1e-4, rtol=0)
    parts = problem.start.weight.parts
    assert parts.abs().sum().item() == pytest.approx(2)
    assert problem.losses(problem.start(x), y).mean().item() == pytest.approx(
        y.square().mean().item()
    )


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_inputs_are_correlated_as_asked(rho):
    x = CorrelatedRegression(inputs=4000, examples=30, correlation=rho).build(0).train.inputs
    inner = x[:, 200:]
    assert (inner[:, 1:] * inner[:, :-1]).mean().item() == pytest.approx(rho, abs=0.03)
    assert inner.square().mean().item() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("start", ["log-normal", "normal"])
def test_both_starts_have_one_variance(start):
    w = CorrelatedRegression(inputs=20_000, examples=2, start=start).build(0).start[0].weight
    assert w.square().mean().item() * 20_000 == pytest.approx(1, rel=0.05)


def test_stored_digits():
    problem = Digits(hidden=5).build(0)
    assert [len(e) for e in (problem.train, problem.validation, problem.test)] == [1800, 200, 500]
    everything = torch.cat([e.inputs for e in (problem.train, problem.validation, problem.test)])
    assert len(everything.unique(dim=0)) == 2500
    assert (everything.min(), everything.max()) == (0, 1)
    assert set(problem.test.targets.tolist()) == set(range(10))


def test_digits_take_any_data_set_and_keep_test_apart(monkeypatch):
    from dale_demo.data import Dataset
    from dale_demo.plasticity.tasks import digits

    def load_split(name):
        images = (torch.full((20, 1, 2, 2), fill, dtype=torch.uint8) for fill in (10, 200))
        labels, names = torch.arange(20) % 10, tuple("0123456789")
        train, test = (Dataset(name, part, labels, names) for part in images)
        return train, test

    monkeypatch.setattr(digits, "load_split", load_split)
    problem = Digits(data="mnist", hidden=3).build(0)
    assert [len(e) for e in (problem.train, problem.validation, problem.test)] == [18, 2, 20]
    assert_close(problem.train.inputs, torch.full((18, 4), 10 / 255))
    assert_close(problem.test.inputs, torch.full((20, 4), 200 / 255))


def test_pruning_removes_the_smallest_weights_of_all_layers_and_no_bias():
    model = Digits(hidden=5).build(0).start
    before = torch.cat([p.flatten() for p in weight_parameters(model).values()]).abs()
    smaller = pruned(model, 0.9)
    after = torch.cat([p.flatten() for p in weight_parameters(smaller).values()]).abs()
    kept = after != 0
    assert kept.sum().item() == pytest.approx(0.1 * len(before), abs=1)
    assert before[kept].min() >= before[~kept].max()
    biases = [[p for n, p in m.named_parameters() if "bias" in n] for m in (model, smaller)]
    assert_close(*biases)
    with pytest.raises(ValueError, match=r"in \[0, 1\)"):
        pruned(nn.Linear(2, 2), math.nan)
