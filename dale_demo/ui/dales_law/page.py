"""The page Dale's law: exponentiated gradient beside gradient descent, live."""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dale_demo.ui.dales_law import story
from dale_demo.ui.dales_law.player import learning_player
from dale_demo.ui.dales_law.record import LearningRecord
from dale_demo.ui.dales_law.settings import LearningRequest, controls, default_request, show
from dale_demo.ui.dales_law.stored_run import STORED, load_stored_training, opening
from dale_demo.ui.shared.warm_up import warm_up

if TYPE_CHECKING:
    from dale_demo.ui.dales_law.run import Training

HEAD_START = 0.5
"""Seconds between the player and the widgets on the first visit.

Widgets make the browser load many scripts; without the delay, the player waits for them too.
"""
TRAINING = "dale_demo.ui.dales_law.run"
"""Module that imports PyTorch, which nothing else on this page needs."""
SLICE = 0.4
"""Seconds of training between two updates of the page."""


@dataclass
class LearningSession:
    """What the page keeps in a visitor's session.

    Args:
        record: The training shown below the player, and in the player unless another is running.
        run: Its identity.
        request: What the widgets asked for when the page was last drawn.
        training: The training that is running.
        remark: One sentence on why the last training failed.
        drawn: Identity of the training that the whole page was last drawn with.
    """

    record: LearningRecord
    run: str = "stored"
    request: LearningRequest = field(default_factory=default_request)
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
        name = opening(st.query_params.get("task"))
        st.session_state["learning"] = LearningSession(load_stored_training(name))
    learning: LearningSession = st.session_state["learning"]
    learning.drawn = learning.run
    # On the first visit the player comes before the widgets, to be seen at once; afterwards the
    # widgets come first, so that Run starts what they show.
    if first:
        _player_section()
        time.sleep(HEAD_START)
        _settings(learning)
    else:
        _settings(learning)
        _player_section()
    story.draw(learning.record, _show_stored)
    _check(learning, remark)


def _show_stored(name: str) -> None:
    """Show a stored training, and set the sidebar to it; a training that is running goes on."""
    learning: LearningSession = st.session_state["learning"]
    learning.record, learning.run = load_stored_training(name), f"stored {name}"
    show(STORED[name])


def _settings(learning: LearningSession) -> None:
    with st.sidebar:
        learning.request = controls()


def _check(learning: LearningSession, remark: DeltaGenerator) -> None:
    """Warn of settings that do not fit together, or note that they are not those shown."""
    if not _differs(learning.request, learning.record):
        warm_up(TRAINING)
        return
    try:
        learning.request.build()
    except ValueError as error:
        remark.warning(str(error))
        return
    if learning.training is None:
        remark.caption("Press **Run** to see these settings.")


def _differs(request: LearningRequest, record: LearningRecord) -> bool:
    """Whether a run of `request` would differ from `record`; a searched rate equals None."""
    if request.described() != dict(record.task) or list(request.rates) != list(record.rules):
        return True
    shown = {n: None if r.searched else r.learning_rate for n, r in record.rules.items()}
    return shown != dict(request.rates)


@st.fragment
def _player_section() -> None:
    """Draw buttons and player; during a training the browser asks for a rerun after each slice."""
    learning: LearningSession = st.session_state["learning"]
    _buttons(learning)
    if learning.training:
        _advance(learning, learning.training)
    if learning.drawn != learning.run:
        st.rerun()
    if learning.remark:
        st.warning(learning.remark)
    _play(learning)


def _buttons(learning: LearningSession) -> None:
    running = learning.training is not None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Run",
            key="run",
            type="primary",
            icon=":material/play_arrow:",
            disabled=running,
            on_click=_start,
            args=(learning,),
        )
        if running:
            st.button("Stop", key="halt", icon=":material/stop:", on_click=_stop, args=(learning,))


def _start(learning: LearningSession) -> None:
    """Start a training with the present settings; if they do not fit, what is shown stays."""
    from dale_demo.ui.dales_law.run import Training

    learning.remark = ""
    try:
        learning.training = Training(learning.request)
    except ValueError as error:
        learning.remark = str(error)


def _stop(learning: LearningSession) -> None:
    if training := learning.training:
        training.stop()
        _keep(learning, training)


def _advance(learning: LearningSession, training: "Training") -> None:
    """Train for one slice, or for as long as it had to wait in the queue for the device.

    Otherwise a training would advance by one slice for each share that the other runs have.
    """
    from dale_demo.ui.shared.queue import SHARE_SECONDS, wait_turn

    bar = st.progress(training.progress, training.status)
    asked = time.monotonic()
    try:
        with wait_turn(bar):
            began = time.monotonic()
            own = min(SHARE_SECONDS, began - asked)
            training.advance(SLICE)
            while not training.done and time.monotonic() - began < own:
                bar.progress(training.progress, training.status)
                training.advance(SLICE)
    except ValueError as error:
        learning.training, learning.remark = None, str(error)
        bar.empty()
        return
    bar.progress(training.progress, training.status)
    if training.record is None:
        story.trials_so_far(training.trials)
    if training.done:
        _keep(learning, training)


def _keep(learning: LearningSession, training: "Training") -> None:
    """End the training and show its result, if it has one."""
    learning.training = None
    if training.record:
        learning.record, learning.run = training.record, training.run


def _play(learning: LearningSession) -> None:
    """Draw the player, with the training that is running once it has a first frame."""
    training = learning.training
    beat = training.beat if training else None
    record, run, running = learning.record, learning.run, False
    if training and training.record:
        record, run, running = training.record, training.run, True
    learning_player(record, key="learning-player", run=run, beat=beat)
    st.caption(story.describe(record, running))
