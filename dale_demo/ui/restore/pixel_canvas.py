"""A canvas to draw on, or to paint a mask on over a picture; all painting is in canvas.js."""

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dale_demo.drawing import palette
from dale_demo.ui.shared.assets import asset

Grey = NDArray[np.uint8]

_component = st.components.v2.component(
    "dale_canvas",
    html='<div class="player canvas"></div>\n',
    css=asset("shared/film.css", "restore/pixel_canvas.css"),
    js=asset("restore/pixel_canvas.js"),
)


def drawing(start: Grey, *, key: str) -> Grey:
    """Draw the canvas, and return what is drawn on it, uint8 [H, W].

    Args:
        start: What is on it at first, square.
        key: Of the component on its page.
    """
    return _painted("Drawing", start, np.zeros_like(start), key, identity=key, mask=False)


def mask(start: NDArray[np.bool_], picture: Grey, *, key: str, identity: str) -> NDArray[np.bool_]:
    """Draw a picture to paint a mask on, and return the mask, bool [H, W].

    Args:
        start: Mask at first.
        picture: What lies below, uint8 [H, W].
        key: Of the component on its page.
        identity: With another, the mask starts anew.
    """
    ink = start.astype(np.uint8) * 255
    return _painted("Mask", ink, picture, key, identity=identity, mask=True) > 127


def _painted(label: str, ink: Grey, ground: Grey, key: str, *, identity: str, mask: bool) -> Grey:
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
    """The rerun itself is what the browser asks for."""


def parse(painted: Any, identity: str, start: Grey) -> Grey:
    """What the browser says was painted; `start` where it says nothing usable."""
    if not isinstance(painted, dict) or painted.get("id") != identity:
        return start
    try:
        ink = bytes.fromhex(painted["ink"])
    except (KeyError, TypeError, ValueError):
        return start
    return np.frombuffer(ink, np.uint8).reshape(start.shape) if len(ink) == start.size else start
