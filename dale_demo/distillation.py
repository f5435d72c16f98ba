"""A teacher for a network: a trained one, led away from a weaker version of itself.

Autoguidance (Karras et al. 2024, arXiv 2406.02507): where two versions of a network differ, the
weaker has yet to learn something, so what the better is still short of lies on in that direction,

    h = h_weaker + w (h_better − h_weaker),   w > 1.

At high noise levels, where the outline is decided, that can cost more than it gives, so it may be
kept to those below one (Kynkäänniemi et al. 2024, arXiv 2404.07724). At the lowest, where texture
is made, it can go too far: they may have a w of their own, and w < 1 leads back. Sampling with h
costs two network calls a step. A network that has learned h costs one, and may be smaller than its
teacher.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dale_demo.checkpoint import Checkpoint, hasten
from dale_demo.network import MAX_NOISE_LEVEL
from dale_demo.process import GeometricBrownianMotion
from dale_demo.score import Score, guided


@dataclass(frozen=True)
class Teacher:
    """What a network is to learn in place of the data.

    Args:
        better: The network to learn from.
        weaker: The same with less training, for pictures of the same shape and classes.
        guidance: w; 1 is the better network itself, 0 the weaker, and between them lies less of
            what the better has been led to.
        guidance_below: Noise level s up to which w holds; above it speaks the better network.
        fine_guidance: w at the lowest levels, in place of the other.
        fine_guidance_below: Noise level up to which that holds; 0 is never.

    Raises:
        ValueError: The two are not of the same pictures.
    """

    better: Checkpoint
    weaker: Checkpoint
    guidance: float
    guidance_below: float = MAX_NOISE_LEVEL
    fine_guidance: float = 1.0
    fine_guidance_below: float = 0.0

    def __post_init__(self) -> None:
        better, weaker = self.better.config, self.weaker.config
        if (better.dataset, better.class_names) != (weaker.dataset, weaker.class_names):
            raise ValueError(
                f"A network of {better.dataset} cannot be led away from one of {weaker.dataset}."
            )
        if better.positive_map is not weaker.positive_map:
            raise ValueError("The weaker network was trained under another --map.")

    def prepare(self, device: torch.device, compiled: bool, bf16: bool) -> None:
        """Bring both networks to `device`; see `hasten` for the rest."""
        for checkpoint in (self.better, self.weaker):
            checkpoint.model.to(device)
            hasten(checkpoint, compiled, bf16)

    def score(self, process: GeometricBrownianMotion, labels: Tensor) -> Score:
        """h for `labels` [B], where −1 is no class; no gradient reaches the networks."""
        better, weaker = (
            checkpoint.model.score(process, labels) for checkpoint in (self.better, self.weaker)
        )

        def weight(t: Tensor) -> Tensor:
            s = process.noise_level(t)
            w = torch.where(s <= self.guidance_below, self.guidance, 1.0)
            return torch.where(s <= self.fine_guidance_below, self.fine_guidance, w)

        return torch.no_grad()(guided(better, weaker, weight))

    @cached_property
    def fingerprint(self) -> str:
        """The same only for the same two networks, the same w at the same levels."""
        leading = (
            self.guidance,
            self.guidance_below,
            self.fine_guidance,
            self.fine_guidance_below,
        )
        digest = hashlib.sha256(str(leading).encode())
        for checkpoint in (self.better, self.weaker):
            for parameter in checkpoint.model.parameters():
                digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
