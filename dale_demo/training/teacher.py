"""A teacher for a network: a trained one, led away from a weaker version of itself.

Autoguidance (Karras et al. 2024, arXiv 2406.02507): where two versions of a network differ, the
weaker has yet to learn something, so what the better is still short of lies on in that direction,

    h = h_weaker + w (h_better − h_weaker),   w > 1.

At high noise levels, where the outline is decided, that can cost more than it gives, so it may be
kept to those below one (Kynkäänniemi et al. 2024, arXiv 2404.07724). At the lowest, where texture
is made, it can go too far: they may have a w of their own, and w < 1 leads back.

The direction may also be that between two others. Train the network on, once on real pictures and
once on pictures of its own making: where these two differ, the own pictures lack something, so

    h = h_better + (w − 1)(h_real − h_own)

lies nearer to the data (Alemohammad et al. 2024, arXiv 2408.16333, lead away from h_own alone).

Sampling with h costs two network calls a step, or three. A network that has learned h costs one,
and may be smaller than its teacher.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from dale_demo.checkpoint.folder import Checkpoint, speed_up
from dale_demo.network import MAX_NOISE_LEVEL
from dale_demo.process import GeometricBrownianMotion
from dale_demo.score import Score, expand_as


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
        towards: What the way from `weaker` leads to, in place of the better network itself.

    Raises:
        ValueError: They are not of the same pictures.
    """

    better: Checkpoint
    weaker: Checkpoint
    guidance: float
    guidance_below: float = MAX_NOISE_LEVEL
    fine_guidance: float = 1.0
    fine_guidance_below: float = 0.0
    towards: Checkpoint | None = None

    def __post_init__(self) -> None:
        better = self.better.config
        others = {"away from": self.weaker, "towards": self.towards or self.better}
        for led, checkpoint in others.items():
            other = checkpoint.config
            if (better.dataset, better.class_names) != (other.dataset, other.class_names):
                raise ValueError(
                    f"A network of {better.dataset} cannot be led {led} one of {other.dataset}."
                )
            if better.positive_map is not other.positive_map:
                raise ValueError(f"The network to be led {led} was trained under another --map.")

    @property
    def _networks(self) -> tuple[Checkpoint, ...]:
        return tuple(filter(None, (self.better, self.weaker, self.towards)))

    def prepare(self, device: torch.device, compiled: bool, bf16: bool) -> None:
        """Bring the networks to `device`; see `speed_up` for the rest."""
        for checkpoint in self._networks:
            checkpoint.model.to(device)
            speed_up(checkpoint, compiled, bf16)

    def score(self, process: GeometricBrownianMotion, labels: Tensor) -> Score:
        """h for `labels` [B], where −1 is no class; no gradient reaches the networks."""
        better, weaker, *towards = (
            checkpoint.model.score(process, labels) for checkpoint in self._networks
        )

        def weight(t: Tensor) -> Tensor:
            s = process.noise_level(t)
            w = torch.where(s <= self.guidance_below, self.guidance, 1.0)
            return torch.where(s <= self.fine_guidance_below, self.fine_guidance, w)

        def led(x: Tensor, t: Tensor) -> Tensor:
            h = better(x, t)
            way = (towards[0](x, t) if towards else h) - weaker(x, t)
            return h + (expand_as(weight(t), x) - 1) * way

        return torch.no_grad()(led)

    @cached_property
    def fingerprint(self) -> str:
        """The same only for the same networks in the same parts, the same w at the same levels."""
        leading = (
            self.guidance,
            self.guidance_below,
            self.fine_guidance,
            self.fine_guidance_below,
        )
        digest = hashlib.sha256(str(leading).encode())
        for checkpoint in self._networks:
            for parameter in checkpoint.model.parameters():
                digest.update(parameter.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()
