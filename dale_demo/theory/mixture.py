"""Data of the page Theory: a mixture of two log-normal distributions in one dimension."""

import math

import torch

from dale_demo.process import GeometricBrownianMotion
from dale_demo.score import LogNormalMixtureScore

# μ is not σ²/2, so that m(t) is not zero and a missing drift term would be noticed.
PROCESS = GeometricBrownianMotion(mu=0.5, sigma=0.8)

# Two narrow modes, one on each side of x = 1, so that every figure shows two clusters.
LOG_MEANS, LOG_STDS, WEIGHTS = (-0.6, 0.5), (0.15, 0.25), (0.4, 0.6)


def mixture_score(process: GeometricBrownianMotion = PROCESS) -> LogNormalMixtureScore:
    """Exact score of the data of this module under `process`."""
    a, b, w = (torch.tensor(v, dtype=torch.float64) for v in (LOG_MEANS, LOG_STDS, WEIGHTS))
    return LogNormalMixtureScore(process, a[:, None], b[:, None], w)


def log_moments_of(t: float) -> tuple[float, float]:
    """m(t) and s(t) of `PROCESS`, written out here so that the library's can be checked."""
    return (PROCESS.mu - PROCESS.sigma**2 / 2) * t, PROCESS.sigma * math.sqrt(t)
