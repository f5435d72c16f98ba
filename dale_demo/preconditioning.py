"""What stands around a network that estimates ln x₀, so that it sees and answers unit variances."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Preconditioning:
    """D(u, s) = E[ln X₀ | X_t] from a network F, after Karras et al. (2022, eq. 7) in log space:

        D = ȳ + c_skip (u − ȳ) + c_out F(c_in (u − ȳ)),
        c_skip = s_d² / (s² + s_d²),  c_out = s s_d / √(s² + s_d²),  c_in = 1 / √(s² + s_d²).

    With F = 0 it is the posterior mean of normal ln x₀; at s = 0 it is u, whatever F answers. In
    all methods u = ln x − m(t) has any shape, and s, the noise level, broadcasts against it.

    Args:
        log_mean: ȳ, the mean of ln x₀: a number, or a tensor that broadcasts against u.
        log_std: s_d, the standard deviation of ln x₀.
    """

    log_mean: float | Tensor
    log_std: float

    def scaled(self, u: Tensor, s: Tensor) -> Tensor:
        """c_in (u − ȳ), what F sees."""
        return (u - self.log_mean) / self._total(s)

    def estimate(self, answer: Tensor, u: Tensor, s: Tensor) -> Tensor:
        """D, where F answers `answer`."""
        return self._posterior(u, s) + s * self.log_std / self._total(s) * answer

    def target(self, y0: Tensor, u: Tensor, s: Tensor) -> Tensor:
        """What F should answer where ln x₀ is `y0`; s > 0."""
        return (y0 - self._posterior(u, s)) * self._total(s) / (s * self.log_std)

    def _posterior(self, u: Tensor, s: Tensor) -> Tensor:
        return self.log_mean + (self.log_std / self._total(s)) ** 2 * (u - self.log_mean)

    def _total(self, s: Tensor) -> Tensor:
        return torch.sqrt(s**2 + self.log_std**2)
