"""A canvas to draw an image on, or a mask over an image; pixel_canvas.js does the painting."""

from typing import Any

import numpy as np
import streamlit as st

from dale_demo.drawing import palette
from dale_demo.ui.restore.images import GreyImage, Mask
from dale_demo.ui.shared.assets import asset

_component = st.components.v2.component(
    "dale_canvas",
    html='<div class="player canvas"></div>\n',
    css=asset("shared/film.css", "restore/pixel_canvas.css"),
    js=asset("restore/pixel_canvas.js"),
)


def drawing(start: GreyImage, *, key: str) -> GreyImage:
    """Draw the canvas, and return what is drawn on it, uint8 [H, W].

    Args:
        start: What is on it at first, square.
        key: Of the component on its page.
    """
    return _painted("Drawing", start, np.zeros_like(start), key, identity=key, mask=False)


def mask(start: Mask, image: GreyImage, *, key: str, identity: str) -> Mask:
    """Draw an image to paint a mask on, and return the mask, bool [H, W].

    Args:
        start: Mask at first.
        image: What lies below, uint8 [H, W].
        key: Of the component on its page.
        identity: A new value discards what is painted and begins with `start` again.
    """
    ink = start.astype(np.uint8) * 255
    return _painted("Mask", ink, image, key, identity=identity, mask=True) > 127


def _painted(
    label: str, ink: GreyImage, ground: GreyImage, key: str, *, identity: str, mask: bool
) -> GreyImage:
    data = {
        "id": identity,
        "label": label,
        "size": len(ink),
        "mask": mask,
        "ink": ink.tobytes().hex(),
        "ground": ground.tobytes().hex(),
        "colour": palette.EXCITATORY,
    }
    result = _component(data=data, key=key, on_painted_change=_nothing)
    return parse(result.get("painted"), identity, ink)


def _nothing() -> None:
    """Streamlit reports a changed value only to a component that has a callback for it."""


def parse(painted: Any, identity: str, start: GreyImage) -> GreyImage:
    """The painted pixels that the browser sent; `start` where they cannot be used.

    Anything can come from a browser: of another canvas, of another size, or no message of ours.
    """
    if not isinstance(painted, dict) or painted.get("id") != identity:
        return start
    ink = painted.get("ink")
    if not isinstance(ink, str) or len(ink) != 2 * start.size:  # two hexadecimal digits a pixel
        return start
    try:
        return np.frombuffer(bytes.fromhex(ink), np.uint8).reshape(start.shape)
    except ValueError:
        return start
