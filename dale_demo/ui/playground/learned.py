"""A score network trained while the visitor watches, and its particles beside the exact score's."""

import time
from dataclasses import dataclass

import streamlit as st
import torch
from streamlit.delta_generator import DeltaGenerator

from dale_demo.drawing.markdown import table
from dale_demo.toy import Paths, ToySettings, distance, samples, simulate
from dale_demo.toy_network import ToyDenoiser, ToyTraining, relative_error, train
from dale_demo.ui.playground.player import ParticleRuns, particle_player
from dale_demo.ui.playground.runs import floor, outcome, paths
from dale_demo.ui.playground.settings import PlaygroundRequest, data_of
from dale_demo.ui.playground.story import APART, ERRORS, LEARN, LEARNED, MEANING, UNTRAINED
from dale_demo.ui.shared.queue import wait_turn

LEVELS = (0.03, 0.1, 0.3, 1.0)
"""Noise levels at which the error is measured."""
SHOWN = 400
"""Samples of the data that are drawn."""
REDRAW_SECONDS = 0.15
"""Between two updates of the progress bar."""

Key = tuple[str, str, int]
"""Data, painted points and seed: together they determine the network."""


@dataclass(frozen=True, eq=False)
class Learned:
    """The network that a visitor has trained last.

    Args:
        key: What determines it.
        network: The network.
        report: One sentence on its training.
    """

    key: Key
    network: ToyDenoiser
    report: str


def learned_score(request: PlaygroundRequest) -> None:
    """Draw the button, train if it was pressed, and show what the network of `request` does."""
    key = request.data, request.points, request.settings.seed
    st.markdown(LEARN.format(weights=_untrained(*key).weights))
    learned: Learned | None = st.session_state.get("playground-learned")
    if learned is None or learned.key != key:
        slot = st.empty()
        # No fragment: a press in one would wait until the table of the page is complete.
        if not slot.button("Train a network", key="play-train", icon=":material/school:"):
            return
        learned = st.session_state["playground-learned"] = _train(key, slot)
        slot.empty()
    st.caption(learned.report)
    with st.container(key="learned-score"):
        _show(request, learned)
    st.markdown(MEANING)


def _untrained(data: str, points: str, seed: int) -> ToyDenoiser:
    return ToyDenoiser(data_of(data, points), torch.Generator().manual_seed(seed))


def _train(key: Key, slot: DeltaGenerator) -> Learned:
    """Train in the visitor's turn, with a progress bar in `slot`; a change of settings ends it."""
    data, points, seed = key
    training = ToyTraining(seed=seed)
    bar = slot.progress(0.0, "Training …")
    with wait_turn(bar) as turn:
        began = drawn = time.monotonic()
        for step in train(data_of(data, points), training):
            if time.monotonic() - drawn > REDRAW_SECONDS:
                drawn = time.monotonic()
                done = f"{step.done:,} of {training.steps:,} steps, loss {step.loss:.2f}"
                bar.progress(step.done / training.steps, done)
                turn.give_way()
        seconds = time.monotonic() - began - turn.paused
    step.network.requires_grad_(False)
    report = (
        f"Trained in {seconds:.0f} s: {training.steps:,} steps of {training.batch_size} draws, "
        f"seed {seed}. The same seed gives the same network."
    )
    return Learned(key, step.network, report)


def _show(request: PlaygroundRequest, learned: Learned) -> None:
    settings, sampler = request.settings, request.samplers[0]
    data = data_of(request.data, request.points)
    run = learned_paths(*learned.key, sampler, settings, learned.network)
    exact = paths(request.data, request.points, sampler, settings)
    reference = samples(data, settings)[0]
    st.markdown(LEARNED.format(sampler=sampler))
    runs = ParticleRuns(
        ("exact score", "learned score"),
        (exact, run),
        data,
        reference[:SHOWN].numpy(),
        settings.noise_level,
        learned.network.score(settings.process),
    )
    particle_player(runs, key="learned-particles")
    st.markdown(
        APART.format(
            exact=outcome(request.data, request.points, sampler, settings)[1],
            learned=distance(torch.from_numpy(run.x[-1]), reference),
            floor=floor(request.data, request.points, settings, forward=False),
        )
    )
    st.markdown(ERRORS)
    trained, before = errors(*learned.key, learned.network)
    rows = [
        (f"s = {level:g}", f"{100 * after:.0f} %", f"{100 * start:.0f} %")
        for level, after, start in zip(LEVELS, trained, before, strict=True)
    ]
    st.markdown(table(("noise level", "learned", "untrained"), rows))
    st.caption(UNTRAINED)


@st.cache_data(max_entries=32, show_spinner="Simulating the particles …")
def learned_paths(
    data: str, points: str, seed: int, sampler: str, settings: ToySettings, _network: ToyDenoiser
) -> Paths:
    """Simulate a run under the network that `data`, `points` and `seed` determine."""
    score = _network.score(settings.process)
    return simulate(data_of(data, points), sampler, settings, score=score)


@st.cache_data(max_entries=32, show_spinner=False)
def errors(
    data: str, points: str, seed: int, _network: ToyDenoiser
) -> tuple[list[float], list[float]]:
    """Relative errors at `LEVELS` of the network, and of an untrained one."""
    target, start = data_of(data, points), _untrained(data, points, seed)
    after, before = (
        [relative_error(network, target, level, seed) for level in LEVELS]
        for network in (_network, start)
    )
    return after, before
