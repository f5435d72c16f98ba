"""The constants of arXiv 2510.02730, as in the newest configurations of its research code."""

from dale_demo.data import Dataset, PositiveMap
from dale_demo.process import GeometricBrownianMotion, LogNormal

PROCESS = GeometricBrownianMotion.median_preserving(sigma=0.8)
"""σ = 0.8, μ = σ²/2, T = 1."""

STEPS = 1000

STARTS = {
    "mnist": LogNormal(0.1565, 0.8353),
    "fashion-mnist": LogNormal(0.2771, 0.8428),
    "kmnist": LogNormal(0.2140, 0.8290),
}
"""Log-normal law that the paper fitted to the noised data 1 + pixel, from which it starts."""

ANNEALED = {
    ("mnist", "dale-langevin"): (6.17e-4, 1, 0.995),
    ("mnist", "unconstrained"): (1.44e-4, 4, 0.995),
    ("kmnist", "dale-langevin"): (2.11e-4, 3, 0.995),
    ("kmnist", "unconstrained"): (2.11e-4, 3, 1.0),
    ("fashion-mnist", "dale-langevin"): (5.86e-4, 1, 0.995),
    ("fashion-mnist", "unconstrained"): (1.47e-3, 3, 0.9995),
}
"""(data set, sampler) → (step size δ, repeats L, factor on the noise per step)."""


def known_as(dataset: str) -> str:
    """The data set of which `dataset` is a part: the paper's constants hold for both."""
    return dataset.removesuffix("-10k")


def start(data: Dataset) -> LogNormal:
    """The paper's start for `data`; where it has none, the log moments of the noised data."""
    if data.positive_map is PositiveMap.SHIFT and known_as(data.name) in STARTS:
        return STARTS[known_as(data.name)]
    return LogNormal.terminal(PROCESS, data.log_law())
