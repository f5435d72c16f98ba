"""A page with nothing but a player, whose images and signs are known, and a button."""

import numpy as np
import streamlit as st

from dale_demo.trajectory import Trajectory
from dale_demo.ui.sample.player import player

FRAMES, IMAGES, SIDE = 11, 4, 8

brightness = np.linspace(10, 240, FRAMES).astype(np.uint8)[:, None, None, None, None]
images = np.broadcast_to(brightness, (FRAMES, IMAGES, SIDE, SIDE, 1))
levels = np.linspace(4.0, 0.0, FRAMES)
moments = np.stack([np.full(FRAMES, 0.1), levels + 0.2], 1)
signs = np.ones((FRAMES, 2), np.int8)
signs[6:, 1] = -1
counts = np.tile(np.bincount(np.arange(256) // 4, minlength=64), (FRAMES, 1))

player(
    Trajectory(
        times=levels**2,
        noise_levels=levels,
        score_evaluations=np.arange(FRAMES),
        crossings=(np.arange(FRAMES) > 5).astype(np.int64),
        states=images,
        estimates=255 - images,
        scores=images,
        theory=moments,
        fitted=moments,
        log_range=np.stack(
            [moments[:, 0] - 4 * moments[:, 1], moments[:, 0] + 4 * moments[:, 1]], 1
        ),
        log_counts=counts,
        linear_range=np.stack([np.zeros(FRAMES), np.exp(2 * moments[:, 1])], 1),
        linear_counts=counts,
        paths=np.linspace([3.0, -3.0], [0.1, 0.2], FRAMES),
        signs=signs,
    ),
    key="player",
)
st.button("Ask the server")
