"""The page Sample: watch log-normal noise become a picture, and try every setting."""

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dale_demo.datasets import BUNDLED_NETWORKS, DEFAULT_NETWORK
from dale_demo.samplers import SAMPLERS
from dale_demo.trajectory import Trajectory
from dale_demo.ui.sample import downloads, trade_off
from dale_demo.ui.sample import stored_run as opening
from dale_demo.ui.sample.live import Kept, Result, network_evaluations, sample
from dale_demo.ui.sample.player import player
from dale_demo.ui.sample.settings import NO_CLASS, Choice, controls
from dale_demo.ui.shared.equations import source
from dale_demo.ui.shared.networks import network

HEAD_START = 0.5
"""Seconds by which the first picture goes ahead of the many scripts that widgets load."""

TAGLINE = (
    "Log-normal noise becomes pictures by multiplication alone. No value ever changes its "
    "sign, as no synapse does: Dale’s law. Paper: "
    "[arXiv 2510.02730](https://arxiv.org/abs/2510.02730)."
)
WHAT_YOU_SEE = (
    "One walk from noise to picture, seen twice: the state itself, and the network’s guess of the "
    "picture in it. Press play or drag. The sidebar (**»** on a phone) changes every setting, and "
    "the page’s address keeps them."
)
WHY_IT_WORKS = r"""
$$
x \;\leftarrow\; x \circ \exp(\,\cdots)
$$

Every step multiplies each pixel by an exponential, and an exponential is always positive: what
was positive stays positive, at any step size. In ln x the same step is an addition, so noise that
multiplies is Gaussian there, and log-normal laws come out. The network supplies the direction:
asked for the clean picture behind the noise, it answers with the score, which leads back to data.

(The *unconstrained* sampler multiplies by 1 + … instead, which can be negative: try it with few
steps, and see its pixels cross zero.)
"""
HONEST = (
    "**An honest line.** The paper’s settings start from s(T) = 0.8, where the noised pictures "
    "are not yet log-normal noise; the start does not match their law, and the pictures are worse "
    "for it. From s(T) = 8 nothing of a picture is left, and the start fits."
)
ABOUT_SPREAD = (
    "How far ln x spreads while the noise falls (read from left to right). The dashed line is "
    "what the forward process has at that noise level; a gap means that the walk has left the "
    "forward law there, and the network is asked about pictures it was not trained on."
)


def page() -> None:
    """Draw the page."""
    st.title("Dale meets Langevin, live")
    st.markdown(TAGLINE)
    kept: Kept | None = st.session_state.get("kept")
    buttons, stage = st.container(horizontal=True, vertical_alignment="center"), st.empty()
    if kept is None:
        kept = st.session_state["kept"] = Kept()
        _show(_result(kept), stage)
        time.sleep(HEAD_START)
        _choose(buttons, stage, kept)
    else:
        _choose(buttons, stage, kept)
        _show(_result(kept), stage)
    _story(_result(kept))


def _result(kept: Kept) -> Result:
    """The visitor's run; before there is one, the stored run of the network asked for."""
    if kept.result:
        return kept.result
    network = st.session_state.get("network", st.query_params.get("network"))
    return stored(network if network in BUNDLED_NETWORKS else DEFAULT_NETWORK)


@st.cache_resource(show_spinner=False)
def stored(network: str) -> Result:
    """The run that the page opens with for a network that has one."""
    settings, names = opening.default_settings(), opening.class_names(network)
    return Result(opening.trajectory(network), network, names, settings, settings.steps, None)


def _choose(buttons: DeltaGenerator, stage: DeltaGenerator, kept: Kept) -> None:
    """The settings and the buttons; a press of Sample lets a run unfold on the stage."""
    with st.sidebar:
        choice = _choice()
    with buttons:
        start = st.button(
            "Sample",
            key="sample",
            type="primary",
            icon=":material/play_arrow:",
            disabled=choice is None,
        )
        stop, remark = st.empty(), st.empty()
    if start and choice:
        stop.button("Stop", key="stop", icon=":material/stop:")
        try:
            with stage.container():
                sample(choice.network, network(choice.folder), choice.settings, kept)
        except ValueError as error:
            remark.warning(str(error))
        stop.empty()
    if choice and not start and _differs(choice, _result(kept)):
        remark.caption("Press **Sample** to see these settings.")


def _differs(choice: Choice, result: Result) -> bool:
    return (choice.network, choice.settings) != (result.network, result.settings)


def _choice() -> Choice | None:
    """The visitor's settings, or one sentence on why there are none."""
    try:
        return controls()
    except ValueError as error:
        st.warning(str(error))
        return None


def _show(result: Result, stage: DeltaGenerator) -> None:
    """The player, with one line that says what it plays."""
    with stage.container():
        player(result.trajectory, key="player", labels=_captions(result))
        st.caption(_account(result))


def _captions(result: Result) -> list[str] | None:
    """Class of each picture, where any was asked for."""
    labels = result.settings.labels
    if max(labels) < 0:
        return None
    return [result.class_names[label] if label >= 0 else NO_CLASS for label in labels]


def _account(result: Result) -> str:
    """How the run was made, in one line."""
    settings, trajectory = result.settings, result.trajectory
    calls = network_evaluations(int(trajectory.calls[-1]), settings)
    end = f"**stopped at step {result.steps}** of" if result.stopped else "all"
    origin = "stored run" if result.seconds is None else f"sampled in {result.seconds:.1f} s"
    return (
        f"{origin.capitalize()} of the network *{result.network}*: {settings.sampler}, "
        f"s(T) = {settings.noise_level:g}, {end} {settings.steps} steps, {calls} network calls, "
        f"{len(settings.labels)} pictures, seed {settings.seed}."
    )


def _story(result: Result) -> None:
    """Below the picture: what it is, what to take away, why it works."""
    st.markdown(WHAT_YOU_SEE)
    settings = result.settings
    downloads.buttons(result.trajectory, _file_name(result))
    st.header("Why it works", divider="gray")
    st.markdown(WHY_IT_WORKS)
    st.markdown(HONEST)
    source(settings.sampler, SAMPLERS[settings.sampler], "source")
    _law(result.trajectory)
    trade_off.panel()


def _file_name(result: Result) -> str:
    network = result.network.replace("/", "-")
    return f"{network}-{result.settings.sampler}-{result.settings.seed}"


@st.fragment
def _law(trajectory: Trajectory) -> None:
    """The spread of ln x against the forward law."""
    with st.expander("Does the walk keep to its law?", key="law", on_change="rerun") as panel:
        if panel.open:
            from dale_demo.ui.sample.figures import spread

            st.markdown(ABOUT_SPREAD)
            st.plotly_chart(
                spread(trajectory.noise_levels, trajectory.fitted[:, 1], trajectory.theory[:, 1]),
                width="stretch",
                key="spread",
                config={"displaylogo": False},
            )
