"""The section Fill a hole: paint a mask over the image, and fill it in several ways."""

import numpy as np
import streamlit as st
import torch
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from dale_demo import restoration as lib
from dale_demo.data import positive
from dale_demo.drawing import palette
from dale_demo.ui.restore import stored_run, story
from dale_demo.ui.restore.gallery import Item, gallery
from dale_demo.ui.restore.images import GreyImage, Mask, grey
from dale_demo.ui.restore.pixel_canvas import mask
from dale_demo.ui.restore.session import keep, last_results, run_with_progress
from dale_demo.ui.restore.settings import RestoreRequest
from dale_demo.ui.shared import networks


def holes_section(request: RestoreRequest, image: GreyImage) -> None:
    """Draw the mask to paint on, the button, and what was filled last."""
    st.header("Fill a hole", divider="gray")
    st.markdown(story.ABOUT_HOLES)
    canvas, result = st.columns([1, 2], gap="medium")
    with canvas:
        start = stored_run.holes(len(image))[request.hole]
        # Another hole or image begins a new mask; a rerun for another reason keeps what is painted.
        identity = f"{request.hole}-{hash(image.tobytes())}"
        hole = mask(start, image, key="mask", identity=identity)
    with result:
        pressed = st.button("Fill", key="fill", type="primary", icon=":material/format_paint:")
        remark = st.empty()
        if pressed:
            _fill(request, image, hole, remark)
        if last_results().filled[0] != request_key(request, image, hole):
            remark.caption("Press **Fill** to see this hole filled.")
        gallery(_filled())


def _fill(request: RestoreRequest, image: GreyImage, hole: Mask, remark: DeltaGenerator) -> None:
    """Fill the hole and keep the samples; or say in one sentence why that cannot be."""
    x0 = positive(torch.from_numpy(image))[None]

    def work(watch: lib.Watch) -> NDArray[np.float64]:
        return lib.intensity(
            lib.fill(
                networks.network(request.folder),
                x0,
                torch.from_numpy(hole),
                steps=stored_run.FILL_STEPS,
                answers=request.answers,
                seed=request.settings.seed,
                watch=watch,
            )
        )

    try:
        answers = run_with_progress("Filling", stored_run.FILL_STEPS, work)
    except ValueError as error:
        remark.warning(str(error))
        return
    keep(filled=(request_key(request, image, hole), image, hole, answers))


def _filled() -> list[Item]:
    """The last image with its hole, and the samples of it filled."""
    _, image, hole, answers = last_results().filled
    holed = np.where(hole[..., None], palette.rgb(palette.EXCITATORY), image[..., None])
    known = holed.astype(np.uint8), "known", "and the hole"
    return [known, *((grey(answer[0]), "", "") for answer in answers)]


def request_key(request: RestoreRequest, image: GreyImage, hole: Mask) -> object:
    """Everything that the samples of a filled hole depend on."""
    seed = request.settings.seed
    return request.folder, seed, request.answers, image.tobytes(), hole.tobytes()
