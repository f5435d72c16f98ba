"""Runs of particles and what is measured on them, kept for all visitors."""

import streamlit as st
import torch

from dale_demo.toy import (
    FORWARD,
    Paths,
    ToyData,
    ToySettings,
    add_noise,
    distance,
    expected_ks_distance,
    ks_distance,
    samples,
    simulate,
    wasserstein,
)
from dale_demo.ui.playground.settings import data_of


@st.cache_data(max_entries=64, show_spinner="Simulating the particles …")
def paths(data: str, points: str, method: str, settings: ToySettings) -> Paths:
    """Simulate a run for the player; `method` is a key of `TOY_SAMPLERS` or `FORWARD`."""
    return _run(data_of(data, points), method, settings)


@st.cache_data(max_entries=2048, show_spinner=False)
def outcome(data: str, points: str, method: str, settings: ToySettings) -> tuple[int, float]:
    """Count the particles that cross, and measure how far they end from where they should.

    That is the data, in W₁, or for a key of `FORWARD` the exact p_T, in KS distance.
    """
    target = data_of(data, points)
    run = _run(target, method, settings, max_frames=2)
    if method in FORWARD:
        return run.crossed, ks_distance(run.x[-1], target, settings.process)
    return run.crossed, distance(torch.from_numpy(run.x[-1]), samples(target, settings)[0])


@st.cache_data(max_entries=256, show_spinner=False)
def floor(data: str, points: str, settings: ToySettings, forward: bool) -> float:
    """Distance that exact samples would have in `outcome`."""
    if forward:
        return expected_ks_distance(settings.particles)
    return wasserstein(*samples(data_of(data, points), settings))


def _run(data: ToyData, method: str, settings: ToySettings, max_frames: int = 101) -> Paths:
    start = add_noise if method in FORWARD else simulate
    return start(data, method, settings, max_frames)
