"""The image to noise: a stored test image, a drawing, or an upload."""

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dale_demo.datasets import DATASETS
from dale_demo.ui.restore import stored_run
from dale_demo.ui.restore.decode import MAX_BYTES, UploadError, decode
from dale_demo.ui.restore.gallery import Item, gallery
from dale_demo.ui.restore.images import GreyImage, grey
from dale_demo.ui.restore.pixel_canvas import drawing
from dale_demo.ui.restore.settings import DRAWN, UPLOADED, RestoreRequest
from dale_demo.ui.restore.upload import Fitted, fit_image
from dale_demo.ui.shared.queue import wait_turn

FRAME = 28
"""Side of the frames for which `DatasetInfo.content_size` is given."""
DECODED = "decoded"
"""Key of the session's last upload: the file's identity, and its image, or what is wrong."""


def chosen_image(request: RestoreRequest) -> GreyImage | None:
    """The image that is asked for; None while there is none.

    Raises:
        ValueError: An upload cannot be used.
    """
    size = request.config.network.image_size
    if request.source == DRAWN:
        return _drawn(size)
    if request.source == UPLOADED:
        return _uploaded(size, _content_size(request.config.dataset) * size // FRAME)
    shown = stored_run.load_examples(request.config.dataset)
    assert shown is not None  # else the settings offer no class
    return shown[request.config.class_names.index(request.source)]


def _content_size(dataset: str) -> int:
    return DATASETS[dataset].content_size if dataset in DATASETS else FRAME


def _drawn(size: int) -> GreyImage | None:
    st.markdown("**Draw here**, by mouse, finger or arrow keys and space.")
    before = st.session_state.get("drawing")
    # A network of another size needs a canvas of that size, which starts empty.
    start = before if before is not None and len(before) == size else np.zeros((size, size), "u1")
    drawn = drawing(start, key="canvas")
    st.session_state["drawing"] = drawn
    return drawn if drawn.any() else None


def _uploaded(size: int, content: int) -> GreyImage | None:
    file = st.file_uploader(
        "An image of one thing on a plain ground: PNG, JPEG or WebP",
        ["png", "jpg", "jpeg", "webp"],
        key="upload",
        max_upload_size=MAX_BYTES >> 20,
        help="It stays in this session and is deleted when you leave.",
    )
    if file is None:
        st.session_state.pop(DECODED, None)
        return None
    fitted = fit_image(_decoded(file), size, content)
    gallery(_fitting(fitted))
    return grey(fitted.frame)[..., 0]


def _decoded(file: UploadedFile) -> Image.Image:
    """The image of an upload, decoded once in its turn, whatever else is clicked afterwards.

    Raises:
        UploadError: It cannot be used.
    """
    identity, outcome = st.session_state.get(DECODED, (None, None))
    if identity != file.file_id:
        with wait_turn(st.empty()):
            try:
                outcome = decode(file.getvalue())
            except UploadError as error:
                outcome = str(error)
        st.session_state[DECODED] = file.file_id, outcome
    if isinstance(outcome, str):
        raise UploadError(outcome)
    return outcome


def _fitting(fitted: Fitted) -> list[Item]:
    """How the upload was fitted into the frame, step by step."""
    ground = "the background is bright, so inverted" if fitted.inverted else "the ground is dark"
    size = len(fitted.frame)
    return [
        (fitted.colour, "uploaded", ""),
        (grey(fitted.grey), "grey", ""),
        (grey(fitted.content), "content", f"{ground}; cropped to its content"),
        (grey(fitted.frame), "framed", f"{size} × {size}, centre of mass in the middle"),
    ]
