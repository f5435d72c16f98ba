"""Turn states into images, lay images out in grids, and encode them as PNG, JPEG, WebP or GIF.

Images are uint8 with channels last, [H, W, C] with C = 1 (grey) or 3 (RGB).
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dale_demo.data import PositiveMap
from dale_demo.drawing.palette import EXCITATORY, INHIBITORY, rgb

ImageArray = NDArray[np.uint8]
"""One image [H, W, C], or several along further axes in front."""
FRAME_MS, LAST_FRAME_MS = 60, 1500
"""Milliseconds that an animation shows a frame, and its last one, which is the result."""


def tone_map(
    x: Tensor,
    log_drift: float = 0.0,
    noise_level: float = 0.0,
    width: float = 2.0,
    positive_map: PositiveMap = PositiveMap.SHIFT,
) -> Tensor:
    """Show a state as an image, with an exposure that follows the noise level.

    Where the data have ln x₀ ∈ [0, b], the range [−w s, b + w s] of u = ln|x| − m(t) is mapped
    linearly to [0, b] and shown as data would be. At s = 0 the result is exactly the data's pixels.

    Args:
        x: State [B, C, H, W], any sign.
        log_drift: m(t).
        noise_level: s(t).
        width: w, the margin on either side in noise levels.
        positive_map: Map from pixels to positive data.

    Returns:
        uint8 [B, H, W, C].
    """
    margin, white = width * noise_level, positive_map.log_white
    brightness = (x.abs().log() - log_drift + margin) / (white + 2 * margin)
    return positive_map.pixels((white * brightness.clamp(0, 1)).exp()).permute(0, 2, 3, 1)


def tint(images: Tensor, negative: Tensor) -> Tensor:
    """Colour pixels where `negative` [B, C, H, W] is true; uint8 [B, H, W, C] → [B, H, W, 3]."""
    coloured = images.expand(*images.shape[:-1], 3)
    cool = torch.tensor(rgb(INHIBITORY), dtype=torch.uint8, device=images.device)
    return torch.where(negative.any(1).unsqueeze(-1), cool, coloured)


def diverging(levels: ImageArray) -> ImageArray:
    """Colour levels [..., 1]: 128 is black, 255 warm and 1 cool; uint8 [..., 3]."""
    return _DIVERGING[levels[..., 0]]


def _diverging_colours() -> ImageArray:
    signed = ((np.arange(256) - 128) / 127).clip(-1, 1)[:, None]
    colours = np.where(signed > 0, rgb(EXCITATORY), rgb(INHIBITORY)) * np.abs(signed)
    return colours.round().astype(np.uint8)


_DIVERGING = _diverging_colours()


def grid(images: ImageArray, columns: int | None = None, gap: int = 2) -> ImageArray:
    """Lay images [B, H, W, C] out row by row on black → [H', W', C].

    Args:
        columns: Images in a row; those of `columns_for` if None.
        gap: Pixels between images and around them.
    """
    count, height, width, channels = images.shape
    columns = columns or columns_for(count)
    rows = math.ceil(count / columns)
    sheet = np.zeros(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), np.uint8
    )
    for i, image in enumerate(images):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def columns_for(count: int) -> int:
    """Columns of a grid of `count` images: 10 or 5 for multiples of ten, else near-square."""
    if count % 10 == 0:
        return 10 if count > 20 else 5
    return math.ceil(math.sqrt(count))


def side_by_side(left: ImageArray, right: ImageArray, gap: int = 8) -> ImageArray:
    """Put two images of equal height side by side; grey becomes RGB if the other is RGB."""
    channels = max(left.shape[2], right.shape[2])
    parts = [np.broadcast_to(p, (*p.shape[:2], channels)) for p in (left, right)]
    bar = np.zeros((left.shape[0], gap, channels), np.uint8)
    return np.concatenate([parts[0], bar, parts[1]], axis=1)


def enlarge(image: ImageArray, factor: int) -> ImageArray:
    """Repeat every pixel `factor` times in both directions, keeping edges sharp."""
    return image.repeat(factor, 0).repeat(factor, 1)


def png_bytes(image: ImageArray) -> bytes:
    """Encode as PNG, lossless."""
    return _encode(image, format="PNG", optimize=True)


def jpeg_bytes(image: ImageArray, quality: int = 90) -> bytes:
    """Encode as JPEG, the fastest format to encode and to show; `quality` from 0 to 95."""
    # Colour at full resolution: at half, as is usual, a single tinted pixel would be lost.
    return _encode(image, format="JPEG", quality=quality, subsampling=0)


def webp_bytes(frames: Sequence[ImageArray], durations: Sequence[int] | int = 60) -> bytes:
    """Encode a looping animation as WebP; `durations` in milliseconds, one or one per frame."""
    return _animate(frames, durations, format="WEBP", quality=80, method=4)


def gif_bytes(frames: Sequence[ImageArray], durations: Sequence[int] | int = 60) -> bytes:
    """Encode a looping animation as GIF; `durations` in milliseconds, one or one per frame."""
    return _animate(frames, durations, format="GIF", optimize=True)


def _pillow(image: ImageArray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else np.ascontiguousarray(image))


def _encode(image: ImageArray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    _pillow(image).save(buffer, **options)
    return buffer.getvalue()


def _animate(frames: Sequence[ImageArray], durations: Sequence[int] | int, **options: Any) -> bytes:
    if not frames:
        raise ValueError("An animation needs at least one frame.")
    first, *rest = map(_pillow, frames)
    buffer = io.BytesIO()
    first.save(
        buffer,
        save_all=True,
        append_images=rest,
        duration=durations if isinstance(durations, int) else list(durations),
        loop=0,
        **options,
    )
    return buffer.getvalue()


def durations(count: int) -> list[int]:
    """Milliseconds of each of `count` frames; the last one is shown for longer."""
    return [FRAME_MS] * (count - 1) + [LAST_FRAME_MS]
