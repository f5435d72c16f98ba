"""Distribution matching: a student whose images a second network cannot tell from the data.

The student G samples in a few leaps. Noised to a level s, its images have another score than the
noised data, by which a step of gradient descent on the divergence KL(G ‖ data) moves an image:

    ln x̂ ← ln x̂ + c (h_data − h_G),   that is   x̂ ← x̂ ∘ exp(c (D_data − D_G) / s²),

a multiplicative update, as the divergence is the same in x and in ln x (Diff-Instruct, Luo et al.
2023; DMD, Yin et al. 2024). D_data is the teacher's, frozen; D_G is that of a partner, trained
beside the student on the student's own images by M-DSM. All three start as the teacher.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dale_demo.network import MAX_NOISE_LEVEL, Denoiser
from dale_demo.objectives import m_dsm
from dale_demo.paper import PROCESS
from dale_demo.process import expand_as
from dale_demo.score import LogDenoiser, from_denoiser
from dale_demo.training.batches import Batch
from dale_demo.training.teacher import Distilled

LEAST_LEVEL = 0.004
"""Lowest noise level at which images are compared, and the partner learns."""
PARTNER_LEVELS = (-0.6, 1.3)
"""Mean and standard deviation of ln s at which the partner learns."""
LEVELS, LATE_LEVELS, LATE = (-0.6, 1.2), (-2.0, 1.6), 2 / 3
"""The same of the levels at which images are compared: before and after a share of the run. Low
levels late take away a faint speckle, which high ones do not see."""


@dataclass(frozen=True)
class FromDistribution(Distilled):
    """An `Objective`: the distribution of a teacher's data.

    Args:
        levels: Falling noise levels of the student's leaps; step i trains leap i mod N.
        partner: Estimates the posterior mean of the student's images; it is trained beside it.
    """

    recipe = "matching"
    levels: tuple[float, ...]
    partner: Denoiser

    def partner_losses(self, denoiser: LogDenoiser, partner: LogDenoiser, batch: Batch) -> Tensor:
        """M-DSM of the partner on the student's images [B]."""
        with torch.no_grad():
            y = self._images(denoiser, batch, len(self.levels) - 1).double()
        s = _levels(batch.draws.levels[:, 0], *PARTNER_LEVELS)
        return m_dsm(
            from_denoiser(partner, PROCESS),
            process=PROCESS,
            x0=y.exp(),
            t=PROCESS.time(s),
            z=batch.draws.z[:, -1],
            weighting="preconditioned",
            data_log_std=self.partner.config.log_std,
        )

    def losses(self, denoiser: LogDenoiser, batch: Batch) -> Tensor:
        """½‖y − stop(y + push)‖² [B], whose gradient is −push, in units of the teacher's error."""
        y = self._images(denoiser, batch, batch.step % len(self.levels))
        mean, std = LEVELS if batch.progress < LATE else LATE_LEVELS
        s = _levels(batch.draws.levels[:, 1], mean, std)
        with torch.no_grad():
            u = y + expand_as(s, y) * batch.draws.z[:, -2]
            real = self.teacher.model(u, s, batch.labels)
            fake = self.partner(u, s, batch.labels)
            error = (y - real).abs().flatten(1).mean(1)
            push = (real - fake) / expand_as(error, y)
        return 0.5 * (y - (y + push).detach()).flatten(1).square().mean(1)

    def _images(self, denoiser: LogDenoiser, batch: Batch, last: int) -> Tensor:
        """ln x̂ [B, C, H, W] after leap number `last`; gradients reach that leap alone."""
        first = torch.tensor(self.levels[0], dtype=torch.float64, device=batch.z.device)
        mean, spread = self.teacher.model.noised_moments(batch.labels, first)
        u = mean + spread * batch.z  # the exact start, as in sampling
        for k in range(last):
            with torch.no_grad():
                y = denoiser(u, self._level(k, batch))
            u = y + self.levels[k + 1] * batch.draws.z[:, k]
        return denoiser(u, self._level(last, batch))

    def _level(self, leap: int, batch: Batch) -> Tensor:
        return torch.full((len(batch.labels),), self.levels[leap], device=batch.z.device)


def _levels(normal: Tensor, mean: float, std: float) -> Tensor:
    """Noise levels [B] whose logarithms are normal."""
    return (mean + std * normal).exp().clamp(LEAST_LEVEL, MAX_NOISE_LEVEL)
