"""Buttons that download a trajectory as PNG, WebP, GIF or NPZ, each encoded when it is pressed."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from dale_demo.drawing.frames import (
    ImageArray,
    durations,
    enlarge,
    gif_bytes,
    grid,
    png_bytes,
    webp_bytes,
)
from dale_demo.trajectory import Trajectory

PNG_ENLARGED, ANIMATION_ENLARGED = 4, 2


def png(trajectory: Trajectory) -> bytes:
    """Encode the images of the last frame as a grid with sharp pixels."""
    return png_bytes(enlarge(grid(trajectory.images), PNG_ENLARGED))


def webp(trajectory: Trajectory) -> bytes:
    """Encode state and estimate side by side as an endless WebP."""
    sheets = _sheets(trajectory)
    return webp_bytes(sheets, durations(len(sheets)))


def gif(trajectory: Trajectory) -> bytes:
    """Encode state and estimate side by side as an endless GIF."""
    sheets = _sheets(trajectory)
    return gif_bytes(sheets, durations(len(sheets)))


FILES: dict[str, tuple[Callable[[Trajectory], bytes], str, str]] = {
    "PNG": (png, "image/png", "The images, four times as large."),
    "WebP": (webp, "image/webp", "The animation, small and in full colour."),
    "GIF": (gif, "image/gif", "The animation for programs that do not read WebP."),
    "NPZ": (
        Trajectory.npz_bytes,
        "application/octet-stream",
        "Frames, histograms and paths as NumPy arrays, with the field names of Trajectory.",
    ),
}


def buttons(trajectory: Trajectory, name: str) -> None:
    """Draw one button for each file; `name` is the files' name without its ending."""
    with st.container(horizontal=True):
        for label, (encode, mime, what) in FILES.items():
            st.download_button(
                label,
                partial(encode, trajectory),
                f"{name}.{label.lower()}",
                mime,
                key=f"download-{label.lower()}",
                help=what,
                on_click="ignore",
                icon=":material/download:",
            )


def _sheets(trajectory: Trajectory) -> list[ImageArray]:
    return [enlarge(sheet, ANIMATION_ENLARGED) for sheet in trajectory.sheets()]
