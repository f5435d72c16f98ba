"""The page Noise and restore: multiply an image by noise, and let a network remove it."""

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dale_demo.evaluation.restorations import WINDOW
from dale_demo.ui.restore import holes_section, restore_section, stored_run, story
from dale_demo.ui.restore.image_source import chosen_image
from dale_demo.ui.restore.images import GreyImage
from dale_demo.ui.restore.noise_section import noise_section
from dale_demo.ui.restore.session import KEY, SessionResults, last_results
from dale_demo.ui.restore.settings import RestoreRequest, controls, default_request

HEAD_START = 0.5
"""Seconds between the stored images and the widgets at the first visit.

Widgets make the browser load many scripts; sent at once, they would delay the first images.
"""


def page() -> None:
    """Draw the page."""
    st.title("Noise and restore")
    st.markdown(story.TAGLINE)
    source, stage = st.container(), st.empty()
    if KEY not in st.session_state:
        st.session_state[KEY] = load_stored_results()
        with stage.container():
            image = stored_run.load_example()
            restore_section.show_restoration(image, last_results().restored[1])
        time.sleep(HEAD_START)
    try:
        with st.sidebar:
            request = controls()
        with source:
            chosen = chosen_image(request)
    except ValueError as error:
        source.warning(str(error))
        return
    if chosen is None:
        stage.empty()
    else:
        _show(request, chosen, stage)
    story.tell(request.config)


def _show(request: RestoreRequest, image: GreyImage, stage: DeltaGenerator) -> None:
    """Everything about one image; what needs the network comes after what does not."""
    noise, quality, holes = st.container(), st.container(), st.container()
    with noise:
        noise_section(request, image)
    with holes:
        holes_section.holes_section(request, image)
    with stage.container():
        try:
            restoration = restore_section.restored(request, image)
        except ValueError as error:
            st.warning(str(error))
            return
        restore_section.show_restoration(image, restoration)
        st.caption(story.account(request))
    if len(image) < WINDOW:
        quality.caption(f"Images below {WINDOW} × {WINDOW} pixels have no SSIM to compare.")
        return
    with quality:
        table = restore_section.quality_table(request, image, restoration)
        story.qualities(table, request.settings)


@st.cache_resource(show_spinner=False)
def load_stored_results() -> SessionResults:
    """The results that the page opens with, under the keys of the default request."""
    restoration, answers = stored_run.load_stored_run()
    request, image = default_request(), stored_run.load_example()
    hole = stored_run.holes(len(image))[request.hole]
    filled_key = holes_section.request_key(request, image, hole)
    restored = restore_section.request_key(request, image), restoration
    return SessionResults(restored, (None, {}), (filled_key, image, hole, answers))
