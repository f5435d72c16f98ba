"""The section Two kinds of noise: multiplicative beside additive, on the same image."""

import math

import streamlit as st
import torch

from dale_demo import restoration as lib
from dale_demo.data import positive
from dale_demo.drawing import palette
from dale_demo.drawing.frames import ImageArray, tint, tone_map
from dale_demo.noise import Noise
from dale_demo.ui.restore import story
from dale_demo.ui.restore.gallery import gallery
from dale_demo.ui.restore.images import GreyImage
from dale_demo.ui.restore.noise_distribution import NoiseDistribution, noise_distributions
from dale_demo.ui.restore.settings import RestoreRequest

REACH = 3.5
"""How many noise levels the histograms reach beyond the image's own values."""


def noise_section(request: RestoreRequest, image: GreyImage) -> None:
    """Draw both kinds of noise as images, numbers and histograms; needs no network."""
    st.header("Two kinds of noise", divider="gray")
    x0, level = positive(torch.from_numpy(image))[None, None], request.settings.noise_level
    process = lib.until(request.config.process, level)
    # The noise that `restore` draws for its first image: the section shows what is restored.
    z = Noise(request.settings.seed, [0], x0.shape[1:])()
    strength = lib.additive_strength(x0, level)
    multiplied, added = lib.noise(x0, process, z), x0 + strength * z
    drift = process.log_drift(torch.tensor(process.horizon)).item()
    gallery(
        [
            (
                _exposed(multiplied, drift, level),
                "x₀ · exp(s z)",
                "multiplicative; the exposure follows it",
            ),
            (
                _exposed(added, 0, level),
                "x₀ + τ z",
                "additive, with the same mean square change of ln|x|; blue below 0",
            ),
        ],
        "pair",
    )
    story.noise(x0, level, process, strength, int((added < 0).sum()))
    noise_distributions(
        [
            NoiseDistribution(
                "ln x, multiplicative noise",
                "Curve: the exact density, the mixture of N(ln v + m, s²) over the image’s "
                "values v.",
                multiplied,
                lambda y: lib.multiplicative_density(x0, process, y),
                palette.STATE,
            ),
            NoiseDistribution(
                "ln|x|, additive noise",
                "Curve: the exact density of ln|v + τz|. Its long left tail is values near zero.",
                added,
                lambda y: lib.additive_density(x0, strength, y),
                palette.THEORY,
            ),
        ],
        (drift - REACH * level, drift + math.log(2) + REACH * level),
        key="noise-distributions",
    )


def _exposed(x: torch.Tensor, drift: float, level: float) -> ImageArray:
    return tint(tone_map(x, drift, level), x < 0)[0].numpy()
