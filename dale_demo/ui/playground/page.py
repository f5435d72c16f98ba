"""The page Playground: particles in the plane under two samplers, with an exact score."""

from collections.abc import Iterator
from dataclasses import replace

import streamlit as st
import torch

from dale_demo.drawing.markdown import table
from dale_demo.toy import (
    TOY_SAMPLERS,
    Paths,
    ToySettings,
    distance,
    samples,
    simulate,
    wasserstein,
)
from dale_demo.ui.playground.player import SIDES, ParticleRuns, particle_player
from dale_demo.ui.playground.point_canvas import point_canvas
from dale_demo.ui.playground.settings import (
    PAINTED,
    POINTS_KEY,
    PlaygroundRequest,
    controls,
    data_of,
    example,
)
from dale_demo.ui.shared.equations import source
from dale_demo.ui.shared.queue import wait_turn

CANVAS = "point-canvas"
SHOWN = 400
"""Samples of the data that are drawn."""
COMPARED = (6, 12, 25, 50, 100, 200)
"""Numbers of steps in the table, besides the visitor's own."""

TAGLINE = (
    "A thousand particles move from noise to data in two dimensions under two samplers, from the "
    "same start and with the same random numbers. The score is exact, so every error is the "
    "sampler’s own."
)
WHAT_YOU_SEE = (
    "The data are where both coordinates are positive; in the tinted region beyond the axes a "
    "coordinate has changed its sign. A particle that crosses an axis **turns blue** and stays "
    "blue. Play or drag; then take fewer steps in the sidebar (**»** on a phone), or more."
)
PAINT = "Click or drag: the points become the data."
UPDATES = r"""
\begin{aligned}
x &\leftarrow x \circ \exp(\,\cdots) && \text{dale-langevin} \\
x &\leftarrow x \circ (1 + \cdots) && \text{unconstrained} \\
x &\leftarrow x + \cdots && \text{additive}
\end{aligned}
"""
WHY = """
An exponential is positive, whatever its exponent. So a product of exponentials keeps the sign of
every coordinate at any step size: on the log axes (a button below the plots) the axes
x₁ = 0 and x₂ = 0 are infinitely far away. The *unconstrained* sampler multiplies by 1 + …, which is
the same for small steps and can be negative for large ones. The *additive* one adds noise of one
size everywhere, small beside a large x and large beside a small one.
"""
SCORES = (
    "**Two scores.** The Stein score ∇ln p is h / x: towards an axis it grows without bound, and a "
    "step along it overshoots. The Hyvärinen score h = x ∘ ∇ln p grows there only like ln x; it "
    "drives every sampler of this project. Show one, then the other, and compare."
)
CROSSING = (
    "How many of the {particles:,} particles cross an axis, and how far from the data they end. "
    "The distance is W₁: how far each particle must be moved, on average, to turn the particles "
    "into a sample of the data. Two samples of the data are **{floor:.3f}** apart, so a distance "
    "of about that means no error."
)
LIMITS = (
    "**Limits of the comparison.** Crossing depends on step size. *Unconstrained* discretises the "
    "same equation as *dale-langevin*, and with many steps it reaches the same distribution; the "
    "table shows how many that takes. *Additive* has the same limit, but near an axis its steps "
    "would have to be tiny, and its count falls slowly. The exponential gives a guarantee at every "
    "step size, which matters when steps are few."
)


def page() -> None:
    """Draw the page."""
    st.title("Playground")
    st.markdown(TAGLINE)
    studio, stage = st.container(), st.container()
    with st.sidebar:
        request = controls()
    if request.data == PAINTED:
        with studio:
            request = _paint(request)
    with stage:
        _play(request)
    st.markdown(WHAT_YOU_SEE)
    st.header("Who crosses, and when", divider="gray")
    comparison = st.container()
    st.markdown(LIMITS)
    st.header("Why it works", divider="gray")
    st.latex(UPDATES)
    st.markdown(WHY)
    st.markdown(SCORES)
    for name, side in zip(request.samplers, SIDES, strict=True):
        source(name, TOY_SAMPLERS[name], f"play-source-{side}")
    with comparison:
        _compare(request)


def _paint(request: PlaygroundRequest) -> PlaygroundRequest:
    """Draw the canvas; if the points cannot be read, warn and use the example instead."""
    try:
        data_of(request.data, request.points)
    except ValueError as error:
        st.warning(str(error))
        request = replace(request, points=example())
    st.caption(PAINT)
    point_canvas(request.points, key=CANVAS, on_paint=_take)
    return request


def _take() -> None:
    """Copy the painted points to the sidebar's widget, and so to the address."""
    st.session_state[POINTS_KEY] = st.session_state[CANVAS].painted


def _play(request: PlaygroundRequest) -> None:
    settings, data = request.settings, data_of(request.data, request.points)
    left, right = (paths(request.data, request.points, name, settings) for name in request.samplers)
    shown = samples(data, settings)[0][:SHOWN].numpy()
    runs = ParticleRuns(request.samplers, (left, right), data, shown, settings.noise_level)
    particle_player(runs, key="particles")
    st.caption(_description(request))


def _description(request: PlaygroundRequest) -> str:
    """Describe both runs in one line."""
    s = request.settings
    fixed = f"δ = {s.step_size:g} where it applies, " if s.step_size else ""
    return (
        f"{s.particles:,} particles from exact samples of the noised data, "
        f"s(T) = {s.noise_level:g}, {s.steps} steps on the grid {s.grid}, "
        f"{fixed}data *{request.data}*, seed {s.seed}."
    )


def _compare(request: PlaygroundRequest) -> None:
    """Draw the table of crossings and distances, row by row as they are measured."""
    settings = request.settings
    with wait_turn(st.empty()) as turn:
        bare = floor(request.data, request.points, settings)
        st.markdown(CROSSING.format(particles=settings.particles, floor=bare))
        head = ("steps", *(f"{name}: crossed · distance" for name in request.samplers))
        slot = st.empty()
        for rows in _rows(request):
            slot.markdown(table(head, rows))
            turn.give_way()


def _rows(request: PlaygroundRequest) -> Iterator[list[tuple[str, ...]]]:
    """Yield all rows of the table, again each time another is measured."""
    chosen = request.settings.steps
    numbers = sorted({*COMPARED, chosen})
    rows = [(_bold(n, n == chosen), *["…"] * len(SIDES)) for n in numbers]
    for i, steps in enumerate(numbers):
        yield rows
        settings = replace(request.settings, steps=steps)
        measured = [outcome(request.data, request.points, n, settings) for n in request.samplers]
        cells = [f"{crossed:,} · {_short(far)}" for crossed, far in measured]
        rows[i] = tuple(_bold(cell, steps == chosen) for cell in (steps, *cells))
    yield rows


def _short(length: float) -> str:
    return f"{length:.3f}" if length < 10 else f"{length:,.0f}"


def _bold(value: object, bold: bool) -> str:
    return f"**{value}**" if bold else str(value)


@st.cache_data(max_entries=64, show_spinner="Simulating the particles …")
def paths(data: str, points: str, sampler: str, settings: ToySettings) -> Paths:
    """Simulate a run for the player."""
    return simulate(data_of(data, points), sampler, settings)


@st.cache_data(max_entries=2048, show_spinner=False)
def outcome(data: str, points: str, sampler: str, settings: ToySettings) -> tuple[int, float]:
    """Count the particles that cross in a run, and measure how far from the data they end."""
    target = data_of(data, points)
    run = simulate(target, sampler, settings, max_frames=2)
    return run.crossed, distance(torch.from_numpy(run.x[-1]), samples(target, settings)[0])


@st.cache_data(max_entries=256, show_spinner=False)
def floor(data: str, points: str, settings: ToySettings) -> float:
    """Measure how far two samples of the data are from each other."""
    return wasserstein(*samples(data_of(data, points), settings))
