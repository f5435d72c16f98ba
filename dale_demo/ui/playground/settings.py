"""Settings of the page Playground: widgets, their keys in the address, and the request they make.

Each widget's key is its query parameter. Painted points are in the address as text: the base64 of
two bytes for each point, a coordinate each in 256ths of the square.
"""

import base64
import binascii
from dataclasses import dataclass

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray

from dale_demo.toy import FORWARD, SHAPES, SIDE, STEPPED, TOY_SAMPLERS, ToyData, ToySettings
from dale_demo.ui.shared.widgets import choice, seed, time_grid

DEFAULT = ToySettings()
PAINTED = "painted points"
POINTS_KEY = "play-points"
CELLS = 256
"""Cells along a side of the square, so that a coordinate is one byte."""
MOST_POINTS = 200
"""Keeps the address under 600 characters, and the exact score, a sum over points, fast."""
SAMPLING, NOISING = DIRECTIONS = ("noise to data", "data to noise")
STEP_COUNTS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500)


@dataclass(frozen=True)
class PlaygroundRequest:
    """A run that a visitor asks for, in plain values.

    Args:
        data: A key of `SHAPES`, or `PAINTED`.
        points: The painted points, encoded.
        samplers: Keys of `TOY_SAMPLERS`, left and right.
        settings: How the particles move.
        direction: One of `DIRECTIONS`.
    """

    data: str
    points: str
    samplers: tuple[str, str]
    settings: ToySettings
    direction: str

    @property
    def methods(self) -> tuple[str, str]:
        """How the particles move, left and right: keys of `TOY_SAMPLERS`, or of `FORWARD`."""
        if self.direction == SAMPLING:
            return self.samplers
        left, right = FORWARD
        return left, right


def data_of(data: str, points: str) -> ToyData:
    """Build the data of a request; raises ValueError if its painted points cannot be read."""
    if data != PAINTED:
        return SHAPES[data]()
    return ToyData.around(torch.from_numpy(decode(points)))


def encode(points: NDArray[np.float64]) -> str:
    """Encode points [K, 2] in (0, SIDE)² as text."""
    cells = np.floor(points / SIDE * CELLS).clip(0, CELLS - 1).astype(np.uint8)
    return base64.urlsafe_b64encode(cells.tobytes()).decode().rstrip("=")


def decode(text: str) -> NDArray[np.float64]:
    """Decode points [K, 2], each in the middle of its cell.

    Raises:
        ValueError: The text is not what `encode` writes, or holds no point or too many.
    """
    try:
        padded = (text + "=" * (-len(text) % 4)).encode("ascii")
        cells = np.frombuffer(base64.b64decode(padded, b"-_", validate=True), np.uint8)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("This is not a text of painted points; paint some instead.") from error
    if len(cells) % 2 or not 2 <= len(cells) <= 2 * MOST_POINTS:
        raise ValueError(
            f"Expected 1 to {MOST_POINTS} points of two bytes each, got {len(cells)} bytes; "
            "paint some instead."
        )
    return (cells.reshape(-1, 2).astype(np.float64) + 0.5) * (SIDE / CELLS)


def example() -> str:
    """Encode the points shown before the visitor paints: a smiling face."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    mouth = np.linspace(1.15 * np.pi, 1.85 * np.pi, 20)
    parts = [(1.2, turn), (0.7, mouth)]
    face = [1.5 + r * np.stack([np.cos(a), np.sin(a)], 1) for r, a in parts]
    eyes = np.array([[1.05, 1.95], [1.1, 1.95], [1.9, 1.95], [1.95, 1.95]])
    return encode(np.concatenate([*face, eyes]))


def controls() -> PlaygroundRequest:
    """Draw the widgets and read them."""
    direction = choice(
        "Direction",
        DIRECTIONS,
        SAMPLING,
        key="play-direction",
        help="Sample, from noise to data, or multiply the data by noise, as before a training.",
    )
    data = st.selectbox(
        "Data",
        [*SHAPES, PAINTED],
        key="play-data",
        bind="query-params",
        help="The particles’ distribution at t = 0; choose **painted points** and paint your own.",
    )
    points = _points() if data == PAINTED else ""
    idle = direction == NOISING
    samplers = (_sampler("Left", 0, idle), _sampler("Right", 1, idle))
    stepped = not idle and bool(set(samplers) & set(STEPPED))
    return PlaygroundRequest(data, points, samplers, _settings(stepped), direction)


def _points() -> str:
    return st.text_input(
        "Points",
        example(),
        key=POINTS_KEY,
        bind="query-params",
        help="The painted points as text, to keep or to paste.",
    )


def _sampler(side: str, index: int, idle: bool) -> str:
    return st.selectbox(
        f"{side} sampler",
        list(TOY_SAMPLERS),
        index=index,
        key=f"play-{side.lower()}",
        bind="query-params",
        disabled=idle,
        help="How one step is taken; the last panels of the page show its source.",
    )


def _settings(stepped: bool) -> ToySettings:
    """Draw the widgets of the run; the step size is idle unless a sampler is `stepped`."""
    return ToySettings(
        noise_level=st.slider(
            "Noise level s(T)",
            0.2,
            3.0,
            DEFAULT.noise_level,
            0.1,
            format="%.1f",
            key="play-noise",
            bind="query-params",
            help="Standard deviation of ln x that the noise adds between t = 0 and t = T.",
        ),
        steps=st.select_slider(
            "Steps",
            STEP_COUNTS,
            DEFAULT.steps,
            key="play-steps",
            bind="query-params",
            help="Between noise and data: fewer steps are larger, and cross an axis more easily.",
        ),
        grid=time_grid(DEFAULT.grid, key="play-grid"),
        step_size=st.number_input(
            "Step size δ",
            1e-4,
            1.0,
            DEFAULT.step_size,
            1e-3,
            format="%.3g",
            key="play-delta",
            bind="query-params",
            disabled=not stepped,
            placeholder="from the grid",
            help=f"A fixed time step in place of the grid’s spacing, for {', '.join(STEPPED)}.",
        ),
        seed=seed(
            DEFAULT.seed,
            key="play-seed",
            help="Of the start and the noise, which both sides share, and of a trained network.",
        ),
    )
