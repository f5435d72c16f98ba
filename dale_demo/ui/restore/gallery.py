"""Small pictures in rows that wrap, with sharp pixels and a caption each."""

import base64
import html
from collections.abc import Sequence
from typing import Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dale_demo.drawing.frames import ImageArray, png_bytes
from dale_demo.drawing.palette import EXCITATORY, rgb
from dale_demo.ui.shared.assets import asset

Item = tuple[ImageArray, str, str]
"""ImageArray [H, W, C], its name, and what is to be said of it."""
Look = Literal["row", "small", "pair"]
"""Captions under the pictures; the same, smaller; or two halves, with captions at the side."""


def gallery(items: Sequence[Item], look: Look = "row") -> None:
    """Draw the pictures; they wrap where the page is narrow."""
    st.html(markup(items, look))


def markup(items: Sequence[Item], look: Look = "row") -> str:
    """The gallery as HTML that needs nothing else."""
    figures = "".join(_figure(*item) for item in items)
    style = f"<style>{asset('restore/gallery.css')}</style>"
    return f'{style}<div class="gallery {look}">{figures}</div>'


def grey(pixels: NDArray[np.float64]) -> ImageArray:
    """Pixels in [0, 1] [H, W] → [H, W, 1]."""
    return (pixels.clip(0, 1) * 255).round().astype(np.uint8)[..., None]


def heat(values: NDArray[np.float64], top: float) -> ImageArray:
    """Values from 0 to `top` > 0 [H, W] → black to the palette's warm colour [H, W, 3]."""
    shade = (values / top).clip(0, 1)[..., None] * np.array(rgb(EXCITATORY))
    return shade.round().astype(np.uint8)


def _figure(picture: ImageArray, name: str, text: str) -> str:
    source = "data:image/png;base64," + base64.b64encode(png_bytes(picture)).decode()
    name, text = html.escape(name), html.escape(text)
    caption = f"<figcaption><b>{name}</b> {text}</figcaption>" if name or text else ""
    return (
        f'<figure><img src="{source}" alt="{name or "one of several answers"}">{caption}</figure>'
    )
