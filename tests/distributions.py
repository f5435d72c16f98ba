"""Standard normal draws, and log-normal fits of samples."""

import torch
from torch import Tensor

from dale_demo.process import LogNormal


def normals(generator: torch.Generator, *shape: int) -> Tensor:
    """Draw standard normals, float64."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def fit_log_normal(x: Tensor) -> LogNormal:
    """Fit by maximum likelihood to positive values `x` of any shape."""
    y = x.double().log()
    return LogNormal(y.mean().item(), y.std(correction=0).item())
