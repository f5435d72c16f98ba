"""Autoguidance: a trained network, guided away from a weaker version of itself, as a teacher.

The weaker version is the same network with less training. With w > 1,

    h = h_weaker + w (h_teacher − h_weaker)

extrapolates along what the further training changed, and so corrects part of the error that is
left (Karras et al. 2024, arXiv 2406.02507). w < 1 guides back towards the weaker network, for noise
levels at which an earlier guidance went too far.

At high noise levels, where the outline of an image is decided, guidance can do more harm than
good, so it can be limited to those below one (Kynkäänniemi et al. 2024, arXiv 2404.07724).

Sampling with h takes two network evaluations for each score. A network that has learned h takes
one, and may be smaller than its teacher.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from dale_demo.checkpoint.folder import Checkpoint, speed_up
from dale_demo.network import MAX_NOISE_LEVEL
from dale_demo.process import GeometricBrownianMotion
from dale_demo.score import Score, expand_as
from dale_demo.training.config import TrainingConfig


@dataclass(frozen=True)
class Teacher:
    """What a network learns in place of the data.

    Args:
        teacher: The network to learn from.
        weaker: The same with less training; its images have the same shape and classes.
        guidance: w; 1 is the teacher itself, 0 the weaker network.
        guidance_below: Noise level s up to which w applies; above it w is 1.

    Raises:
        ValueError: The networks were trained on different data, or under different maps, or one is
            a few-step network.
    """

    teacher: Checkpoint
    weaker: Checkpoint
    guidance: float
    guidance_below: float = MAX_NOISE_LEVEL

    def __post_init__(self) -> None:
        one, other = self.teacher.config, self.weaker.config
        if (one.dataset, one.class_names) != (other.dataset, other.class_names):
            raise ValueError(
                f"A network of {one.dataset} cannot be guided away from one of {other.dataset}."
            )
        for config in (one, other):
            config.check_posterior_mean("guidance")
        if one.positive_map is not other.positive_map:
            raise ValueError("The network to be guided away from was trained under another --map.")

    @classmethod
    def of(
        cls, teacher: Checkpoint | None, weaker: Checkpoint | None, config: TrainingConfig
    ) -> "Teacher | None":
        """The teacher of a run with `config`, or None for a run that learns from data.

        Raises:
            ValueError: Of teacher, weaker network and guidance, only one or two are given; or as
                for the class.
        """
        if teacher is weaker is None and config.guidance == 1:
            return None
        if teacher is None or weaker is None or config.guidance == 1:
            raise ValueError(
                "A teacher is a trained network, a weaker version of it, and a guidance other "
                "than 1: give all three or none."
            )
        return cls(teacher, weaker, config.guidance, config.guidance_below)

    def prepare(self, device: torch.device, compiled: bool, bf16: bool) -> None:
        """Move both networks to `device`; `compiled` and `bf16` are those of `speed_up`."""
        for checkpoint in (self.teacher, self.weaker):
            checkpoint.model.to(device)
            speed_up(checkpoint, compiled, bf16)

    def score(self, process: GeometricBrownianMotion, labels: Tensor) -> Score:
        """h for `labels` [B], where −1 is no class; no gradient reaches the networks."""
        strong, weak = (
            checkpoint.model.score(process, labels) for checkpoint in (self.teacher, self.weaker)
        )

        def guided(x: Tensor, t: Tensor) -> Tensor:
            w = torch.where(process.noise_level(t) <= self.guidance_below, self.guidance, 1.0)
            h = strong(x, t)
            return h + (expand_as(w, x) - 1) * (h - weak(x, t))

        return torch.no_grad()(guided)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of both networks' weights, w and its noise level.

        An unfinished run is continued only under a teacher with the same fingerprint.
        """
        settings = str((self.guidance, self.guidance_below))
        return fingerprint(settings, self.teacher, self.weaker)


@dataclass(frozen=True)
class Distilled:
    """What objectives share that distill one teacher.

    Args:
        teacher: Estimates the posterior mean of the data.
    """

    teacher: Checkpoint
    recipe: ClassVar[str]

    @cached_property
    def fingerprint(self) -> str:
        """As of `Teacher`."""
        return fingerprint(self.recipe, self.teacher)

    @property
    def min_noise_level(self) -> float:
        """That of the teacher."""
        return self.teacher.config.min_noise_level

    def prepare(self, device: torch.device, compiled: bool, bf16: bool) -> None:
        """Move the teacher to `device`; `compiled` and `bf16` are those of `speed_up`."""
        self.teacher.model.to(device)
        speed_up(self.teacher, compiled, bf16)


def fingerprint(settings: str, *networks: Checkpoint) -> str:
    """A digest of networks' weights, and of how they are used."""
    digest = hashlib.sha256(settings.encode())
    for checkpoint in networks:
        for parameter in checkpoint.model.parameters():
            digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
