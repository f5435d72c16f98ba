"""Classical filters against multiplicative noise, for one grey image x = x₀ ∘ exp(s z) [H, W].

Each comes in several settings, because the best window depends on the noise and the image, and a
comparison with untuned filters would prove nothing.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WIDTHS = (3, 5, 7)
"""Sides of the square windows, in pixels."""
STRENGTHS = (0.4, 0.6, 0.8, 1.0, 1.3)
"""Cut-off distances of non-local means, in units of the noise level."""


def median(x: Array, width: int) -> Array:
    """Median of a window of `width` × `width` pixels, the same of x as of ln x."""
    from skimage.filters import median as of_window

    return of_window(x, np.ones((width, width)), mode="nearest", behavior="ndimage")


def non_local_means(x: Array, noise_level: float, strength: float) -> Array:
    """Non-local means (Buades, Coll, Morel 2005) of ln x, where the noise is additive."""
    from skimage.restoration import denoise_nl_means

    y = denoise_nl_means(
        np.log(x), patch_size=5, patch_distance=9, h=strength * noise_level, sigma=noise_level
    )
    return np.exp(y)


def lee(x: Array, noise_level: float, width: int) -> Array:
    """Lee's filter (1980) for multiplicative noise: v̄ + W (v − v̄), W = 1 − C_n² / C_v² ≥ 0.

    v = x / E[exp(s z)] is the image times noise of mean 1, whose coefficient of variation is
    C_n = √(e^{s²} − 1); v̄ and C_v are mean and coefficient of variation in the window.
    """
    from scipy.ndimage import uniform_filter

    v = x / math.exp(noise_level**2 / 2)
    mean = uniform_filter(v, width, mode="nearest")
    variance = uniform_filter(v**2, width, mode="nearest") - mean**2
    noise = math.expm1(noise_level**2) * mean**2
    weight = 1 - noise / np.maximum(variance, noise)
    return mean + weight * (v - mean)


FILTERS: dict[str, Callable[[Array, float], list[Array]]] = {
    "median": lambda x, s: [median(x, width) for width in WIDTHS],
    "non-local means": lambda x, s: [non_local_means(x, s, h) for h in STRENGTHS],
    "Lee": lambda x, s: [lee(x, s, width) for width in WIDTHS],
}
"""Name → the filter in all its settings."""
