"""The page Sample: watch log-normal noise become images, and try every setting."""

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dale_demo.datasets import BUNDLED_NETWORKS, DEFAULT_NETWORK
from dale_demo.samplers import LANGEVIN, SAMPLERS
from dale_demo.sampling import SamplingSettings
from dale_demo.trajectory import Trajectory
from dale_demo.ui.sample import copies, downloads, stored_run, trade_off
from dale_demo.ui.sample.live import LatestRun, RunResult, network_evaluations, sample
from dale_demo.ui.sample.player import player
from dale_demo.ui.sample.settings import SampleRequest, controls, no_class_name
from dale_demo.ui.shared.equations import source
from dale_demo.ui.shared.estimate import ESTIMATOR, in_words, too_long
from dale_demo.ui.shared.networks import device, network

HEAD_START = 0.5
"""Seconds between the player and the widgets at the first visit.

Widgets make the browser load many scripts; sent at once, they would delay the first image.
"""

PROMPT_SECONDS = 0.5
"""A changed setting is sampled at once where that takes no longer."""

TAGLINE = (
    "Log-normal noise becomes images by multiplication alone. No value ever changes its "
    "sign, as no synapse does: Dale’s law. Paper: "
    "[arXiv 2510.02730](https://arxiv.org/abs/2510.02730)."
)
WHAT_YOU_SEE = (
    "One sampling run from noise to images: the state itself, the network’s estimate of the clean "
    "images behind it, and the score, which says where each pixel should go. Press play or drag. "
    "The sidebar (**»** on a phone) changes every setting, and a run of less than half a second "
    "follows at once; the page’s address keeps the settings."
)
WHY_IT_WORKS = r"""
$$
x \;\leftarrow\; x \circ \exp(\,\cdots)
$$

Every step multiplies each pixel by an exponential, and an exponential is always positive: what
was positive stays positive, at any step size. In ln x the same step is an addition, so
multiplicative noise is Gaussian there, and x is log-normal. The network supplies the direction:
from a noisy state it estimates the clean image, and that estimate gives the score, which points
back to the data.

(The *unconstrained* sampler multiplies by 1 + … instead, which can be negative: try it with few
steps, and see its pixels cross zero.)
"""
LIMITS = (
    "**A limit.** The paper’s settings start from s(T) = 0.8, where the noised images are not yet "
    "log-normal noise; the start does not have their distribution, and the samples are worse for "
    "it. From s(T) = 8 nothing of an image is left, and the start fits."
)
ABOUT_SPREAD = (
    "How far ln x spreads while the noise falls (read from left to right). The dashed line is "
    "the spread under the forward process at that noise level. Where the two differ, the run has "
    "left the forward process, and the network sees images unlike those it was trained on."
)


def page() -> None:
    """Draw the page."""
    st.title("Dale meets Langevin, live")
    st.markdown(TAGLINE)
    latest: LatestRun | None = st.session_state.get("latest_run")
    buttons, stage = st.container(horizontal=True, vertical_alignment="center"), st.empty()
    if latest is None:
        latest = st.session_state["latest_run"] = LatestRun()
        _show(_shown(latest), stage)
        time.sleep(HEAD_START)
        _settings_and_buttons(buttons, stage, latest)
    else:
        _settings_and_buttons(buttons, stage, latest)
        _show(_shown(latest), stage)
    _explain(_shown(latest))


def _shown(latest: LatestRun) -> RunResult:
    """The visitor's run; before there is one, the stored run of the network asked for."""
    if latest.result:
        return latest.result
    network = st.session_state.get("network", st.query_params.get("network"))
    return load_stored_result(network if network in BUNDLED_NETWORKS else DEFAULT_NETWORK)


@st.cache_resource(show_spinner=False)
def load_stored_result(network: str) -> RunResult:
    """The run that the page opens with for a bundled network, loaded once for all visitors."""
    settings, names = stored_run.default_settings(), stored_run.class_names(network)
    trajectory = stored_run.load_stored_run(network)
    return RunResult(trajectory, network, names, settings, settings.steps, None)


def _settings_and_buttons(
    buttons: DeltaGenerator, stage: DeltaGenerator, latest: LatestRun
) -> None:
    """The settings and the buttons; a press of Sample shows a run on the stage as it goes.

    So does a change of the settings, where the run is short.
    """
    with st.sidebar:
        request = _request()
    seconds = _seconds(request) if request else 0.0
    changed = _changed(request) and seconds <= PROMPT_SECONDS
    refusal = too_long(seconds, _reducible(request.settings)) if request else None
    with buttons:
        start = st.button(
            "Sample",
            key="sample",
            type="primary",
            icon=":material/play_arrow:",
            disabled=request is None or refusal is not None,
        )
        stop, remark = st.empty(), st.empty()
    if refusal:
        remark.warning(refusal)
        return
    if request and (start or changed):
        stop.button("Stop", key="stop", icon=":material/stop:")
        try:
            with stage.container():
                sample(request.network, network(request.folder), request.settings, latest)
        except ValueError as error:
            remark.warning(str(error))
        stop.empty()
    elif request:
        _remark(remark, _differs(request, _shown(latest)), in_words(seconds))


def _changed(request: SampleRequest | None) -> bool:
    """Whether the visitor has just changed a setting.

    Not where a link has brought it, nor where they chose another network, of which there may be a
    stored run to show.
    """
    before: SampleRequest | None = st.session_state.get("asked_before")
    st.session_state["asked_before"] = request
    if request is None or before is None:
        return False
    return request.network == before.network and request.settings != before.settings


def _seconds(request: SampleRequest) -> float:
    """How long the run that is asked for will take on this machine."""
    settings, architecture = request.settings, request.config.network
    images = len(settings.labels)
    return ESTIMATOR.seconds(architecture, device(), settings.network_evaluations, images)


def _reducible(settings: SamplingSettings) -> list[str]:
    """What would make a run shorter, in the words of the widgets."""
    choices = {
        "fewer steps": settings.steps > 1,
        "fewer repeats": settings.repeats > 1 and settings.sampler in LANGEVIN,
        "fewer images": len(settings.labels) > 1,
        "guidance 1": settings.network_evaluations > settings.score_evaluations,
    }
    return [what for what, possible in choices.items() if possible]


def _remark(place: DeltaGenerator, differs: bool, duration: str) -> None:
    """Beside the buttons: that the settings are not those shown, and how long they would take."""
    if differs:
        then = f": {duration}" if duration else ""
        place.caption(f"Press **Sample** to see these settings{then}.")
    elif duration:
        place.caption(f"{duration.capitalize()}.")


def _differs(request: SampleRequest, result: RunResult) -> bool:
    return (request.network, request.settings) != (result.network, result.settings)


def _request() -> SampleRequest | None:
    """The visitor's settings; None, with one sentence, where they do not go together."""
    try:
        return controls()
    except ValueError as error:
        st.warning(str(error))
        return None


def _show(result: RunResult, stage: DeltaGenerator) -> None:
    """The player, with one line that says what it plays."""
    with stage.container():
        player(result.trajectory, key="player", labels=_labels(result))
        st.caption(_account(result))


def _labels(result: RunResult) -> list[str] | None:
    """Class of each image; None if no class was asked for."""
    labels = result.settings.labels
    if max(labels) < 0:
        return None
    no_class = no_class_name(result.class_names)
    return [result.class_names[label] if label >= 0 else no_class for label in labels]


def _account(result: RunResult) -> str:
    """How the run was made, in one line."""
    settings, trajectory = result.settings, result.trajectory
    evaluations = network_evaluations(int(trajectory.score_evaluations[-1]), settings)
    end = f"**stopped at step {result.steps}** of" if result.stopped else "all"
    origin = "stored run" if result.seconds is None else f"sampled in {result.seconds:.1f} s"
    return (
        f"{origin.capitalize()} of the network *{result.network}*: {settings.sampler}, "
        f"s(T) = {settings.noise_level:g}, {end} {settings.steps} steps, {evaluations} network "
        f"evaluations, {len(settings.labels)} images, seed {settings.seed}."
    )


def _explain(result: RunResult) -> None:
    """Below the player: what it shows, what to download, why it works, how good it is."""
    st.markdown(WHAT_YOU_SEE)
    settings = result.settings
    downloads.buttons(result.trajectory, _file_name(result))
    st.header("Why it works", divider="gray")
    st.markdown(WHY_IT_WORKS)
    st.markdown(LIMITS)
    source(settings.sampler, SAMPLERS[settings.sampler], "source")
    _spread(result.trajectory)
    copies.panel(result.trajectory, result.network)
    trade_off.panel()


def _file_name(result: RunResult) -> str:
    network = result.network.replace("/", "-")
    return f"{network}-{result.settings.sampler}-{result.settings.seed}"


@st.fragment
def _spread(trajectory: Trajectory) -> None:
    """The spread of ln x against that of the forward process, in a panel."""
    title = "Does the run follow the forward process?"
    with st.expander(title, key="spread-panel", on_change="rerun") as panel:
        if panel.open:
            from dale_demo.ui.sample.figures import spread  # imports Plotly, which takes long

            st.markdown(ABOUT_SPREAD)
            st.plotly_chart(
                spread(trajectory.noise_levels, trajectory.fitted[:, 1], trajectory.theory[:, 1]),
                width="stretch",
                key="spread",
                config={"displaylogo": False},
            )
