"""Any picture file → the frame of a network, step by step, so that a page can show how.

Files come from strangers: they are decoded only if they are PNG, JPEG or WebP of bounded size, and
whatever is wrong with them ends in one sentence.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Grey = NDArray[np.float64]
"""A picture [H, W] with values in [0, 1]."""

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 10 * 2**20
MAX_PIXELS = 40_000_000
"""As many as a phone's camera takes; a small file can claim far more."""
WORKING_SIDE = 512
"""Longer side to which a picture is reduced before anything else."""
INK = 0.25
"""Share of the full range above which a pixel belongs to the content."""
LEAST_RANGE = 8 / 255
"""A picture whose values differ by less is one colour."""


class UploadError(ValueError):
    """The file cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Fitted:
    """A picture on its way into the frame.

    Args:
        colour: As uploaded, upright, without transparency, uint8 [H, W, 3].
        grey: Its brightness [H, W].
        inverted: Whether the background was bright, so that dark and bright were exchanged.
        content: Cut to what stands out, background at 0, brightest at 1 [h, w].
        frame: The content in the network's frame [size, size].
    """

    colour: NDArray[np.uint8]
    grey: Grey
    inverted: bool
    content: Grey
    frame: Grey


def fit(data: bytes, size: int = 28, content: int = 20) -> Fitted:
    """Fit a PNG, JPEG or WebP file into a frame, the way MNIST was made.

    Grey; inverted if the border is bright; background to 0; cut to the content; its longer side
    scaled to `content` pixels; its centre of mass set in the middle of `size` × `size` pixels.

    Raises:
        UploadError: Not such a file, too large, damaged, or of one colour only.
    """
    colour = _decode(data)
    grey = np.asarray(colour.convert("L"), np.float64) / 255
    if np.ptp(grey) < LEAST_RANGE:
        raise UploadError("This picture has one colour only; choose one with something on it.")
    ground = float(np.median(_border(grey)))
    inverted = ground > 0.5
    raised = (ground - grey if inverted else grey - ground).clip(0)
    if raised.max() < LEAST_RANGE:  # everything is on the other side of the border's value
        raised, inverted = np.abs(grey - ground), not inverted
    part = _cut(raised / raised.max())
    return Fitted(np.asarray(colour), grey, inverted, part, centre(part, size, content))


def centre(part: Grey, size: int, content: int) -> Grey:
    """Scale the longer side to `content`, then put the centre of mass in the middle of `size`.

    Raises:
        ValueError: The content is to be larger than the frame.
    """
    if not 1 <= content <= size:
        raise ValueError(f"The content must be in [1, {size}] pixels, got {content}.")
    factor = content / max(part.shape)
    height, width = (max(1, round(side * factor)) for side in part.shape)
    picture = Image.fromarray(part.astype(np.float32))
    small = np.asarray(picture.resize((width, height), Image.Resampling.BOX), np.float64)
    small = small / max(small.max(), 1e-9)
    frame = np.zeros((size, size))
    top, left = (
        _place(axis, side, size) for axis, side in ((small.sum(1), height), (small.sum(0), width))
    )
    frame[top : top + height, left : left + width] = small.clip(0, 1)
    return frame


def _place(mass: Grey, side: int, size: int) -> int:
    """Offset that brings the centre of `mass` [side] to the middle of `size`, kept inside."""
    middle = float(mass @ (np.arange(side) + 0.5) / mass.sum())
    return min(size - side, max(0, round(size / 2 - middle)))


def _decode(data: bytes) -> Image.Image:
    """Decode to RGB, upright, on a plain ground, reduced to the working size."""
    if len(data) > MAX_BYTES:
        raise UploadError(f"This file is larger than {MAX_BYTES >> 20} MB; choose a smaller one.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if math.prod(picture.size) > MAX_PIXELS:
                raise UploadError(
                    f"This picture has {picture.width:,} × {picture.height:,} pixels, more than "
                    f"{MAX_PIXELS // 10**6} million; make it smaller first."
                )
            picture.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
            picture.load()
            return _plain(ImageOps.exif_transpose(_reduced(_eight_bit(picture))))
    except UploadError:
        raise
    except Image.DecompressionBombError as error:
        raise UploadError("This picture claims to be enormous; choose a smaller one.") from error
    except Image.UnidentifiedImageError as error:
        raise UploadError("This is not a PNG, JPEG or WebP picture.") from error
    except Exception as error:  # a decoder may fail on a hostile file in any way at all
        raise UploadError("This file is damaged or cut off; save it anew and try again.") from error


def _eight_bit(picture: Image.Image) -> Image.Image:
    """The picture in 8 bits a channel, as grey, RGB, or RGBA where something is transparent."""
    if picture.mode.startswith("I"):  # Pillow's own conversion clips at 255
        deep = np.asarray(picture).astype(np.int64)
        eight = Image.fromarray((deep // 257).clip(0, 255).astype(np.uint8))
        eight.info.update(picture.info)
        eight.getexif().load(picture.getexif().tobytes())
        return eight
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture.convert("L" if picture.mode in ("1", "L") else "RGB")


def _reduced(picture: Image.Image) -> Image.Image:
    picture.thumbnail((WORKING_SIDE, WORKING_SIDE))
    return picture


def _plain(picture: Image.Image) -> Image.Image:
    """Set what is transparent on white or black, whichever is farther from what is not."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    pixels = np.asarray(picture.convert("LA"), np.float64)
    grey, alpha = pixels[..., 0], pixels[..., 1]
    mean = (grey * alpha).sum() / max(alpha.sum(), 1)
    ground = Image.new("RGBA", picture.size, "white" if mean < 128 else "black")
    return Image.alpha_composite(ground, picture).convert("RGB")


def _border(grey: Grey) -> Grey:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _cut(raised: Grey) -> Grey:
    """The smallest rectangle that holds everything brighter than `INK`."""
    rows, columns = (np.flatnonzero((raised > INK).any(axis)) for axis in (1, 0))
    return raised[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
