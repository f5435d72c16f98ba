"""The player: a whole trajectory in the browser, to scrub without asking the server.

One blob of bytes is sent: a header, and JPEG sprites in which the frames' image grids are tiled.
All drawing is in player.js, on top of film.js.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import streamlit as st

from dale_demo.drawing import palette
from dale_demo.drawing.frames import ImageArray, grid, jpeg_bytes
from dale_demo.trajectory import SCORE_REACH, Trajectory
from dale_demo.ui.shared.assets import asset, blob

SPRITE_SIDE = 4096
"""Largest side of a sprite in pixels; phones refuse larger textures."""
JPEG_QUALITY, SCORE_QUALITY = 92, 80
"""Of the images, and of the score, of which most is noise, which JPEG does not make small."""
COLOURS = {
    "state": palette.STATE,
    "estimate": palette.ESTIMATE,
    "theory": palette.THEORY,
    "above": palette.EXCITATORY,
    "below": palette.INHIBITORY,
}

_component = st.components.v2.component(
    "dale_player",
    html='<section class="player" tabindex="0" aria-label="Trajectory player"></section>\n',
    css=asset("shared/film.css", "sample/player.css"),
    js=asset("shared/film.js", "sample/player.js"),
)


def player(trajectory: Trajectory, *, key: str, labels: Sequence[str] | None = None) -> None:
    """Draw the player; a rerun with the same trajectory leaves it as it stands.

    Args:
        trajectory: What to play.
        key: Of the component on its page.
        labels: Class name of each image, for screen readers.
    """
    _component(data=pack(trajectory, labels), key=key)


def pack(trajectory: Trajectory, labels: Sequence[str] | None = None) -> bytes:
    """Encode a trajectory as the blob that player.js reads."""
    states, estimates = (
        [grid(p) for p in part] for part in (trajectory.states, trajectory.estimates)
    )
    # In grey, to be coloured in the browser: in colour they would take twice as many bytes.
    scores = [_score_grid(levels) for levels in trajectory.scores]
    sprites = [_sprites(states), _sprites(estimates), _sprites(scores, SCORE_QUALITY)]
    height, width = states[0].shape[:2]
    header = _numbers(trajectory) | {
        "id": hashlib.sha256(b"".join(b for part in sprites for b in part)).hexdigest(),
        "width": width,
        "height": height,
        "tiles": [SPRITE_SIDE // width, SPRITE_SIDE // height],
        "sprites": [[len(sprite) for sprite in part] for part in sprites],
        "reach": SCORE_REACH,
        "labels": list(labels or ()),
        "colours": COLOURS,
    }
    return blob(header, *(sprite for part in sprites for sprite in part))


def _numbers(trajectory: Trajectory) -> dict[str, Any]:
    """The numbers of each frame, rounded to what can be seen."""
    return {
        "levels": trajectory.noise_levels.round(4).tolist(),
        "score_evaluations": trajectory.score_evaluations.tolist(),
        "crossings": trajectory.crossings.tolist(),
        "theory": trajectory.theory.round(5).tolist(),
        "fitted": trajectory.fitted.round(5).tolist(),
        "count": trajectory.coordinates,
        "log": {
            "range": trajectory.log_range.round(5).tolist(),
            "counts": trajectory.log_counts.tolist(),
        },
        "linear": {
            "range": trajectory.linear_range.tolist(),
            "counts": trajectory.linear_counts.tolist(),
        },
        "paths": trajectory.paths.T.round(3).tolist(),
        "signs": trajectory.signs.T.tolist(),
    }


def _sprites(sheets: Sequence[ImageArray], quality: int = JPEG_QUALITY) -> list[bytes]:
    """Tile the frames' grids row by row into as few JPEGs as their size allows."""
    height, width, _ = sheets[0].shape
    columns, rows = SPRITE_SIDE // width, SPRITE_SIDE // height
    if not columns * rows:
        raise ValueError(f"A grid of {width}×{height} pixels is too large to play.")
    share = columns * rows
    parts = (sheets[i : i + share] for i in range(0, len(sheets), share))
    return [jpeg_bytes(_tile(part, columns), quality) for part in parts]


def _score_grid(levels: ImageArray) -> ImageArray:
    """A grid whose gaps are not 0, which would be cool, but 128, which is black."""
    middle = np.uint8(128)
    return np.bitwise_xor(grid(np.bitwise_xor(levels, middle)), middle)


def _tile(sheets: Sequence[ImageArray], columns: int) -> ImageArray:
    return grid(np.stack(sheets), columns=min(columns, len(sheets)), gap=0)
