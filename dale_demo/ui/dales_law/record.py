"""A run of learning rules as arrays: what is stored, sent to the browser and plotted.

Reading and drawing a record needs no PyTorch, so the page opens without importing it. This is why
the names of distributions and potentials are repeated here: the package `dale_demo.plasticity`
imports PyTorch.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from os import PathLike
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

NAMES = {
    "gd": "gradient descent",
    "sign-constrained": "sign-constrained descent",
    "eg": "exponentiated gradient",
    "adam": "Adam",
    "eg-adam": "EG-Adam",
}
DISTRIBUTIONS = ("normal", "log-normal")
POTENTIALS = ("2-norm", "3-norm", "entropy")
SHARES = (0.0, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
"""Shares of all weights that are pruned, denser where the curves fall."""
GREYS = 16
"""Levels of grey in stored images: enough for the eye, and half the bytes."""

Array = NDArray[Any]


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
        images: What the network draws, uint8 below `GREYS` [F, I, H, W]; None where nothing.
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
    images: Array | None = None


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

    def thinned(self, step: int) -> "LearningRecord":
        """Keep every `step`-th frame, from the first."""
        kept = slice(None, None, step)

        def thin(frames: RuleFrames) -> RuleFrames:
            arrays = {f.name: getattr(frames, f.name) for f in fields(frames)}
            return replace(frames, **{k: v[kept] for k, v in arrays.items() if v is not None})

        rules = {name: replace(r, frames=thin(r.frames)) for name, r in self.rules.items()}
        return replace(self, steps=self.steps[kept], epochs=self.epochs[kept], rules=rules)

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
            arrays |= {f"{name}/{key}": v for key, v in parts.items() if v is not None}
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
        keys = {f.name: f"{name}/{f.name}" for f in fields(kind)}
        return {field: arrays[key] for field, key in keys.items() if key in arrays}

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
