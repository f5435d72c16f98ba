"""The particle player: two samplers side by side in the plane, scrubbed in the browser.

One blob of bytes is sent: a header, and the positions as int16. All drawing is in player.js, on top
of film.js; the browser computes density and score from the kernels' positions, in density.js.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.drawing import palette
from dale_demo.process import GeometricBrownianMotion
from dale_demo.score import Score
from dale_demo.toy import SIDE, Paths, ToyData, score_field
from dale_demo.ui.shared.assets import asset, blob

REACH = 14.0
"""Largest |ln x| that is sent: x from a millionth to a million."""
LEVELS = 32766
"""Steps of ln|x| between −REACH and REACH.

They and the sign fill an int16, and a position is exact to 0.05 %, a tenth of a pixel: half the
bytes of float32, and the sign, which is what the page is about, is never rounded away.
"""
LINEAR_WINDOW = -0.75 * SIDE, 1.2 * SIDE
ARROWS = 17
"""Arrows of a score field along one side."""
SIDES = "left", "right"
COLOURS = {
    "state": palette.STATE,
    "below": palette.INHIBITORY,
    "theory": palette.THEORY,
    "score": palette.ESTIMATE,
}


@dataclass(frozen=True)
class ParticleRuns:
    """Particles under two samplers, from one start and with one noise level and time grid.

    Args:
        samplers: Their names, left and right.
        paths: Their runs.
        data: The distribution that they should reach.
        shown: Samples of it to draw [M, 2].
        sigma: σ, which with T = 1 is s(T).
        right_score: Score of the right panel's field, if it is not the exact one.
    """

    samplers: tuple[str, str]
    paths: tuple[Paths, Paths]
    data: ToyData
    shown: NDArray[np.float64]
    sigma: float
    right_score: Score | None = None


_component = st.components.v2.component(
    "dale_particle_player",
    html='<section class="player" tabindex="0" aria-label="Particle player"'
    f' style="--below: {palette.INHIBITORY}"></section>\n',
    css=asset("shared/film.css", "playground/player.css"),
    js=asset("shared/film.js", "playground/density.js", "playground/player.js"),
)


def particle_player(runs: ParticleRuns, *, key: str) -> None:
    """Draw the player; a rerun with the same runs leaves it unchanged."""
    _component(data=pack(runs), key=key)


def pack(runs: ParticleRuns) -> bytes:
    """Encode both runs as the blob that player.js reads."""
    parts = [quantise(paths.x).tobytes() for paths in runs.paths]
    first, windows = runs.paths[0], {"linear": LINEAR_WINDOW, "log": _log_window(runs)}
    learned = (
        _field(runs.right_score, runs, windows) if runs.right_score else np.empty(0, np.float32)
    )
    parts.append(learned.tobytes())
    header: dict[str, Any] = {
        "samplers": [
            {"name": name, "side": side} for name, side in zip(runs.samplers, SIDES, strict=True)
        ],
        "steps": first.steps.tolist(),
        "times": first.times.tolist(),
        "count": first.x.shape[1],
        "first": [first_crossing(paths).tolist() for paths in runs.paths],
        "sigma": runs.sigma,
        "reach": REACH,
        "windows": windows,
        "arrows": ARROWS,
        "learned": learned.size,
        "means": _rounded(runs.data.log_means.numpy()),
        "spread": runs.data.log_std,
        "data": _rounded(runs.shown),
        "colours": COLOURS,
    }
    identity = hashlib.sha256(repr(header).encode() + b"".join(parts)).hexdigest()
    return blob(header | {"id": identity}, *parts)


def _field(
    score: Score, runs: ParticleRuns, windows: dict[str, tuple[float, float]]
) -> NDArray[np.float32]:
    """Evaluate a score at the middle of every cell of both windows, frame by frame.

    Returns:
        h [2 windows, F, ARROWS² cells row by row from the bottom, 2].
    """
    process = GeometricBrownianMotion.median_preserving(runs.sigma)
    times = runs.paths[0].times
    points = (cell_middles(0, windows["linear"][1]), np.exp(cell_middles(*windows["log"])))
    return np.stack([score_field(score, process, times, _square(side)) for side in points])


def cell_middles(low: float, high: float) -> NDArray[np.float64]:
    """Middles of the cells along one side, as `Plane.cells` of player.js has them [ARROWS]."""
    return low + (np.arange(ARROWS) + 0.5) * (high - low) / ARROWS


def _square(side: NDArray[np.float64]) -> Tensor:
    """All pairs of coordinates [ARROWS², 2], the first running faster."""
    second, first = np.meshgrid(side, side, indexing="ij")
    return torch.from_numpy(np.stack([first.ravel(), second.ravel()], 1))


def quantise(x: NDArray[np.float64]) -> NDArray[np.int16]:
    """Encode x ≠ 0 as int16: its sign, times 1 + the step of ln|x| from −REACH.

    The 1 keeps the code of the smallest |x| from being 0, which has no sign.
    """
    step = (np.log(np.abs(x)).clip(-REACH, REACH) + REACH) / (2 * REACH)
    return (np.sign(x) * (1 + np.rint(step * LEVELS))).astype("<i2")


def first_crossing(paths: Paths) -> NDArray[np.int64]:
    """Find the first frame by which each particle has crossed an axis; F if it never does [B]."""
    crossed = paths.crossings > 0
    return np.where(crossed.any(0), crossed.argmax(0), len(crossed))


def _log_window(runs: ParticleRuns) -> tuple[float, float]:
    """Choose a range of ln x that holds nearly all of the noised data, and so all of the data."""
    first = runs.paths[0]
    low, high = np.quantile(np.log(np.abs(first.x[first.times.argmax()])), [0.01, 0.99])
    return float(low) - 0.3, float(high) + 0.3


def _rounded(pairs: NDArray[np.float64]) -> list[float]:
    return pairs.round(4).ravel().tolist()
