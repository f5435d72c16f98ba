"""How good restorations are, the reverse process beside classical filters, in one table."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dale_demo.evaluation.filters import FILTERS
from dale_demo.restoration import Restoration

Array = NDArray[np.float64]

NOISED = "as it is"
OURS = {
    "tweedie": "one Tweedie step",
    "flow": "probability flow",
    "draws": "one draw",
    "mean": "mean of the draws",
}
"""Name in `Restoration` → what the table calls it."""
WINDOW = 11
"""Side of the window that SSIM looks through, and so of the smallest picture that has one."""
WAYS = (NOISED, *OURS.values(), *FILTERS)


def quality(picture: Array, original: Array) -> tuple[float, float]:
    """PSNR in dB and SSIM of one grey picture [H, W] with pixels in [0, 1].

    SSIM as in Wang et al. (2004): Gaussian windows of σ = 1.5 pixels, `WINDOW` wide, averaged over
    those that lie inside the picture. A border of 5 pixels so counts for less.
    """
    from skimage.metrics import mean_squared_error, structural_similarity

    error = mean_squared_error(original, picture)
    psnr = -10 * np.log10(error) if error > 0 else np.inf
    ssim = structural_similarity(
        original,
        picture,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(psnr), float(ssim)


def filtered(noised: Array, original: Array, noise_level: float) -> dict[str, Array]:
    """Each classical filter at whichever of its settings comes nearest to `original`.

    To choose so takes the original, which a network never sees: what the filters get here is
    the best that they could do.

    Args:
        noised: x without its drift, positive [H, W].
        original: Pixels in [0, 1] [H, W].
    """
    return {
        name: max(map(_pixels, variants(noised, noise_level)), key=lambda p: _nearness(p, original))
        for name, variants in FILTERS.items()
    }


def compare(restoration: Restoration, originals: Array, noise_level: float) -> dict[str, Array]:
    """Way of restoring → PSNR and SSIM of each picture [B, 2]; for the draws, their average.

    Args:
        restoration: Of grey pictures.
        originals: Pixels in [0, 1] [B, H, W].
    """
    rows = zip(restoration.noised[:, 0], originals, strict=True)
    classical = [filtered(noised, original, noise_level) for noised, original in rows]
    table = {NOISED: _qualities(_pixels(restoration.noised[:, 0]), originals)}
    for field, name in OURS.items():
        if field == "draws":
            draws = restoration.draws.swapaxes(0, 1)[:, :, 0]
            table[name] = np.mean([_qualities(draw, originals) for draw in draws], axis=0)
        else:
            table[name] = _qualities(getattr(restoration, field)[:, 0], originals)
    for name in FILTERS:
        table[name] = _qualities([pictures[name] for pictures in classical], originals)
    return table


def _qualities(pictures: Iterable[Array], originals: Array) -> Array:
    return np.array([quality(p, o) for p, o in zip(pictures, originals, strict=True)])


def _pixels(x: Array) -> Array:
    """Positive pictures → pixels in [0, 1], clipped."""
    return (x - 1).clip(0, 1)


def _nearness(picture: Array, original: Array) -> float:
    return -float(np.square(picture - original).mean())
