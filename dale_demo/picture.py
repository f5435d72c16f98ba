"""An image file as people see it: upright, eight bits a channel, nothing transparent.

Pillow opens many kinds of file and converts most of them well; these are those it does not.
"""

from typing import Literal

import numpy as np
from PIL import Image

Order = Literal["little", "big"]

ORIENTATION = 0x0112
"""EXIF tag."""
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what makes the image upright."""
WHITES = (2**8 - 1, 2**16 - 1, 2**31 - 1)
"""White in 8, 16 and 32 bits, where a file does not say how many its numbers have."""


def orientation(exif: bytes) -> int:
    """The EXIF orientation, 1 to 8, or another number where there is none.

    Pillow reads every entry, and each may claim the whole of the file: gigabytes in a small one.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    orders: dict[bytes, Order] = {b"II": "little", b"MM": "big"}
    if (order := orders.get(exif[:2])) is None:
        return 1

    def number(at: int, size: int) -> int:
        return int.from_bytes(exif[at : at + size], order)

    first = number(4, 4) + 2
    for entry in range(first, min(first + 12 * number(first - 2, 2), len(exif)), 12):
        if number(entry, 2) == ORIENTATION:
            return number(entry + 8, 2)
    return 1


def upright(image: Image.Image, turn: int) -> Image.Image:
    """The image turned as its EXIF `orientation` says."""
    return image.transpose(UPRIGHT[turn]) if turn in UPRIGHT else image


def eight_bit(image: Image.Image) -> Image.Image:
    """The image in 8 bits a channel, as grey, RGB, or RGBA where something is transparent.

    Numbers of 32 bits and fractions do not say what white is: it is the least of 1 (fractions
    alone), 255, 65,535 and 2³¹ − 1 that none exceeds.

    Raises:
        ValueError: Its numbers are not finite, or larger than any of these.
    """
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        return Image.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        return Image.fromarray(_scaled(np.asarray(image, np.float64), image.mode == "F"))
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _scaled(values: np.ndarray, fractions: bool) -> np.ndarray:
    whites = (1, *WHITES) if fractions else WHITES
    peak = values.max(initial=0)
    white = next((white for white in whites if peak <= white), None)
    if white is None or not np.isfinite(values).all():
        raise ValueError(f"its numbers go up to {peak:g}, which is not known as white.")
    return (values.clip(0) * (255 / white)).astype(np.uint8)


def opaque(image: Image.Image) -> Image.Image:
    """The image of `eight_bit` as RGB, or as grey if it is.

    What is transparent becomes white or black, whichever is farther from what is not.
    """
    if image.mode != "RGBA":
        return image
    pixels = np.asarray(image.convert("LA"), np.float64)
    grey, alpha = pixels[..., 0], pixels[..., 1]
    mean = (grey * alpha).sum() / max(alpha.sum(), 1)
    ground = Image.new("RGBA", image.size, "white" if mean < 128 else "black")
    return Image.alpha_composite(ground, image).convert("RGB")
