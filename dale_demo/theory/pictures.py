"""One small figure for each section of the page Theory, drawn from what the library computes."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.drawing.palette import (
    ESTIMATE,
    EXCITATORY,
    INHIBITORY,
    PLAIN,
    STATE,
    THEORY,
)
from dale_demo.drawing.svg import Axis, Plot
from dale_demo.objectives import m_dsm, m_esm, non_negative_score_matching
from dale_demo.process import uniform_grid
from dale_demo.samplers import dale_langevin, probability_flow, unconstrained
from dale_demo.score import Score, denoise
from dale_demo.theory.measurements import RATE, draw_data, eg_step, one_step
from dale_demo.theory.mixture import PROCESS, mixture_score

SEED = 1
LOG_X = Axis("x", 0.1, 10, log=True, ticks=(0.1, 0.3, 1, 3, 10))
TIME = Axis("time t", 0, 1, ticks=(0, 0.5, 1))


def motion() -> Plot:
    """Paths of geometric Brownian motion on a log axis, with the band of ± 2 s(t)."""
    plot = Plot(
        "Paths of geometric Brownian motion on a log axis: they spread evenly up and down, inside "
        "a band of two standard deviations, and none reaches zero.",
        TIME,
        LOG_X,
    )
    times = torch.linspace(0, 1, 101, dtype=torch.float64)
    m, s = PROCESS.log_drift(times), PROCESS.noise_level(times)
    plot.area(times, (m - 2 * s).exp(), (m + 2 * s).exp(), THEORY, opacity=0.15)
    plot.line(times, m.exp(), THEORY, dashed=True)
    generator = torch.Generator().manual_seed(SEED)
    paths = PROCESS.path(torch.ones(16, dtype=torch.float64), times, generator).T
    for path in paths[:-1]:
        plot.line(times, path, STATE, width=1, opacity=0.5)
    plot.line(times, paths[-1], STATE, width=2.5)
    plot.text(0.03, 7, "95 % are in the band at any time", THEORY)
    return plot


def score() -> Plot:
    """The density of ln x, and the log-space score 1 + h as arrows along its foot."""
    y = torch.linspace(-2, 2, 201, dtype=torch.float64)
    t = torch.full_like(y, 0.05)
    density = (mixture_score().log_density(y.exp()[:, None], t) + y).exp()
    plot = Plot(
        "The density of ln x with two hills, and arrows below it that point uphill: the score.",
        Axis("ln x", -2, 2, ticks=(-2, -1, 0, 1, 2)),
        Axis("density of ln x", -0.4, 1.2, ticks=(0, 0.5, 1)),
    )
    plot.area(y, 0, density, THEORY)
    plot.line(y, density, THEORY)
    at = torch.linspace(-1.75, 1.75, 15, dtype=torch.float64)
    pull = 1 + mixture_score()(at.exp()[:, None], torch.full_like(at, 0.05))[:, 0]
    for start, push in zip(at.tolist(), (0.035 * pull).clamp(-0.22, 0.22).tolist(), strict=True):
        colour = EXCITATORY if push > 0 else INHIBITORY
        plot.line([start, start + push], [-0.2, -0.2], colour, arrow=True)
    return plot


def reverse() -> Plot:
    """Where one large step from x = 0.7 ends: Dale–Langevin against Euler–Maruyama."""
    x, edges = 0.7, np.linspace(-1.2, 2.6, 77)
    z = torch.randn(200_000, generator=torch.Generator().manual_seed(SEED), dtype=torch.float64)
    start = torch.full_like(z, x)
    centres = (edges[1:] + edges[:-1]) / 2
    additive, dale = (
        np.histogram(one_step(sampler, start, 0.9, z), edges, density=True)[0]
        for sampler in (unconstrained, dale_langevin)
    )
    plot = Plot(
        "Two distributions of the next state. That of the Euler–Maruyama step is a bell with a "
        "part below zero; that of the Dale–Langevin step lies above zero as a whole.",
        Axis("next x", -1.2, 2.6, ticks=(-1, 0, 1, 2)),
        Axis("density", 0, 1.25, ticks=(0, 0.5, 1)),
    )
    below = centres < 0
    plot.area(centres[below], 0, additive[below], INHIBITORY, opacity=0.6)
    plot.line(centres, additive, PLAIN)
    plot.line(centres[~below], dale[~below], STATE, width=3)
    plot.line([0, 0], [0, 1.25], "currentColor", width=1, opacity=0.6)
    plot.line([x, x], [0, 0.12], THEORY, width=3)
    plot.text(x, 0.16, "from here", THEORY, "middle")
    plot.text(1.25, 1.0, "Dale–Langevin", STATE)
    plot.text(1.5, 0.5, "Euler–Maruyama", PLAIN)
    plot.text(-0.1, 0.45, "below zero", INHIBITORY, "end")
    return plot


def lamperti() -> Plot:
    """Equal steps down in y = ln x never reach x = 0; equal steps in x do."""
    plot = Plot(
        "The curve y = ln x. Equal steps down in y land ever closer to x = 0 and never there; "
        "equal steps in x cross it.",
        Axis("x", -1.3, 3, ticks=(-1, 0, 1, 2, 3)),
        Axis("y = ln x", -4.2, 1.4, ticks=(-4, -3, -2, -1, 0, 1)),
    )
    x = np.geomspace(0.012, 3, 200)
    plot.line(x, np.log(x), THEORY)
    plot.line([0, 0], [-4.2, 1.4], "currentColor", width=1, opacity=0.6)
    y = 1 - 0.75 * np.arange(7)
    for before, after in pairwise(y):
        corner = np.exp(before)
        plot.line(
            [corner, corner, np.exp(after)], [before, after, after], STATE, width=1, opacity=0.7
        )
    plot.dots(np.exp(y), y, STATE)
    steps = np.e - 0.75 * np.arange(6)
    for sign, colour in ((1, PLAIN), (-1, INHIBITORY)):
        shown = steps[steps * sign > 0]
        plot.dots(shown, np.full_like(shown, -3.6), colour)
    plot.text(3, -0.1, "steps in y", STATE, "end")
    plot.text(3, -3.1, "steps in x", PLAIN, "end")
    return plot


def tweedie() -> Plot:
    """Pairs of noised and clean values, and Tweedie's estimate through the middle of them."""
    t = 0.1
    generator = torch.Generator().manual_seed(SEED)
    x0 = draw_data(generator, 260)
    z = torch.randn(260, generator=generator, dtype=torch.float64)
    noised = PROCESS.forward(x0, torch.tensor(t), z)
    y = torch.linspace(-1.8, 1.8, 121, dtype=torch.float64)
    d = denoise(mixture_score(), PROCESS, y.exp()[:, None], torch.full_like(y, t))[:, 0]
    plot = Plot(
        "Dots are pairs of a noised and a clean value, in two clusters. A curve through their "
        "middle is the estimate: flat inside each cluster, steep between them.",
        Axis("noised, ln xₜ", -1.8, 1.8, ticks=(-1, 0, 1)),
        Axis("clean, ln x₀", -1.3, 1.4, ticks=(-1, 0, 1)),
    )
    plot.dots(noised.log(), x0.log(), STATE, radius=1.6)
    plot.line([-1.8, 1.8], [-1.8, 1.8], THEORY, dashed=True)
    plot.line(y, d, ESTIMATE, width=3)
    plot.text(-1.1, -0.15, "D", ESTIMATE)
    plot.text(1.15, 1.28, "unchanged", THEORY, "end")
    return plot


def objectives() -> Plot:
    """Both losses of the family h_θ = θ h: one parabola above the other, at a constant height."""
    thetas = np.linspace(0, 2, 21)
    dsm, esm = _losses(m_dsm, thetas), _losses(m_esm, thetas, mixture_score())
    plot = Plot(
        "Two parabolas of the same shape, one at a constant height above the other; both are "
        "lowest at the true score.",
        Axis("θ, of the model score θ h", 0, 2, ticks=(0, 0.5, 1, 1.5, 2)),
        Axis("loss", 0, 0.3, ticks=(0, 0.1, 0.2, 0.3)),
    )
    plot.area(thetas, esm, dsm, THEORY, opacity=0.15)
    plot.line(thetas, dsm, STATE, width=3)
    plot.line(thetas, esm, ESTIMATE, width=3)
    plot.line([1, 1], [0, 0.3], THEORY, width=1, dashed=True)
    middle = len(thetas) // 2
    plot.text(1.03, (dsm + esm)[middle] / 2, "a constant apart", THEORY)
    plot.text(0.1, 0.24, "M-DSM", STATE)
    plot.text(0.05, 0.04, "M-ESM", ESTIMATE)
    return plot


def _losses(loss: Callable[..., Tensor], thetas: NDArray, *target: Score) -> NDArray:
    """Mean of `loss` for each θ in `thetas` [N], on the same draws."""
    generator, exact = torch.Generator().manual_seed(SEED), mixture_score()
    x0 = draw_data(generator, 4000)[:, None]
    z = torch.randn(x0.shape, generator=generator, dtype=torch.float64)
    t = torch.full((len(x0),), 0.3, dtype=torch.float64)

    def mean(theta: float) -> float:
        return loss(lambda x, t: theta * exact(x, t), *target, PROCESS, x0, t, z).mean().item()

    return np.array([mean(theta) for theta in thetas])


def non_negative() -> Plot:
    """Hyvärinen's two objectives over the rate λ, on exponential data."""
    generator = torch.Generator().manual_seed(SEED)
    x = torch.empty(4000, 1, dtype=torch.float64).exponential_(RATE, generator=generator)
    rates = np.linspace(0, 5, 51)
    values = [
        non_negative_score_matching(lambda x, t, rate=rate: -rate + 0 * x, x).mean().item()
        for rate in rates
    ]
    plot = Plot(
        "The objective for non-negative data is lowest at the true rate of the exponential data; "
        "plain score matching is lowest at zero.",
        Axis("rate λ of the model", 0, 5, ticks=(0, 1, 2, 3, 4, 5)),
        Axis("objective", -1.3, 1.3, ticks=(-1, 0, 1)),
    )
    plot.line([RATE] * 2, [-1.3, 1.3], THEORY, dashed=True)
    plot.line(rates, rates**2 / 2, PLAIN)
    plot.line(rates, values, ESTIMATE, width=3)
    best = int(np.argmin(values))
    plot.dots(rates[best : best + 1], values[best : best + 1], ESTIMATE, radius=5)
    plot.text(RATE + 0.1, 0.9, "true rate", THEORY)
    plot.text(1.55, 0.6, "plain", PLAIN, "end")
    plot.text(3.4, -1.1, "non-negative", ESTIMATE)
    return plot


def flow() -> Plot:
    """Lines of the probability flow, and a few trajectories with noise between the same ends."""
    grid = uniform_grid(PROCESS, 200)
    top = PROCESS.log_drift(grid[0]) + 2.2 * torch.linspace(-1, 1, 15, dtype=torch.float64)
    generator = torch.Generator().manual_seed(SEED)

    def noise() -> torch.Tensor:
        return torch.randn(15, 1, generator=generator, dtype=torch.float64)

    flow_lines, noisy = (
        torch.stack(
            [
                s.x[:, 0]
                for s in sampler(mixture_score(), top.exp()[:, None], PROCESS, grid, noise=noise)
            ]
        )
        for sampler in (probability_flow, dale_langevin)
    )
    plot = Plot(
        "From noise on the right to data on the left: smooth lines of the probability flow, which "
        "never cross, and jagged trajectories with noise, which end in the same two clusters.",
        TIME,
        LOG_X,
    )
    for path in noisy.T[2::5]:
        plot.line(grid[::2], path[::2], STATE, width=1, opacity=0.8)
    for path in flow_lines.T:
        plot.line(grid[::5], path[::5], ESTIMATE, width=1.5)
    plot.text(0.03, 7, "data", THEORY)
    plot.text(0.97, 7.5, "noise", THEORY, "end")
    return plot


def mirror() -> Plot:
    """∇φ with its two branches, and one push of the same size, six times, on each."""
    plot = Plot(
        "The mirror map has one branch for positive and one for negative weights. Equal steps "
        "down take a positive weight towards zero and a negative one away from it; neither "
        "changes its branch.",
        Axis("w", -3, 3, ticks=(-3, -2, -1, 0, 1, 2, 3)),
        Axis("∇φ(w)", -3.2, 3.2, ticks=(-3, -2, -1, 0, 1, 2, 3)),
    )
    w = np.geomspace(0.012, 3, 200)
    dual = np.log(w) + 1
    plot.line(w, dual, THEORY)
    plot.line(-w, -dual, THEORY)
    plot.line([0, 0], [-3.2, 3.2], "currentColor", width=1, opacity=0.6)
    weights, push = torch.tensor([2.2, -0.07], dtype=torch.float64), torch.full((2,), 0.7)
    for k in range(7):
        for weight, colour in zip(weights.tolist(), (EXCITATORY, INHIBITORY), strict=True):
            height = math.copysign(1, weight) * (math.log(abs(weight)) + 1)
            plot.dots([weight], [height], colour)
        weights = eg_step(weights, push.double(), 1.0) if k < 6 else weights
    plot.text(2.9, 0.6, "excitatory", EXCITATORY, "end")
    plot.text(-2.9, -0.8, "inhibitory", INHIBITORY)
    return plot


PICTURES: dict[str, Callable[[], Plot]] = {
    f.__name__: f
    for f in (motion, score, reverse, lamperti, tweedie, objectives, non_negative, flow, mirror)
}
