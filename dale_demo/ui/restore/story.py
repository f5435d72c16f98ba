"""What the page Noise and restore says around its pictures: numbers, why, and where not."""

import math

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.datasets import title_of
from dale_demo.drawing.markdown import number, plain, table
from dale_demo.evaluation.filters import FILTERS
from dale_demo.evaluation.restorations import NOISED, OURS, WAYS
from dale_demo.process import GeometricBrownianMotion
from dale_demo.restoration import (
    START_LEVEL,
    RestorationSettings,
    crossing_share,
    decibels,
    signal_to_noise,
)
from dale_demo.ui.restore.settings import Choice

TAGLINE = (
    "Noise that multiplies never changes a sign. Slide it over a picture, then let the reverse "
    "process take it off again, from the very level it has."
)
TWO_QUESTIONS = (
    "A Tweedie step gives the **posterior mean** of ln x₀, which blurs what is unsure and is hard "
    "to beat in PSNR; the reverse walk gives **draws from the posterior**, each sharp, no two the "
    "same, and so each with about twice the squared error. The probability flow gives one sharp "
    "picture, which is neither."
)
ABOUT_TABLE = (
    "PSNR counts squared error (more is better; 10 dB is a factor of ten), SSIM compares structure "
    "(1 is perfect). Each classical filter has, of several windows or strengths, whichever comes "
    "nearest to the original: an advantage that only somebody who has the original can give."
)
ABOUT_HOLES = (
    "Paint over what is to be forgotten. The bridge walks from noise to a picture and, at every "
    "level, finds the known pixels noised as much as the rest; at the end they are what they were, "
    "bit for bit."
)
WHY = r"""
$$
\begin{aligned}
X_t &= X_0 \circ \exp\big(m(t) + s(t)\,z\big) \\
D &= \mathbb{E}[\ln X_0 \mid X_t] \\
&= \ln X_t - m(t) + s(t)^2\,\big(1 + h_t(X_t)\big)
\end{aligned}
$$

In ln x the noise is added, so the law of a noised picture’s pixels is exact: a normal law of width
s around each value that the picture has. Restoring is sampling that begins in the middle. The
reverse process can start from any level, so it starts from the picture’s own, on a Karras grid
from s(t) down to 0.
"""
LIMITS = """
- The network knows only **{dataset}**. Whatever you upload comes back as if it were one of those.
- One picture and one draw of noise prove little: change the seed, and the order in the table may
  change. `python -m benchmarks.restoration` measures many pictures.
- Holes are filled by showing the network the known pixels as noised as the rest. That is close to
  the law of the hole given the picture around it, not exactly that law: some answers do not join.
- PSNR and SSIM compare with one original. A draw that is another possible digit counts as an error.
"""

TAUGHT = """
- It learned from a teacher whose estimate is a little sharper than the posterior mean, and so is
  its Tweedie step; that can cost a tenth of a decibel or two.
"""


def account(choice: Choice) -> str:
    """How the pictures on the stage were made, in one line."""
    settings, own = choice.settings, choice.config.process
    calls = settings.evaluations
    t = (settings.noise_level / own.sigma) ** 2
    return (
        f"Network *{plain(choice.network)}*, without being told the class. s(t) = "
        f"{settings.noise_level:g}, that is t = {t:.3g} of its process (σ = {own.sigma:g}). "
        f"Network calls: Tweedie {calls['tweedie']}, probability flow {calls['flow']}, "
        f"each draw by {settings.posterior_sampler} {calls['draws']}; seed {settings.seed}."
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
        f"**Signal to noise {loudness} dB.** From pixel to pixel ln x₀ varies by "
        f"{spread:.2f}, and the noise adds {level:g}: the picture has {ratio:.3g} times the "
        f"noise’s power. Additive noise that changes ln|x| by as much has τ = {strength:.3g}, and "
        f"pushes {crossed} of {x0.numel()} pixels below zero ({expected:.1%} expected); the "
        f"multiplicative noise pushes **none**, at any level."
    )


def qualities(measured: dict[str, NDArray[np.float64]], settings: RestorationSettings) -> None:
    """PSNR and SSIM of each way of restoring one picture, the best in bold."""
    st.header("How near to the original?", divider="gray")
    means = {way: measured[way][0] for way in WAYS}
    best = np.max(list(means.values()), axis=0)
    calls = {OURS[name]: count for name, count in settings.evaluations.items()}
    calls["mean of the draws"] = settings.steps * settings.draws
    rows = []
    for way, values in means.items():
        cells = (
            f"**{text}**" if value == top else text
            for value, top, text in zip(values, best, _formatted(values), strict=True)
        )
        rows.append((_label(way), str(calls.get(way, "–")), *cells))
    st.markdown(table(("", "network calls", "PSNR, dB", "SSIM"), rows))
    st.markdown(verdict(means))
    st.markdown(TWO_QUESTIONS)
    st.caption(ABOUT_TABLE)


def verdict(means: dict[str, NDArray[np.float64]]) -> str:
    """One sentence on who is nearest by PSNR, classical filters included."""
    winner = max(means, key=lambda way: means[way][0])
    ours = max(OURS.values(), key=lambda way: means[way][0])
    classical = max(FILTERS, key=lambda way: means[way][0])
    margin = abs(means[ours][0] - means[classical][0])
    if winner == NOISED:
        return "Nothing comes nearer to the original than the noised picture as it is."
    if winner in FILTERS:
        return (
            f"**Here a classical filter wins**: {_label(winner)}, {margin:.1f} dB before the best "
            f"of the network’s answers ({ours})."
        )
    return (
        f"Nearest by PSNR is **{winner}**, {margin:.1f} dB before the best classical filter "
        f"({_label(classical)})."
    )


def tell(config: CheckpointConfig) -> None:
    """Below everything: why it works, and where it does not."""
    st.header("Why it works", divider="gray")
    st.markdown(WHY)
    st.header("Honest limits", divider="gray")
    dataset = plain(title_of(config.dataset))
    st.markdown(LIMITS.format(dataset=dataset) + (TAUGHT if config.taught else ""))
    st.caption(
        f"Holes are filled from s = {START_LEVEL:g}, where nothing of a picture is left. Test "
        "pictures: MNIST (LeCun, Cortes, Burges 1998); Fashion-MNIST (Xiao, Rasul, Vollgraf 2017); "
        "KMNIST Dataset (created by CODH), adapted from Kuzushiji Dataset (created by NIJL and "
        "others), doi:10.20676/00000341, CC BY-SA 4.0. Filters: median and non-local means by "
        "scikit-image; Lee (1980)."
    )


def _label(way: str) -> str:
    names = {"median": "median of ln x", "non-local means": "non-local means of ln x"}
    return names.get(way, "Lee’s filter" if way == "Lee" else way)


def _formatted(values: NDArray[np.float64]) -> tuple[str, str]:
    return f"{values[0]:.1f}", f"{values[1]:.3f}"
