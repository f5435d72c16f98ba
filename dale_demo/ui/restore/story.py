"""Texts and tables of the page Noise and restore: numbers, explanations, limits."""

import math

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.datasets import title_of
from dale_demo.drawing.markdown import number, plain, table
from dale_demo.evaluation.filters import FILTERS
from dale_demo.evaluation.restorations import METHODS, NETWORK_METHODS, UNRESTORED
from dale_demo.process import GeometricBrownianMotion
from dale_demo.restoration import (
    START_LEVEL,
    RestorationSettings,
    crossing_share,
    decibels,
    signal_to_noise,
)
from dale_demo.ui.restore.settings import RestoreRequest

TAGLINE = (
    "Multiplicative noise never changes a sign. Add it to an image, then let the reverse process "
    "remove it, starting from the image’s own noise level."
)
TWO_QUESTIONS = (
    "A Tweedie step gives the **posterior mean** of ln x₀, which blurs what is uncertain and is "
    "hard to beat in PSNR. The stochastic reverse process gives **samples from the posterior**, "
    "each sharp and each different, with about twice the squared error. The probability flow gives "
    "one sharp image, which is neither."
)
ABOUT_TABLE = (
    "PSNR counts squared error (more is better; 10 dB is a factor of ten), SSIM compares structure "
    "(1 is perfect). Each classical filter has the window or strength that comes nearest to the "
    "original, an advantage that it could not have without the original."
)
ABOUT_HOLES = (
    "Paint over what is to be filled. The bridge runs from noise to an image and keeps the known "
    "pixels, at every level, as noisy as the rest; at the end they have their values again, bit "
    "for bit."
)
WHY = r"""
$$
\begin{aligned}
X_t &= X_0 \circ \exp\big(m(t) + s(t)\,z\big) \\
D &= \mathbb{E}[\ln X_0 \mid X_t] \\
&= \ln X_t - m(t) + s(t)^2\,\big(1 + h_t(X_t)\big)
\end{aligned}
$$

In ln x the noise is additive, so the distribution of a noised image’s pixels is known exactly: a
normal distribution of standard deviation s around each value that the image has. Restoring is
sampling that begins in the middle. The reverse process can start from any level, so it starts from
the image’s own, on a Karras grid from s(t) down to 0.
"""
LIMITS = """
- The network knows only **{dataset}**. Whatever you upload comes back as if it were one of those.
- One image and one sample of noise prove little: with another seed the order in the table may
  change. `python -m benchmarks.restoration` measures many images.
- Holes are filled by showing the network the known pixels as noisy as the rest. The result is close
  to the distribution of the hole given the image around it, but not exact: some fillings do not
  join their surroundings.
- PSNR and SSIM compare with one original. A sample that is another possible digit counts as an
  error.
"""

DISTILLED = """
- The network learned from a teacher whose estimate is a little sharper than the posterior mean. So
  is its Tweedie step, which can cost a tenth of a decibel or two.
"""


def account(request: RestoreRequest) -> str:
    """How the images on the stage were made, in one line."""
    settings, own = request.settings, request.config.process
    evaluations = settings.evaluations
    t = (settings.noise_level / own.sigma) ** 2
    return (
        f"Network *{plain(request.network)}*, without a label. s(t) = "
        f"{settings.noise_level:g}, that is t = {t:.3g} of its process (σ = {own.sigma:g}). "
        f"Network evaluations: Tweedie {evaluations['tweedie']}, probability flow "
        f"{evaluations['flow']}, each sample by {settings.posterior_sampler} "
        f"{evaluations['draws']}; seed {settings.seed}."
    )


def noise(
    x0: Tensor, level: float, process: GeometricBrownianMotion, strength: float, crossed: int
) -> None:
    """How strong the noise is, in numbers with a sentence."""
    ratio = signal_to_noise(x0, level)
    spread = level * math.sqrt(ratio)
    expected = crossing_share(x0, strength)
    loudness = number(decibels(ratio), ".1f")
    st.markdown(
        f"**Signal-to-noise ratio {loudness} dB.** Over the pixels ln x₀ has standard deviation "
        f"{spread:.2f}, that of the noise {level:g}: the image has {ratio:.3g} times the noise’s "
        f"power. Additive noise that changes ln|x| by as much has τ = {strength:.3g}, and "
        f"pushes {crossed} of {x0.numel()} pixels below zero ({expected:.1%} expected); the "
        f"multiplicative noise pushes **none**, at any level."
    )


def qualities(measured: dict[str, NDArray[np.float64]], settings: RestorationSettings) -> None:
    """PSNR and SSIM of each way of restoring one image, the best in bold."""
    st.header("How near to the original?", divider="gray")
    means = {way: measured[way][0] for way in METHODS}
    best = np.max(list(means.values()), axis=0)
    evaluations = {NETWORK_METHODS[name]: count for name, count in settings.evaluations.items()}
    evaluations[NETWORK_METHODS["mean"]] = settings.steps * settings.draws
    rows = []
    for way, values in means.items():
        cells = (
            f"**{text}**" if value == top else text
            for value, top, text in zip(values, best, _formatted(values), strict=True)
        )
        rows.append((_label(way), str(evaluations.get(way, "–")), *cells))
    st.markdown(table(("", "network evaluations", "PSNR, dB", "SSIM"), rows))
    st.markdown(verdict(means))
    st.markdown(TWO_QUESTIONS)
    st.caption(ABOUT_TABLE)


def verdict(means: dict[str, NDArray[np.float64]]) -> str:
    """One sentence on which way is nearest by PSNR, classical filters included."""
    winner = max(means, key=lambda way: means[way][0])
    ours = max(NETWORK_METHODS.values(), key=lambda way: means[way][0])
    classical = max(FILTERS, key=lambda way: means[way][0])
    margin = abs(means[ours][0] - means[classical][0])
    if winner == UNRESTORED:
        return "Nothing comes nearer to the original than the noised image itself."
    if winner in FILTERS:
        return (
            f"**Here a classical filter wins**: {_label(winner)}, {margin:.1f} dB above the best "
            f"of the network’s results ({ours})."
        )
    return (
        f"Nearest by PSNR is **{winner}**, {margin:.1f} dB above the best classical filter "
        f"({_label(classical)})."
    )


def tell(config: CheckpointConfig) -> None:
    """At the end of the page: why it works, and where it does not."""
    st.header("Why it works", divider="gray")
    st.markdown(WHY)
    st.header("Limits", divider="gray")
    dataset = plain(title_of(config.dataset))
    st.markdown(LIMITS.format(dataset=dataset) + (DISTILLED if config.had_teacher else ""))
    st.caption(
        f"Holes are filled from s = {START_LEVEL:g}, where nothing of an image is left. Test "
        "images: MNIST (LeCun, Cortes, Burges 1998); Fashion-MNIST (Xiao, Rasul, Vollgraf 2017); "
        "KMNIST Dataset (created by CODH), adapted from Kuzushiji Dataset (created by NIJL and "
        "others), doi:10.20676/00000341, CC BY-SA 4.0. Filters: median and non-local means by "
        "scikit-image; Lee (1980)."
    )


def _label(way: str) -> str:
    names = {"median": "median of ln x", "non-local means": "non-local means of ln x"}
    return names.get(way, "Lee’s filter" if way == "Lee" else way)


def _formatted(values: NDArray[np.float64]) -> tuple[str, str]:
    return f"{values[0]:.1f}", f"{values[1]:.3f}"
