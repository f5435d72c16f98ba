"""The kinds of image arrays on the page Noise and restore, and how values become pixels."""

import numpy as np
from numpy.typing import NDArray

from dale_demo.drawing.frames import ImageArray
from dale_demo.drawing.palette import EXCITATORY, rgb

GreyImage = NDArray[np.uint8]
"""A grey image [H, W]."""
Intensity = NDArray[np.float64]
"""A grey image [H, W] with values in [0, 1]."""
Mask = NDArray[np.bool_]
"""Which pixels [H, W] are in the hole."""


def grey(intensity: Intensity) -> ImageArray:
    """Values in [0, 1] [H, W], clipped → uint8 [H, W, 1]."""
    return (intensity.clip(0, 1) * 255).round().astype(np.uint8)[..., None]


def heat(values: NDArray[np.float64], top: float) -> ImageArray:
    """Values from 0 to `top` > 0 [H, W] → black to the palette's warm colour [H, W, 3]."""
    shade = (values / top).clip(0, 1)[..., None] * np.array(rgb(EXCITATORY))
    return shade.round().astype(np.uint8)
