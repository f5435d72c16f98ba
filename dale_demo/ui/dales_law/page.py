"""The page Dale's law: exponentiated gradient beside gradient descent, live."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dale_demo.ui.dales_law import story
from dale_demo.ui.dales_law.player import learning_player
from dale_demo.ui.dales_law.record import LearningRecord
from dale_demo.ui.dales_law.settings import Choice, controls, default_choice
from dale_demo.ui.dales_law.stored_run import stored
from dale_demo.ui.shared.warm_up import warm_up

if TYPE_CHECKING:
    from dale_demo.ui.dales_law.run import Training

HEAD_START = 0.5
"""Seconds by which the first picture goes ahead of the many scripts that widgets load."""
TRAINING = "dale_demo.ui.dales_law.run"
"""Module that imports PyTorch, which nothing else on this page needs."""
SLICE = 0.4
"""Seconds of training between two pictures."""


@dataclass
class Learning:
    """What a visitor's session keeps.

    Args:
        record: The training that is shown below the player, and in it unless another is going.
        run: Its identity.
        choice: What the widgets asked for when the page was last drawn.
        training: The training that is going.
        remark: One sentence on what went wrong with the last.
        drawn: Identity of the training that the whole page was last drawn with.
    """

    record: LearningRecord
    run: str = "stored"
    choice: Choice = field(default_factory=default_choice)
    training: "Training | None" = None
    remark: str = ""
    drawn: str = "stored"


def page() -> None:
    """Draw the page."""
    st.title("Dale’s law")
    st.markdown(story.TAGLINE)
    remark = st.empty()
    first = "learning" not in st.session_state
    if first:
        st.session_state["learning"] = Learning(_opening())
    learning: Learning = st.session_state["learning"]
    learning.drawn = learning.run
    if first:
        _stage()
        time.sleep(HEAD_START)
        _choose(learning)
    else:
        _choose(learning)
        _stage()
    story.tell(learning.record)
    _check(learning, remark)


@st.cache_resource(show_spinner=False)
def _opening() -> LearningRecord:
    return stored("opening")


def _choose(learning: Learning) -> None:
    with st.sidebar:
        learning.choice = controls()


def _check(learning: Learning, remark: DeltaGenerator) -> None:
    """Say what does not go together, or that the settings are not those of the picture."""
    if not _differs(learning.choice, learning.record):
        warm_up(TRAINING)
        return
    try:
        learning.choice.build()
    except ValueError as error:
        remark.warning(str(error))
        return
    if learning.training is None:
        remark.caption("Press **Run** to see these settings.")


def _differs(choice: Choice, record: LearningRecord) -> bool:
    """Whether a run of `choice` would show something else; searched rates are compared as such."""
    if choice.described() != dict(record.task) or list(choice.rates) != list(record.rules):
        return True
    shown = {n: None if r.searched else r.learning_rate for n, r in record.rules.items()}
    return shown != dict(choice.rates)


@st.fragment
def _stage() -> None:
    """Buttons and player. While a training goes, the browser asks for this again and again."""
    learning: Learning = st.session_state["learning"]
    _buttons(learning)
    if learning.training:
        _advance(learning, learning.training)
    if learning.drawn != learning.run:
        st.rerun()
    if learning.remark:
        st.warning(learning.remark)
    _play(learning)


def _buttons(learning: Learning) -> None:
    going = learning.training is not None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Run",
            key="run",
            type="primary",
            icon=":material/play_arrow:",
            disabled=going,
            on_click=_start,
            args=(learning,),
        )
        if going:
            st.button("Stop", key="halt", icon=":material/stop:", on_click=_stop, args=(learning,))


def _start(learning: Learning) -> None:
    """Begin a training with the settings as they are; nothing shown is lost if they do not fit."""
    from dale_demo.ui.dales_law.run import Training

    learning.remark = ""
    try:
        learning.training = Training(learning.choice)
    except ValueError as error:
        learning.remark = str(error)


def _stop(learning: Learning) -> None:
    if training := learning.training:
        training.stop()
        _keep(learning, training)


def _advance(learning: Learning, training: "Training") -> None:
    """Train for one slice, in a place of the line."""
    from dale_demo.ui.shared.queue import place

    line = st.progress(training.progress, training.status)
    try:
        with place(line):
            training.advance(SLICE)
    except ValueError as error:
        learning.training, learning.remark = None, str(error)
        line.empty()
        return
    line.progress(training.progress, training.status)
    if training.record is None:
        story.trials_so_far(training.trials)
    if training.done:
        _keep(learning, training)


def _keep(learning: Learning, training: "Training") -> None:
    """Show what a training has come to, if to anything."""
    learning.training = None
    if training.record:
        learning.record, learning.run = training.record, training.run


def _play(learning: Learning) -> None:
    """The player: of the training that is going, once it has a first frame."""
    training = learning.training
    beat = training.beat if training else None
    record, run, going = learning.record, learning.run, False
    if training and training.record:
        record, run, going = training.record, training.run, True
    learning_player(record, key="learning-player", run=run, beat=beat)
    st.caption(story.account(record, going))
