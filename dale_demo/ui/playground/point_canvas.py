"""A square on which the visitor paints points by mouse or touch."""

from collections.abc import Callable

import streamlit as st

from dale_demo.drawing import palette
from dale_demo.toy import SIDE
from dale_demo.ui.playground.settings import CELLS, MOST_POINTS
from dale_demo.ui.shared.assets import asset

_component = st.components.v2.component(
    "dale_point_canvas",
    html='<section class="player point-canvas" aria-label="Paint points"></section>\n',
    css=asset("shared/film.css", "playground/point_canvas.css"),
    js=asset("shared/film.js", "playground/point_canvas.js"),
)


def point_canvas(points: str, *, key: str, on_paint: Callable[[], None]) -> None:
    """Draw the canvas with `points` on it.

    Args:
        points: As `settings.encode` writes them.
        key: Of the component; `st.session_state[key].painted` holds what was painted.
        on_paint: Called when a stroke has ended.
    """
    data = {
        "points": points,
        "cells": CELLS,
        "side": SIDE,
        "most": MOST_POINTS,
        "colour": palette.STATE,
    }
    _component(data=data, key=key, on_painted_change=on_paint)
