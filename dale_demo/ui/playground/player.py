"""The particle player: two samplers side by side in the plane, scrubbed in the browser.

One blob of bytes goes over: a header, and the positions as int16. All drawing is in
particle_player.js, on top of film.js, and so are density and score, from the kernels' places.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dale_demo.drawing import palette
from dale_demo.toy import SIDE, Paths, ToyData
from dale_demo.ui.shared.assets import asset, blob

REACH = 14.0
"""|ln x| that is sent over reaches this far: from a millionth to a million."""
LEVELS = 32766
"""Steps of ln|x| between −REACH and REACH, so that a position is right to 0.05 %."""
LINEAR_WINDOW = -0.75 * SIDE, 1.2 * SIDE
SIDES = "left", "right"
COLOURS = {
    "state": palette.STATE,
    "below": palette.INHIBITORY,
    "theory": palette.THEORY,
    "score": palette.ESTIMATE,
}


@dataclass(frozen=True)
class Flocks:
    """Particles under two samplers, from one start and with one noise level and time grid.

    Args:
        samplers: Their names, left and right.
        paths: Their runs.
        data: The law that they walk to.
        shown: Points to draw of it [M, 2].
        sigma: σ, which with T = 1 is s(T).
    """

    samplers: tuple[str, str]
    paths: tuple[Paths, Paths]
    data: ToyData
    shown: NDArray[np.float64]
    sigma: float


_component = st.components.v2.component(
    "dale_particle_player",
    html='<section class="player" tabindex="0" aria-label="Particle player"'
    f' style="--below: {palette.INHIBITORY}"></section>\n',
    css=asset("shared/film.css", "playground/player.css"),
    js=asset("shared/film.js", "playground/toy_law.js", "playground/player.js"),
)


def particle_player(flocks: Flocks, *, key: str) -> None:
    """Draw the player; a rerun with the same flocks leaves it as it stands."""
    _component(data=pack(flocks), key=key)


def pack(flocks: Flocks) -> bytes:
    """Encode both runs as the blob that particle_player.js reads."""
    positions = [quantise(paths.x).tobytes() for paths in flocks.paths]
    first = flocks.paths[0]
    header: dict[str, Any] = {
        "samplers": [
            {"name": name, "side": side} for name, side in zip(flocks.samplers, SIDES, strict=True)
        ],
        "steps": first.steps.tolist(),
        "times": first.times.tolist(),
        "count": first.x.shape[1],
        "first": [first_crossing(paths).tolist() for paths in flocks.paths],
        "sigma": flocks.sigma,
        "reach": REACH,
        "windows": {"linear": LINEAR_WINDOW, "log": _log_window(flocks)},
        "means": _rounded(flocks.data.log_means.numpy()),
        "spread": flocks.data.log_std,
        "data": _rounded(flocks.shown),
        "colours": COLOURS,
    }
    identity = hashlib.sha256(repr(header).encode() + b"".join(positions)).hexdigest()
    return blob(header | {"id": identity}, *positions)


def quantise(x: NDArray[np.float64]) -> NDArray[np.int16]:
    """Write x ≠ 0 as int16: its sign, and ln|x| from −REACH to REACH in steps from 1."""
    place = (np.log(np.abs(x)).clip(-REACH, REACH) + REACH) / (2 * REACH)
    return (np.sign(x) * (1 + np.rint(place * LEVELS))).astype("<i2")


def first_crossing(paths: Paths) -> NDArray[np.int64]:
    """The first frame by which each particle has crossed an axis, or their number if none [B]."""
    crossed = paths.crossings > 0
    return np.where(crossed.any(0), crossed.argmax(0), len(crossed))


def _log_window(flocks: Flocks) -> tuple[float, float]:
    """Where ln x is: nearly all of the start, and so all of the data."""
    low, high = np.quantile(np.log(np.abs(flocks.paths[0].x[0])), [0.01, 0.99])
    return float(low) - 0.3, float(high) + 0.3


def _rounded(pairs: NDArray[np.float64]) -> list[float]:
    return pairs.round(4).ravel().tolist()
