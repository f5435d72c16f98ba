"""What a network learns from: the data, a guided teacher, its trajectories or its distribution."""

import copy
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dale_demo.checkpoint.folder import Checkpoint
from dale_demo.network import Denoiser
from dale_demo.objectives import consistency, m_dsm, m_esm
from dale_demo.paper import PROCESS
from dale_demo.process import DEFAULT_MIN_NOISE_LEVEL
from dale_demo.score import LogDenoiser, from_denoiser
from dale_demo.training.batches import Batch
from dale_demo.training.config import TrainingConfig
from dale_demo.training.matching import FromDistribution
from dale_demo.training.teacher import Distilled, Teacher

FIRST_GAP, LAST_GAP = 1 / 2, 1 / 9
"""d of `objectives.consistency` at the start, and from `GAP_SHARE` of the images on."""
GAP_SHARE = 0.6


class Objective(Protocol):
    """What a network learns from.

    Any process would do in the losses, whichever the network is sampled with later: the network
    sees only u = ln x − m(t) = ln x₀ + s z and s, in which no process is left. One is needed to
    turn s into t and back.

    Attributes:
        fingerprint: Of the networks that it learns from, without which an unfinished run is not
            continued; None where it learns from data alone.
        min_noise_level: Down to which noise level the scores learned can be trusted.
    """

    @property
    def fingerprint(self) -> str | None: ...

    @property
    def min_noise_level(self) -> float: ...

    def prepare(self, device: torch.device, compiled: bool, bf16: bool) -> None:
        """Move the networks that it learns from to `device`; see `speed_up` for the others."""

    def losses(self, denoiser: LogDenoiser, batch: Batch) -> Tensor:
        """The loss of each image [B] of a network with its labels bound."""


@dataclass(frozen=True)
class FromData:
    """M-DSM on images.

    Args:
        recipe: Of `TrainingConfig`.
        log_std: s_d of the data.
    """

    recipe: str
    log_std: float
    fingerprint: None = None
    min_noise_level: float = DEFAULT_MIN_NOISE_LEVEL

    def prepare(self, device: torch.device, compiled: bool, bf16: bool) -> None:
        """Do nothing: there is no other network."""

    def losses(self, denoiser: LogDenoiser, batch: Batch) -> Tensor:
        return m_dsm(
            from_denoiser(denoiser, PROCESS),
            process=PROCESS,
            x0=batch.x0,
            t=batch.t,
            z=batch.z,
            weighting="paper" if self.recipe == "paper" else "preconditioned",
            data_log_std=self.log_std,
        )


@dataclass(frozen=True)
class FromTeacher:
    """M-ESM from a guided teacher: the images only give the states to learn at."""

    teacher: Teacher
    log_std: float

    @property
    def fingerprint(self) -> str:
        return self.teacher.fingerprint

    @property
    def min_noise_level(self) -> float:
        """A student's scores are those of its teacher, and can be trusted as far down."""
        return self.teacher.teacher.config.min_noise_level

    def prepare(self, device: torch.device, compiled: bool, bf16: bool) -> None:
        self.teacher.prepare(device, compiled, bf16)

    def losses(self, denoiser: LogDenoiser, batch: Batch) -> Tensor:
        return m_esm(
            from_denoiser(denoiser, PROCESS),
            self.teacher.score(PROCESS, batch.labels),
            process=PROCESS,
            x0=batch.x0,
            t=batch.t,
            z=batch.z,
            weighting="preconditioned",
            data_log_std=self.log_std,
        )


@dataclass(frozen=True)
class FromTrajectories(Distilled):
    """Consistency along the probability flow of a teacher; see `objectives.consistency`."""

    recipe = "consistency"

    def losses(self, denoiser: LogDenoiser, batch: Batch) -> Tensor:
        share = min(1.0, batch.progress / GAP_SHARE)
        gap = 1 / (1 / FIRST_GAP + share * (1 / LAST_GAP - 1 / FIRST_GAP))
        model: Denoiser = self.teacher.model
        return consistency(
            denoiser,
            model.log_denoiser(batch.labels),
            y0=batch.x0.log(),
            s=PROCESS.noise_level(batch.t),
            z=batch.z,
            gap=gap,
            data_log_std=model.config.log_std,
        )


def objective_of(
    config: TrainingConfig,
    log_std: float,
    teacher: Checkpoint | None,
    weaker: Checkpoint | None,
) -> Objective:
    """The objective that `config` asks for.

    Args:
        log_std: s_d of the data.
        teacher, weaker: See `run.train`.

    Raises:
        ValueError: A network is missing, or one too many; or as for `Teacher`.
    """
    if config.recipe in ("consistency", "matching"):
        if teacher is None or weaker is not None or config.guidance != 1:
            raise ValueError(
                "Distillation takes one teacher, and neither a weaker one nor guidance."
            )
        teacher.config.check_posterior_mean("distillation")
        if config.recipe == "consistency":
            return FromTrajectories(teacher)
        partner = copy.deepcopy(teacher.model).requires_grad_(True)
        return FromDistribution(teacher, config.levels[0], partner)
    guided = Teacher.of(teacher, weaker, config)
    return FromTeacher(guided, log_std) if guided else FromData(config.recipe, log_std)
