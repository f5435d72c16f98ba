"""The constants of arXiv 2510.02730, as in the newest configurations of its research code."""

from dale_demo.data import Dataset, PositiveMap
from dale_demo.datasets import DATASETS
from dale_demo.process import GeometricBrownianMotion, LogNormal

PROCESS = GeometricBrownianMotion.median_preserving(sigma=0.8)
"""σ = 0.8, μ = σ²/2, T = 1."""

STEPS = 1000


def start(data: Dataset) -> LogNormal:
    """The paper's start for `data`; where it has none, the log moments of the noised data."""
    if data.positive_map is PositiveMap.SHIFT and data.name in DATASETS:
        return LogNormal(*DATASETS[data.name].fitted_start)
    return LogNormal.terminal(PROCESS, data.fit_log_normal())
