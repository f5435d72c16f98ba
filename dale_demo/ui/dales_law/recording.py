"""Make a record of an experiment: gather its snapshots, and measure once what it ended with."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any

import numpy as np
from torch import Tensor

from dale_demo.plasticity import Experiment, Rule, RuleState, Snapshot, Trial, statistics
from dale_demo.plasticity.observation import BIN_EDGES
from dale_demo.ui.dales_law.record import (
    DISTRIBUTIONS,
    GREYS,
    POTENTIALS,
    SHARES,
    Array,
    LearningRecord,
    RuleEnd,
    RuleFrames,
    RuleRecord,
)

Trials = Mapping[str, Sequence[Trial]]


def record(
    task: Mapping[str, Any],
    experiment: Experiment,
    snapshots: Sequence[Snapshot],
    trials: Trials,
    seconds: float | None = None,
) -> LearningRecord:
    """Gather the snapshots so far, at least one, into a record.

    Args:
        task: See `LearningRecord`.
        experiment: Its labels are the names of the rules.
        snapshots: Its snapshots.
        trials: Of the searches, by label.
        seconds: How long it took.
    """
    rules = {
        name: _gather(rule, [s.states[name] for s in snapshots], trials.get(name, ()))
        for name, rule in experiment.rules.items()
    }
    followed = next(iter(rules.values())).frames.paths.shape[1]
    relevant = experiment.problem.relevant
    return LearningRecord(
        task,
        experiment.steps,
        np.array([s.step for s in snapshots]),
        np.array([s.epoch for s in snapshots]),
        BIN_EDGES,
        0 if relevant is None else min(int(relevant.sum()), followed // 2),
        rules,
        seconds,
    )


def finish(made: LearningRecord, experiment: Experiment) -> LearningRecord:
    """Add what is measured once, on the networks as they are now."""
    pruned = experiment.pruning(SHARES)
    start = experiment.start()
    ends = {name: _end(start, experiment.weights(name), pruned[name]) for name in made.rules}
    return replace(made, rules={n: replace(r, end=ends[n]) for n, r in made.rules.items()})


def _gather(rule: Rule, states: Sequence[RuleState], trials: Iterable[Trial]) -> RuleRecord:
    special = {"fits": _fit_numbers, "dual_change": _dual_numbers}
    columns = {
        field.name: special.get(field.name, attrgetter(field.name))
        for field in fields(RuleFrames)
        if field.name != "images"
    }
    images = [state.images for state in states if state.images is not None]
    table = sorted((t.learning_rate, t.loss, _number(t.accuracy)) for t in trials)
    return RuleRecord(
        rule.learning_rate or math.nan,
        np.array(table, np.float64).reshape(-1, 3),
        RuleFrames(
            **{name: _stack(map(read, states)) for name, read in columns.items()},
            images=np.stack(images) // (256 // GREYS) if images else None,
        ),
    )


def _stack(values: Iterable[Any]) -> Array:
    """Stack into one array; floats in single precision, as they are only plotted and printed."""
    array = np.array([_number(value) for value in values])
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _number(value: Any) -> Any:
    return math.nan if value is None else value


def _fit_numbers(state: RuleState) -> list[list[float]]:
    fits = [state.fits.get(name) for name in DISTRIBUTIONS]  # type: ignore[call-overload]
    return [[f.mean, f.std, f.ks, f.anderson_distance] if f else [math.nan] * 4 for f in fits]


def _dual_numbers(state: RuleState) -> list[float]:
    fits = [state.dual_change.get(name) for name in POTENTIALS]  # type: ignore[call-overload]
    return [fit.ks if fit else math.nan for fit in fits]


def _end(start: Tensor, weights: Tensor, pruned: Sequence[float]) -> RuleEnd:
    def measured(what: Callable[[Tensor], Any], w: Tensor) -> Any:
        try:
            return what(w[w != 0])
        except ValueError:  # nothing can be fitted to equal weights
            return None

    ratio = measured(statistics.likelihood_ratio, weights)
    plot = measured(lambda w: statistics.quantile_plot(w, "log-normal"), weights)
    return RuleEnd(
        np.array([ratio.per_weight, ratio.z] if ratio else [math.nan] * 2),
        np.array([_number(measured(statistics.log_skew, w)) for w in (start, weights)]),
        np.array([plot.theory, plot.sample] if plot else [[], []]),
        np.array(pruned),
    )
