"""Fit an uploaded image into the frame of a network, step by step, as the page shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dale_demo.ui.restore.decode import MAX_BYTES, UploadError, decode
from dale_demo.ui.restore.images import Intensity

__all__ = ["MAX_BYTES", "Fitted", "UploadError", "centre", "fit", "fit_image"]

INK = 0.25
"""Share of the full range above which a pixel belongs to the content."""
LEAST_RANGE = 8 / 255
"""An image whose values differ by less counts as one colour."""


@dataclass(frozen=True)
class Fitted:
    """The stages of an image on its way into the frame.

    Args:
        colour: As uploaded, upright, without transparency, uint8 [H, W, 3].
        grey: Its brightness [H, W].
        inverted: Whether the background was bright, so that the image was inverted.
        content: Cropped to what is brighter than `INK`, background at 0, brightest at 1 [h, w].
        frame: The content in the network's frame [size, size].
    """

    colour: NDArray[np.uint8]
    grey: Intensity
    inverted: bool
    content: Intensity
    frame: Intensity


def fit(data: bytes, size: int = 28, content: int = 20) -> Fitted:
    """Decode a PNG, JPEG or WebP file and fit it into a frame; see `decode` and `fit_image`.

    Raises:
        UploadError: The file cannot be decoded, or is of one colour only.
    """
    return fit_image(decode(data), size, content)


def fit_image(colour: Image.Image, size: int = 28, content: int = 20) -> Fitted:
    """Fit an RGB image into a frame, the way MNIST was made.

    Convert to grey, invert if the border is bright, set the background to 0, crop to the content,
    scale its longer side to `content` pixels, and put its centre of mass in the middle of
    `size` × `size` pixels.

    Raises:
        UploadError: The image is of one colour only.
    """
    grey = np.asarray(colour.convert("L"), np.float64) / 255
    if np.ptp(grey) < LEAST_RANGE:
        raise UploadError("This image has one colour only; choose one with something on it.")
    ground = float(np.median(_border(grey)))
    inverted = ground > 0.5
    raised = (ground - grey if inverted else grey - ground).clip(0)
    if raised.max() < LEAST_RANGE:  # the content is all on the other side of the ground, as in grey
        raised, inverted = np.abs(grey - ground), not inverted
    part = _crop(raised / raised.max())
    return Fitted(np.asarray(colour), grey, inverted, part, centre(part, size, content))


def centre(part: Intensity, size: int, content: int) -> Intensity:
    """Scale the longer side to `content`, then put the centre of mass in the middle of `size`.

    Raises:
        ValueError: The content would be larger than the frame.
    """
    if not 1 <= content <= size:
        raise ValueError(f"The content must be in [1, {size}] pixels, got {content}.")
    factor = content / max(part.shape)
    height, width = (max(1, round(side * factor)) for side in part.shape)
    image = Image.fromarray(part.astype(np.float32))
    small = np.asarray(image.resize((width, height), Image.Resampling.BOX), np.float64)
    small = small / max(small.max(), 1e-9)
    frame = np.zeros((size, size))
    top, left = (
        _offset(axis, side, size) for axis, side in ((small.sum(1), height), (small.sum(0), width))
    )
    frame[top : top + height, left : left + width] = small.clip(0, 1)
    return frame


def _offset(mass: Intensity, side: int, size: int) -> int:
    """Offset that brings the centre of `mass` [side] to the middle of `size`, kept inside."""
    middle = float(mass @ (np.arange(side) + 0.5) / mass.sum())
    return min(size - side, max(0, round(size / 2 - middle)))


def _border(grey: Intensity) -> Intensity:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _crop(raised: Intensity) -> Intensity:
    """The smallest rectangle that holds everything brighter than `INK`."""
    rows, columns = (np.flatnonzero((raised > INK).any(axis)) for axis in (1, 0))
    return raised[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
