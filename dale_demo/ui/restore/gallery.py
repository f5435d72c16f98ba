"""Small images in rows that wrap, with sharp pixels and a caption each."""

import base64
import html
from collections.abc import Sequence
from typing import Literal

import streamlit as st

from dale_demo.drawing.frames import ImageArray, png_bytes
from dale_demo.ui.shared.assets import asset

Item = tuple[ImageArray, str, str]
"""An image, its name, and what is to be said of it; one of several samples has neither."""
Look = Literal["row", "small", "pair"]
"""Captions below the images; the same, smaller; or two columns with captions at the side."""


def gallery(items: Sequence[Item], look: Look = "row") -> None:
    """Draw the images; they wrap where the page is narrow."""
    st.html(markup(items, look))


def markup(items: Sequence[Item], look: Look = "row") -> str:
    """The gallery as HTML that needs no other file."""
    figures = "".join(_figure(*item) for item in items)
    style = f"<style>{asset('restore/gallery.css')}</style>"
    return f'{style}<div class="gallery {look}">{figures}</div>'


def _figure(image: ImageArray, name: str, text: str) -> str:
    # A data URL, as the images are a few hundred bytes each and a request for each takes longer.
    source = "data:image/png;base64," + base64.b64encode(png_bytes(image)).decode()
    name, text = html.escape(name), html.escape(text)
    caption = f"<figcaption><b>{name}</b> {text}</figcaption>" if name or text else ""
    alt = name or "one of several samples"
    return f'<figure><img src="{source}" alt="{alt}">{caption}</figure>'
