"""The paper's process, number of steps and start (arXiv 2510.02730).

The values are those of the newest configurations of the paper's research code.
"""

from dale_demo.data import Dataset, PositiveMap
from dale_demo.datasets import DATASETS
from dale_demo.process import GeometricBrownianMotion, LogNormal

PROCESS = GeometricBrownianMotion.median_preserving(sigma=0.8)
"""σ = 0.8, μ = σ²/2, T = 1.

Training uses it to turn noise levels into times, and for the objective, whatever process a sampler
uses later: the denoiser D is a function of u = ln x − m(t) and s(t) alone, and neither its targets
nor its weights depend on μ, σ or T once s is given. So one network serves every process.
"""

STEPS = 1000
"""Uniform steps of the paper's samplers."""


def start(data: Dataset) -> LogNormal:
    """The paper's start for `data`; where it has none, a fit to the noised data's log moments."""
    if data.positive_map is PositiveMap.SHIFT and data.name in DATASETS:
        return LogNormal(*DATASETS[data.name].fitted_start)
    return LogNormal.terminal(PROCESS, data.fit_log_normal())
