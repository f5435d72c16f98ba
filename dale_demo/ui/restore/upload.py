"""Fit an uploaded image file into the frame of a network, step by step, as the page shows.

Uploads are not trusted: they are decoded only if they are PNG, JPEG or WebP of bounded size, and
anything wrong with them becomes one sentence.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dale_demo.ui.restore.images import Intensity

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 10 * 2**20
MAX_PIXELS = 40_000_000
"""As many as a phone's camera takes; a small file can claim far more, and so fill the memory."""
WORKING_SIDE = 512
"""Longer side to which an image is reduced before anything else."""
INK = 0.25
"""Share of the full range above which a pixel belongs to the content."""
LEAST_RANGE = 8 / 255
"""An image whose values differ by less counts as one colour."""


class UploadError(ValueError):
    """The file cannot be used; the message says why and what to do."""


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
    """Fit a PNG, JPEG or WebP file into a frame, the way MNIST was made.

    Convert to grey, invert if the border is bright, set the background to 0, crop to the content,
    scale its longer side to `content` pixels, and put its centre of mass in the middle of
    `size` × `size` pixels.

    Raises:
        UploadError: The file is of another kind, too large, damaged, or of one colour only.
    """
    colour = _decode(data)
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


def _decode(data: bytes) -> Image.Image:
    """Decode to RGB, upright, on a plain ground, reduced to the working size.

    The formats are named, and the size is checked before any pixel is decoded, as each decoder of
    Pillow is code that a hostile file can reach.
    """
    if len(data) > MAX_BYTES:
        raise UploadError(f"This file is larger than {MAX_BYTES >> 20} MB; choose a smaller one.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if math.prod(image.size) > MAX_PIXELS:
                raise UploadError(
                    f"This image has {image.width:,} × {image.height:,} pixels, more than "
                    f"{MAX_PIXELS // 10**6} million; make it smaller first."
                )
            image.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
            image.load()
            return _plain(ImageOps.exif_transpose(_reduced(_eight_bit(image))))
    except UploadError:
        raise
    except Image.DecompressionBombError as error:
        raise UploadError("This image claims to be enormous; choose a smaller one.") from error
    except Image.UnidentifiedImageError as error:
        raise UploadError("This is not a PNG, JPEG or WebP image.") from error
    except Exception as error:  # a decoder may fail on a hostile file in any way at all
        raise UploadError("This file is damaged or cut off; save it anew and try again.") from error


def _eight_bit(image: Image.Image) -> Image.Image:
    """The image in 8 bits a channel, as grey, RGB, or RGBA where something is transparent."""
    if image.mode.startswith("I"):  # Pillow's own conversion clips at 255
        deep = np.asarray(image).astype(np.int64)
        eight = Image.fromarray((deep // 257).clip(0, 255).astype(np.uint8))
        eight.info.update(image.info)
        eight.getexif().load(image.getexif().tobytes())
        return eight
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _reduced(image: Image.Image) -> Image.Image:
    image.thumbnail((WORKING_SIDE, WORKING_SIDE))
    return image


def _plain(image: Image.Image) -> Image.Image:
    """Set what is transparent on white or black, whichever is farther from what is not."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    pixels = np.asarray(image.convert("LA"), np.float64)
    grey, alpha = pixels[..., 0], pixels[..., 1]
    mean = (grey * alpha).sum() / max(alpha.sum(), 1)
    ground = Image.new("RGBA", image.size, "white" if mean < 128 else "black")
    return Image.alpha_composite(ground, image).convert("RGB")


def _border(grey: Intensity) -> Intensity:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _crop(raised: Intensity) -> Intensity:
    """The smallest rectangle that holds everything brighter than `INK`."""
    rows, columns = (np.flatnonzero((raised > INK).any(axis)) for axis in (1, 0))
    return raised[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
