"""Tensors in, pictures out: exposure, grids, and the encoded PNG, JPEG, WebP and GIF bytes.

Pictures are uint8 with channels last, [H, W, C] with C = 1 (grey) or 3 (RGB).
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
from dale_demo.drawing.palette import INHIBITORY, rgb

ImageArray = NDArray[np.uint8]


def tone_map(
    x: Tensor,
    log_drift: float = 0.0,
    noise_level: float = 0.0,
    width: float = 2.0,
    positive_map: PositiveMap = PositiveMap.SHIFT,
) -> Tensor:
    """Develop a state into a picture whose exposure follows the noise.

    With ln x₀ ∈ [0, b] for the data, [−w s, b + w s] of u = ln|x| − m(t) is drawn together to
    [0, b], and shown as the data are. Without noise these are exactly the data's own pixels.

    Args:
        x: State [B, C, H, W], any sign.
        log_drift: m(t).
        noise_level: s(t).
        width: w, how many noise levels fit on either side.
        positive_map: Of the data.

    Returns:
        uint8 [B, H, W, C].
    """
    margin, white = width * noise_level, positive_map.log_white
    brightness = (x.abs().log() - log_drift + margin) / (white + 2 * margin)
    return positive_map.pixels((white * brightness.clamp(0, 1)).exp()).permute(0, 2, 3, 1)


def tint(pictures: Tensor, negative: Tensor) -> Tensor:
    """Colour the pixels where `negative` [B, C, H, W] holds; uint8 [B, H, W, C] → [B, H, W, 3]."""
    coloured = pictures.expand(*pictures.shape[:-1], 3)
    cool = torch.tensor(rgb(INHIBITORY), dtype=torch.uint8, device=pictures.device)
    return torch.where(negative.any(1).unsqueeze(-1), cool, coloured)


def grid(pictures: ImageArray, columns: int | None = None, gap: int = 2) -> ImageArray:
    """Lay pictures [B, H, W, C] out in rows on black → [H', W', C]; near-square by default."""
    count, height, width, channels = pictures.shape
    columns = columns or columns_for(count)
    rows = math.ceil(count / columns)
    sheet = np.zeros(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), np.uint8
    )
    for i, picture in enumerate(pictures):
        top, left = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def columns_for(count: int) -> int:
    """Columns of a grid of `count` pictures: ten classes fill rows of 10 or 5, others a square."""
    if count % 10 == 0:
        return 10 if count > 20 else 5
    return math.ceil(math.sqrt(count))


def side_by_side(left: ImageArray, right: ImageArray, gap: int = 8) -> ImageArray:
    """Set two pictures of one height beside each other; grey becomes RGB where the other is."""
    channels = max(left.shape[2], right.shape[2])
    parts = [np.broadcast_to(p, (*p.shape[:2], channels)) for p in (left, right)]
    bar = np.zeros((left.shape[0], gap, channels), np.uint8)
    return np.concatenate([parts[0], bar, parts[1]], axis=1)


def enlarge(picture: ImageArray, factor: int) -> ImageArray:
    """Repeat every pixel `factor` times in both directions, keeping edges sharp."""
    return picture.repeat(factor, 0).repeat(factor, 1)


def png_bytes(picture: ImageArray) -> bytes:
    """Encode as PNG, lossless."""
    return _encode(picture, format="PNG", optimize=True)


def jpeg_bytes(picture: ImageArray, quality: int = 90) -> bytes:
    """Encode as JPEG, the quickest to make and to show."""
    return _encode(picture, format="JPEG", quality=quality, subsampling=0)


def webp_bytes(frames: Sequence[ImageArray], durations: Sequence[int] | int = 60) -> bytes:
    """Encode an endless animation as WebP; `durations` in milliseconds, one or one per frame."""
    return _animate(frames, durations, format="WEBP", quality=80, method=4)


def gif_bytes(frames: Sequence[ImageArray], durations: Sequence[int] | int = 60) -> bytes:
    """Encode an endless animation as GIF; `durations` in milliseconds, one or one per frame."""
    return _animate(frames, durations, format="GIF", optimize=True)


def _image(picture: ImageArray) -> Image.Image:
    return Image.fromarray(
        picture[..., 0] if picture.shape[2] == 1 else np.ascontiguousarray(picture)
    )


def _encode(picture: ImageArray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    _image(picture).save(buffer, **options)
    return buffer.getvalue()


def _animate(frames: Sequence[ImageArray], durations: Sequence[int] | int, **options: Any) -> bytes:
    if not frames:
        raise ValueError("An animation needs at least one frame.")
    first, *rest = map(_image, frames)
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


FRAME_MS, LAST_FRAME_MS = 60, 1500


def durations(count: int) -> list[int]:
    """Milliseconds of each frame; the result stays on for longer."""
    return [FRAME_MS] * (count - 1) + [LAST_FRAME_MS]
