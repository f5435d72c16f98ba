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
    walk,
    wasserstein,
)
from dale_demo.ui.playground.player import SIDES, Flocks, particle_player
from dale_demo.ui.playground.point_canvas import easel
from dale_demo.ui.playground.settings import (
    PAINTED,
    POINTS_KEY,
    Choice,
    controls,
    data_of,
    example,
)
from dale_demo.ui.shared.equations import source
from dale_demo.ui.shared.queue import place

EASEL = "easel"
SHOWN = 400
"""Points of the data that are drawn."""
COMPARED = (6, 12, 25, 50, 100, 200)
"""Step numbers that the table has, beside the visitor's own."""

TAGLINE = (
    "A thousand particles walk from noise to data in two dimensions, twice: from the same start, "
    "with the same random numbers, under two samplers. The score is exact, so what goes wrong is "
    "the sampler’s own doing."
)
WHAT_YOU_SEE = (
    "Where both coordinates are positive, the data live; the tinted land beyond the two axes is "
    "where a coordinate has changed its sign. A particle that crosses an axis **turns blue** and "
    "stays so. Play or drag; then take fewer steps in the sidebar (**»** on a phone), or more."
)
PAINT = "Click or drag: the points become the data."
STEPS = r"""
\begin{aligned}
x &\leftarrow x \circ \exp(\,\cdots) && \text{dale-langevin} \\
x &\leftarrow x \circ (1 + \cdots) && \text{unconstrained} \\
x &\leftarrow x + \cdots && \text{additive}
\end{aligned}
"""
WHY = """
An exponential is positive, whatever stands in it. So a product of exponentials keeps the sign of
every coordinate at any step size: on the log axes (a button below the picture) the axes
x₁ = 0 and x₂ = 0 are infinitely far away. The *unconstrained* sampler multiplies by 1 + …, which is
the same for small steps and can be negative for large ones. The *additive* one adds noise of one
size everywhere, small beside a large x and large beside a small one.
"""
SCORES = (
    "**Two scores.** The Stein score ∇ln p is h / x: towards an axis it grows without bound, and a "
    "step along it overshoots. The Hyvärinen score h = x ∘ ∇ln p grows there only like ln x; it "
    "drives every sampler of this project. Switch on one, then the other, and compare."
)
CROSSING = (
    "How many of the {particles:,} particles cross an axis, and how far from the data they end. "
    "The distance is W₁: how far each particle must be moved, on average, to make the flock a "
    "sample of the data; a second sample of the data is **{floor:.3f}** away from the first, so a "
    "distance of about that means that nothing is wrong."
)
HONEST = (
    "**An honest line.** Crossing is a matter of step size. *Unconstrained* is a discretisation of "
    "the same equation as *dale-langevin*, and with many steps it reaches the same law; the table "
    "shows how many that takes. *Additive* has the same limit, but near an axis its steps would "
    "have to be tiny, and its count falls slowly. What the exponential gives is the guarantee at "
    "every step size, which matters where steps are few."
)


def page() -> None:
    """Draw the page."""
    st.title("Playground")
    st.markdown(TAGLINE)
    studio, stage = st.container(), st.container()
    with st.sidebar:
        choice = controls()
    if choice.data == PAINTED:
        with studio:
            choice = _paint(choice)
    with stage:
        _play(choice)
    st.markdown(WHAT_YOU_SEE)
    st.header("Who crosses, and when", divider="gray")
    comparison = st.container()
    st.markdown(HONEST)
    st.header("Why it works", divider="gray")
    st.latex(STEPS)
    st.markdown(WHY)
    st.markdown(SCORES)
    for name, side in zip(choice.samplers, SIDES, strict=True):
        source(name, TOY_SAMPLERS[name], f"play-source-{side}")
    with comparison:
        _compare(choice)


def _paint(choice: Choice) -> Choice:
    """The easel; where the points cannot be read, one sentence and the example in their place."""
    try:
        data_of(choice.data, choice.points)
    except ValueError as error:
        st.warning(str(error))
        choice = replace(choice, points=example())
    st.caption(PAINT)
    easel(choice.points, key=EASEL, on_paint=_take)
    return choice


def _take() -> None:
    """Make what was painted the value of the sidebar's widget, and so part of the address."""
    st.session_state[POINTS_KEY] = st.session_state[EASEL].painted


def _play(choice: Choice) -> None:
    settings, data = choice.settings, data_of(choice.data, choice.points)
    left, right = (paths(choice.data, choice.points, name, settings) for name in choice.samplers)
    shown = samples(data, settings)[0][:SHOWN].numpy()
    flocks = Flocks(choice.samplers, (left, right), data, shown, settings.noise_level)
    particle_player(flocks, key="particles")
    st.caption(_account(choice))


def _account(choice: Choice) -> str:
    """How the flocks were made, in one line."""
    s = choice.settings
    fixed = f"δ = {s.step_size:g} where it applies, " if s.step_size else ""
    return (
        f"{s.particles:,} particles from exact draws of the noised law, s(T) = {s.noise_level:g}, "
        f"{s.steps} steps on the grid {s.grid}, {fixed}data *{choice.data}*, seed {s.seed}."
    )


def _compare(choice: Choice) -> None:
    """The table of crossings and distances, row by row as they are measured."""
    settings = choice.settings
    with place(st.empty()):
        bare = floor(choice.data, choice.points, settings)
        st.markdown(CROSSING.format(particles=settings.particles, floor=bare))
        head = ("steps", *(f"{name}: crossed · distance" for name in choice.samplers))
        slot = st.empty()
        for rows in _rows(choice):
            slot.markdown(table(head, rows))


def _rows(choice: Choice) -> Iterator[list[tuple[str, ...]]]:
    """The rows of the table, again and again as one more is measured."""
    chosen = choice.settings.steps
    numbers = sorted({*COMPARED, chosen})
    rows = [(_bold(n, n == chosen), *["…"] * len(SIDES)) for n in numbers]
    for i, steps in enumerate(numbers):
        yield rows
        settings = replace(choice.settings, steps=steps)
        measured = [outcome(choice.data, choice.points, n, settings) for n in choice.samplers]
        cells = [f"{crossed:,} · {_short(far)}" for crossed, far in measured]
        rows[i] = tuple(_bold(cell, steps == chosen) for cell in (steps, *cells))
    yield rows


def _short(length: float) -> str:
    return f"{length:.3f}" if length < 10 else f"{length:,.0f}"


def _bold(value: object, bold: bool) -> str:
    return f"**{value}**" if bold else str(value)


@st.cache_data(max_entries=64, show_spinner="The particles are walking …")
def paths(data: str, points: str, sampler: str, settings: ToySettings) -> Paths:
    """A run to be played."""
    return walk(data_of(data, points), sampler, settings)


@st.cache_data(max_entries=2048, show_spinner=False)
def outcome(data: str, points: str, sampler: str, settings: ToySettings) -> tuple[int, float]:
    """How many particles cross in a run, and how far from the data they end."""
    law = data_of(data, points)
    run = walk(law, sampler, settings, max_frames=2)
    return run.crossed, distance(torch.from_numpy(run.x[-1]), samples(law, settings)[0])


@st.cache_data(max_entries=256, show_spinner=False)
def floor(data: str, points: str, settings: ToySettings) -> float:
    """How far two samples of the data are from each other."""
    return wasserstein(*samples(data_of(data, points), settings))
