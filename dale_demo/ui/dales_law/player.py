"""The training player: rules side by side over training time, scrubbed in the browser.

One JSON object is sent, with the histograms cut to the bins that are used; all drawing is in
player.js, on top of film.js. During a run, the browser asks for more once it has drawn what it has
and the page's script has ended. So nothing is sent faster than it can be shown, no script is
interrupted, and closing the tab ends the run.
"""

import base64
import math
from typing import Any

import numpy as np
import streamlit as st

from dale_demo.drawing import palette
from dale_demo.ui.dales_law.record import DISTRIBUTIONS, NAMES, Array, LearningRecord, RuleRecord
from dale_demo.ui.dales_law.tasks import ONLINE, SCORE
from dale_demo.ui.shared.assets import asset
from dale_demo.weights.reference import SONG_LOG_STD

COLOURS = {
    "above": palette.EXCITATORY,
    "below": palette.INHIBITORY,
    "theory": palette.THEORY,
}
LEAST_PATH = 1e-12
"""Magnitude at which smaller weights are drawn: ln 0 has no place on a log axis."""

_component = st.components.v2.component(
    "dale_learning_player",
    html='<section class="player" tabindex="0" aria-label="Training player"></section>\n',
    css=asset("shared/film.css", "dales_law/player.css"),
    js=asset("shared/film.js", "dales_law/player.js"),
)


def learning_player(record: LearningRecord, *, key: str, run: str, beat: int | None = None) -> None:
    """Draw the player; a rerun with the same run leaves its position as it is.

    Args:
        record: What to play.
        key: Of the component on its page.
        run: Identity of the run; frames that are added to it do not start it anew.
        beat: A number that grows during a run; for each the browser asks for a rerun once. None if
            there is nothing to wait for.
    """
    _component(data={"run": run, "beat": beat, **pack(record)}, key=key, on_more_change=_nothing)


def _nothing() -> None:
    """Do nothing: the rerun itself is what the browser asks for."""


def pack(record: LearningRecord) -> dict[str, Any]:
    """Convert a record to what player.js reads; NaN becomes None."""
    first, last = _used_bins(record)
    return {
        "steps": record.steps.tolist(),
        "epochs": record.epochs.round(3).tolist(),
        "planned": record.planned,
        "relevant": record.relevant_paths,
        "bins": [math.log(record.edges[first]), math.log(record.edges[last])],
        "measure": measure(record),
        "songStd": SONG_LOG_STD,
        "colours": COLOURS,
        "rules": [
            _pack_rule(name, rule, record, slice(first, last))
            for name, rule in record.rules.items()
        ],
    }


def measure(record: LearningRecord) -> dict[str, Any]:
    """Return the measure that rules are compared by: field, label and kind of axis."""
    name = record.task["name"]
    if name in ONLINE:
        return {"field": "cumulative_loss", "label": "loss so far, summed", "kind": "sum"}
    if name == SCORE:
        return {"field": "test_loss", "label": "held-out loss", "kind": "held out"}
    if name == "correlated":
        return {"field": "train_loss", "label": "training loss", "kind": "log"}
    return {"field": "test_accuracy", "label": "test accuracy", "kind": "share"}


def _used_bins(record: LearningRecord) -> tuple[int, int]:
    """Find the bins that any rule uses at any time, with one empty bin at each end."""
    used = np.zeros(len(record.edges) - 1, bool)
    for rule in record.rules.values():
        used |= rule.frames.counts.any((0, 1))
    where = np.flatnonzero(used)
    return max(0, int(where[0]) - 1), min(len(used), int(where[-1]) + 2)


def _pack_rule(name: str, rule: RuleRecord, record: LearningRecord, bins: slice) -> dict[str, Any]:
    frames = rule.frames
    paths = frames.paths.T
    return {
        "name": NAMES[name],
        "colour": palette.RULES[name],
        "rate": rule.learning_rate,
        "searched": rule.searched,
        "counts": frames.counts[:, :, bins].tolist(),
        "fits": {d: _plain(frames.fits[:, i, :2]) for i, d in enumerate(DISTRIBUTIONS)},
        "measure": _plain(getattr(frames, measure(record)["field"])),
        "share": _plain(frames.relevant_share),
        "flips": frames.flips.tolist(),
        "flipped": _plain(frames.flipped),
        "paths": np.log(np.abs(paths).clip(LEAST_PATH)).round(3).tolist(),
        "signs": np.where(np.signbit(paths), -1, 1).tolist(),
        "images": None if frames.images is None else _pack_images(frames.images),
    }


def _pack_images(images: Array) -> dict[str, Any]:
    """Pack images below `GREYS` [F, I, H, W], two pixels a byte, one base64 string for a frame."""
    _, count, height, width = images.shape
    pairs = images.reshape(len(images), -1, 2)
    packed = pairs[..., 0] << 4 | pairs[..., 1]
    frames = [base64.b64encode(frame.tobytes()).decode() for frame in packed]
    return {"count": count, "height": height, "width": width, "frames": frames}


def _plain(values: Array) -> list[Any]:
    """Convert to nested lists of five significant digits, NaN as None."""
    if values.ndim > 1:
        return [_plain(row) for row in values]
    return [float(f"{v:.5g}") if math.isfinite(v) else None for v in values.tolist()]
