"""The page Playground: particles in the plane, from noise to data or from data to noise."""

from collections.abc import Iterator
from dataclasses import replace

import streamlit as st

from dale_demo.drawing.markdown import table
from dale_demo.toy import FORWARD, TOY_SAMPLERS, samples
from dale_demo.ui.playground.learned import SHOWN, learned_score
from dale_demo.ui.playground.player import SIDES, ParticleRuns, particle_player
from dale_demo.ui.playground.point_canvas import point_canvas
from dale_demo.ui.playground.runs import floor, outcome, paths
from dale_demo.ui.playground.settings import (
    PAINTED,
    POINTS_KEY,
    SAMPLING,
    PlaygroundRequest,
    controls,
    data_of,
    example,
)
from dale_demo.ui.playground.story import NOISE, SAMPLE
from dale_demo.ui.shared.equations import source
from dale_demo.ui.shared.queue import wait_turn

CANVAS = "point-canvas"
COMPARED = (6, 12, 25, 50, 100, 200)
"""Numbers of steps in the table, besides the visitor's own."""
PAINT = "Click or drag: the points become the data."


def page() -> None:
    """Draw the page."""
    st.title("Playground")
    tagline, studio, stage = st.empty(), st.container(), st.container()
    with st.sidebar:
        request = controls()
    sampling = request.direction == SAMPLING
    story = SAMPLE if sampling else NOISE
    tagline.markdown(story.tagline)
    if request.data == PAINTED:
        with studio:
            request = _paint(request)
    with stage:
        _play(request)
    st.markdown(story.seen)
    st.header(story.question, divider="gray")
    comparison = st.container()
    st.markdown(story.limits)
    if sampling:
        st.header("A score learned while you watch", divider="gray")
        learned_score(request)
    st.header("Why it works", divider="gray")
    st.latex(story.updates)
    st.markdown(story.why)
    steps = TOY_SAMPLERS if sampling else FORWARD
    for name, side in zip(request.methods, SIDES, strict=True):
        source(name, steps[name], f"play-source-{side}")
    with comparison:
        _compare(request, story.measured)


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
    left, right = (paths(request.data, request.points, name, settings) for name in request.methods)
    shown = samples(data, settings)[0][:SHOWN].numpy()
    runs = ParticleRuns(request.methods, (left, right), data, shown, settings.noise_level)
    particle_player(runs, key="particles")
    st.caption(_description(request))


def _description(request: PlaygroundRequest) -> str:
    """Describe both runs in one line."""
    s, sampling = request.settings, request.direction == SAMPLING
    start = "exact samples of the noised data" if sampling else "samples of the data"
    fixed = f"δ = {s.step_size:g} where it applies, " if s.step_size and sampling else ""
    return (
        f"{s.particles:,} particles from {start}, "
        f"s(T) = {s.noise_level:g}, {s.steps} steps on the grid {s.grid}, "
        f"{fixed}data *{request.data}*, seed {s.seed}."
    )


def _compare(request: PlaygroundRequest, measured: str) -> None:
    """Draw the table of crossings and distances, row by row as they are measured."""
    settings, forward = request.settings, request.direction != SAMPLING
    with wait_turn(st.empty()) as turn:
        bare = floor(request.data, request.points, settings, forward)
        st.markdown(measured.format(particles=settings.particles, floor=bare))
        head = ("steps", *(f"{name}: crossed · distance" for name in request.methods))
        slot = st.empty()
        for rows in _rows(request):
            slot.markdown(table(head, rows))
            turn.give_way()
        if forward:
            st.markdown(_spread(request))


def _rows(request: PlaygroundRequest) -> Iterator[list[tuple[str, ...]]]:
    """Yield all rows of the table, again each time another is measured."""
    chosen = request.settings.steps
    numbers = sorted({*COMPARED, chosen})
    rows = [(_bold(n, n == chosen), *["…"] * len(SIDES)) for n in numbers]
    for i, steps in enumerate(numbers):
        yield rows
        settings = replace(request.settings, steps=steps)
        measured = [outcome(request.data, request.points, n, settings) for n in request.methods]
        cells = [f"{crossed:,} · {_short(far)}" for crossed, far in measured]
        rows[i] = tuple(_bold(cell, steps == chosen) for cell in (steps, *cells))
    yield rows


def _spread(request: PlaygroundRequest) -> str:
    """Compare the spread of ln|x| at t = T with that of theory, for the run in the player."""
    settings, data = request.settings, data_of(request.data, request.points)
    expected = data.noised_log_moments(settings.process)[1].tolist()
    runs = (paths(request.data, request.points, name, settings) for name in request.methods)
    columns = zip("₁₂", expected, *(run.log_std for run in runs), strict=True)
    rows = [(rf"ln \|x{axis}\|", *(f"{std:.2f}" for std in stds)) for axis, *stds in columns]
    return table(("standard deviation at T", "theory", *request.methods), rows)


def _short(length: float) -> str:
    return f"{length:.3f}" if length < 10 else f"{length:,.0f}"


def _bold(value: object, bold: bool) -> str:
    return f"**{value}**" if bold else str(value)
