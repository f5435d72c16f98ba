"""PSNR and SSIM of restorations by a network and by classical filters."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dale_demo.evaluation.filters import FILTERS
from dale_demo.restoration import Restoration

Array = NDArray[np.float64]

UNRESTORED = "noised image"
NETWORK_METHODS = {
    "tweedie": "one Tweedie step",
    "flow": "probability flow",
    "draws": "one draw",
    "mean": "mean of the draws",
}
"""Field of `Restoration` → its name in tables."""
METHODS = (UNRESTORED, *NETWORK_METHODS.values(), *FILTERS)
WINDOW = 11
"""Side of SSIM's windows in pixels, and so of the smallest image that has an SSIM."""


def quality(image: Array, original: Array) -> tuple[float, float]:
    """PSNR in dB and SSIM of one grey image [H, W] with pixels in [0, 1].

    SSIM as in Wang et al. (2004): Gaussian windows of σ = 1.5 pixels, `WINDOW` wide, averaged over
    those that lie inside the image, so that a border of 5 pixels counts for less.
    """
    from skimage.metrics import mean_squared_error, structural_similarity

    error = mean_squared_error(original, image)
    psnr = -10 * np.log10(error) if error > 0 else np.inf
    ssim = structural_similarity(
        original,
        image,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(psnr), float(ssim)


def best_filtered(noised: Array, original: Array, noise_level: float) -> dict[str, Array]:
    """Each classical filter with the setting that gets nearest to `original` in squared error.

    The choice needs the original, which a network never sees: this is an upper bound on what the
    filters can do.

    Args:
        noised: x without its drift, positive [H, W].
        original: Pixels in [0, 1] [H, W].
    """
    return {
        name: min(
            map(_pixels, variants(noised, noise_level)),
            key=lambda image: _squared_error(image, original),
        )
        for name, variants in FILTERS.items()
    }


def compare(restoration: Restoration, originals: Array, noise_level: float) -> dict[str, Array]:
    """Method → PSNR and SSIM of each image [B, 2]; those of single draws are averaged over them.

    Args:
        restoration: Of grey images.
        originals: Pixels in [0, 1] [B, H, W].
    """
    rows = zip(restoration.noised[:, 0], originals, strict=True)
    classical = [best_filtered(noised, original, noise_level) for noised, original in rows]
    table = {UNRESTORED: _qualities(_pixels(restoration.noised[:, 0]), originals)}
    for field, name in NETWORK_METHODS.items():
        if field == "draws":
            draws = restoration.draws.swapaxes(0, 1)[:, :, 0]
            table[name] = np.mean([_qualities(draw, originals) for draw in draws], axis=0)
        else:
            table[name] = _qualities(getattr(restoration, field)[:, 0], originals)
    for name in FILTERS:
        table[name] = _qualities([images[name] for images in classical], originals)
    return table


def _qualities(images: Iterable[Array], originals: Array) -> Array:
    return np.array([quality(p, o) for p, o in zip(images, originals, strict=True)])


def _pixels(x: Array) -> Array:
    """Positive images → pixels in [0, 1], clipped."""
    return (x - 1).clip(0, 1)


def _squared_error(image: Array, original: Array) -> float:
    return float(np.square(image - original).mean())
