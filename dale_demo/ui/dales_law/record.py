"""A run of learning rules as arrays: what is stored, sent to the browser and plotted.

Reading and drawing a record needs no PyTorch, so the page opens without importing it; making one
does. This is why the names of distributions and potentials are repeated here: the package
`dale_demo.plasticity` imports PyTorch.
"""

import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from operator import attrgetter
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from dale_demo.plasticity import Experiment, Rule, RuleState, Snapshot, Trial

NAMES = {
    "gd": "gradient descent",
    "sign-constrained": "sign-constrained descent",
    "eg": "exponentiated gradient",
}
DISTRIBUTIONS = ("normal", "log-normal")
POTENTIALS = ("2-norm", "3-norm", "entropy")
SHARES = (0.0, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
"""Shares of all weights that are pruned, denser where the curves fall."""

Array = NDArray[Any]
Trials = Mapping[str, Sequence["Trial"]]


@dataclass(frozen=True)
class RuleFrames:
    """What a rule has made of the weights, at F moments; see `RuleState` for each number.

    Args:
        train_loss, test_loss, test_accuracy, cumulative_loss, relevant_share: [F], NaN where the
            task has no such thing.
        flips, flipped: [F].
        counts: Histogram of |w| between the edges of the record; positive, negative [F, 2, K].
        fits: Mean, standard deviation, KS and A²/n by `DISTRIBUTIONS` [F, 2, 4], NaN where none.
        dual_change: KS distance of the change of ∇φ(w) to a normal one, by `POTENTIALS` [F, 3].
        paths: The followed weights [F, P].
    """

    train_loss: Array
    test_loss: Array
    test_accuracy: Array
    cumulative_loss: Array
    relevant_share: Array
    flips: Array
    flipped: Array
    counts: Array
    fits: Array
    dual_change: Array
    paths: Array


@dataclass(frozen=True)
class RuleEnd:
    """What is measured once, on the weights that a rule ended with; NaN where it has no meaning.

    Args:
        likelihood: Log-likelihood ratio of log-normal against normal, nats a weight, and its z [2].
        log_skew: Skewness of ln|w| at the start and at the end [2].
        quantiles: Of the fitted log-normal distribution and of the weights, of ln|w| [2, Q].
        pruned: Test accuracy (or minus the loss) with each of `SHARES` pruned.
    """

    likelihood: Array
    log_skew: Array
    quantiles: Array
    pruned: Array


@dataclass(frozen=True)
class RuleRecord:
    """One rule's side of a run.

    Args:
        learning_rate: η.
        trials: Rate, validation loss and accuracy of each trial of the search [T, 3], in order of
            the rate; T = 0 where the rate was given.
        frames, end: Its numbers; no end while the run goes.
    """

    learning_rate: float
    trials: Array
    frames: RuleFrames
    end: RuleEnd | None = None

    @property
    def searched(self) -> bool:
        return len(self.trials) > 0


@dataclass(frozen=True)
class LearningRecord:
    """Rules side by side, from the start to where the run ended or is now.

    Args:
        task: What was learned and how, in plain values, as the page's settings name them.
        planned: Updates of the whole run.
        steps, epochs: Of each frame [F].
        edges: Of the histograms' bins [K + 1].
        relevant_paths: How many of the followed weights are on relevant inputs; these come first.
        rules: By name of the rule.
        seconds: How long it took, the search included; None for a stored run.
    """

    task: Mapping[str, Any]
    planned: int
    steps: Array
    epochs: Array
    edges: Array
    relevant_paths: int
    rules: Mapping[str, RuleRecord]
    seconds: float | None = None

    def __len__(self) -> int:
        """Frames."""
        return len(self.steps)

    @property
    def stopped(self) -> bool:
        """Whether it ended before its last step."""
        return int(self.steps[-1]) < self.planned

    def save(self, file: str | PathLike[str] | BinaryIO) -> None:
        """Write an .npz without pickled objects; `seconds` are not kept."""
        about = {
            "task": dict(self.task),
            "planned": self.planned,
            "relevant_paths": self.relevant_paths,
            "rules": list(self.rules),
        }
        arrays = {"steps": self.steps, "epochs": self.epochs, "edges": self.edges}
        for name, rule in self.rules.items():
            rate = {"learning_rate": np.float64(rule.learning_rate), "trials": rule.trials}
            parts = asdict(rule.frames) | ({} if rule.end is None else asdict(rule.end)) | rate
            arrays |= {f"{name}/{key}": value for key, value in parts.items()}
        arrays["about"] = np.array(json.dumps(about))
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    def npz_bytes(self) -> bytes:
        """The file as bytes."""
        buffer = io.BytesIO()
        self.save(buffer)
        return buffer.getvalue()


def load_record(file: str | PathLike[str] | BinaryIO) -> LearningRecord:
    """Read what `save` wrote."""
    with np.load(file) as stored:
        arrays = dict(stored)
    about = json.loads(str(arrays.pop("about")))
    names = about.pop("rules")
    shared = {key: arrays[key] for key in ("steps", "epochs", "edges")}
    return LearningRecord(**about, **shared, rules={name: _rule(name, arrays) for name in names})


def _rule(name: str, arrays: Mapping[str, Array]) -> RuleRecord:
    def part(kind: type) -> dict[str, Array]:
        return {f.name: arrays[f"{name}/{f.name}"] for f in fields(kind)}

    return RuleRecord(
        float(arrays[f"{name}/learning_rate"]),
        arrays[f"{name}/trials"],
        RuleFrames(**part(RuleFrames)),
        RuleEnd(**part(RuleEnd)) if f"{name}/pruned" in arrays else None,
    )


def end_of(rule: RuleRecord) -> RuleEnd:
    """Return what was measured at the end.

    Raises:
        ValueError: The training is still going.
    """
    if rule.end is None:
        raise ValueError("The training has not ended; stop it first.")
    return rule.end


# Made from an experiment. ---------------------------------------------------------------------


def record(
    task: Mapping[str, Any],
    experiment: "Experiment",
    snapshots: Sequence["Snapshot"],
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
    from dale_demo.plasticity.observation import BIN_EDGES

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


def finish(made: LearningRecord, experiment: "Experiment") -> LearningRecord:
    """Add what is measured once, on the networks as they are now."""
    pruned = experiment.pruning(SHARES)
    start = experiment.start()
    ends = {name: _end(start, experiment.weights(name), pruned[name]) for name in made.rules}
    return replace(made, rules={n: replace(r, end=ends[n]) for n, r in made.rules.items()})


def _gather(rule: "Rule", states: Sequence["RuleState"], trials: Iterable["Trial"]) -> RuleRecord:
    special = {"fits": _fit_numbers, "dual_change": _dual_numbers}
    columns = {
        field.name: special.get(field.name, attrgetter(field.name)) for field in fields(RuleFrames)
    }
    table = sorted((t.learning_rate, t.loss, _number(t.accuracy)) for t in trials)
    return RuleRecord(
        rule.learning_rate or math.nan,
        np.array(table, np.float64).reshape(-1, 3),
        RuleFrames(**{name: _stack(map(read, states)) for name, read in columns.items()}),
    )


def _stack(values: Iterable[Any]) -> Array:
    """Stack into one array; floats in single precision, as they are only plotted and printed."""
    array = np.array([_number(value) for value in values])
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _number(value: Any) -> Any:
    return math.nan if value is None else value


def _fit_numbers(state: "RuleState") -> list[list[float]]:
    fits = [state.fits.get(name) for name in DISTRIBUTIONS]  # type: ignore[call-overload]
    return [[f.mean, f.std, f.ks, f.anderson_distance] if f else [math.nan] * 4 for f in fits]


def _dual_numbers(state: "RuleState") -> list[float]:
    fits = [state.dual_change.get(name) for name in POTENTIALS]  # type: ignore[call-overload]
    return [fit.ks if fit else math.nan for fit in fits]


def _end(start: "Tensor", weights: "Tensor", pruned: Sequence[float]) -> RuleEnd:
    from dale_demo.plasticity import statistics

    def measured(what: Callable[["Tensor"], Any], w: "Tensor") -> Any:
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
