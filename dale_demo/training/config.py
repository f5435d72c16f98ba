"""Settings of a training run."""

import math
from dataclasses import dataclass

from dale_demo.data import Dataset
from dale_demo.network import MAX_NOISE_LEVEL, UNetConfig


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Args:
        images: Pictures to see in all, over any number of epochs.
        batch_size: Global batch, shared out evenly over the processes.
        learning_rate: Peak of Adam's rate, reached after `warmup` pictures, then a half cosine.
        warmup: Pictures over which the rate rises linearly.
        ema: Decay per step of the averaged weights, which are what is saved; see `ema_update`.
        label_dropout: Share of labels replaced by the null class.
        log_noise_mean, log_noise_std: ln s ~ N(mean, std²), clipped to the network's range.
        guidance: How far a teacher is led away from its weaker version, or back towards it below
            1; 1 where there is none.
        guidance_below: Noise level up to which it is.
        fine_guidance, fine_guidance_below: The same for the lowest levels, where texture is made.
        width, multipliers, patch, dropout: Of the network; see `UNetConfig`.
        seed: Of the weights and every draw.

    Raises:
        ValueError: A number is outside its range.
    """

    images: int = 1_000_000
    batch_size: int = 128
    learning_rate: float = 2e-3
    warmup: int = 20_000
    ema: float = 0.999
    label_dropout: float = 0.1
    log_noise_mean: float = -1.0
    log_noise_std: float = 1.3
    guidance: float = 1.0
    guidance_below: float = MAX_NOISE_LEVEL
    fine_guidance: float = 1.0
    fine_guidance_below: float = 0.0
    width: int = 48
    multipliers: tuple[int, ...] = (2, 4)
    patch: int = 2
    dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images < 1 or self.batch_size < 1:
            raise ValueError("images and batch_size must be at least 1.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}.")
        if not (0 <= self.ema < 1 and 0 <= self.label_dropout <= 1):
            raise ValueError("ema must be in [0, 1) and label_dropout in [0, 1].")
        if not self.log_noise_std > 0:
            raise ValueError(f"log_noise_std must be positive, got {self.log_noise_std}.")
        if not (math.isfinite(self.guidance) and math.isfinite(self.fine_guidance)):
            raise ValueError(
                f"guidance must be finite, got {self.guidance} and {self.fine_guidance}."
            )
        if not self.guidance_below > 0:
            raise ValueError(f"guidance_below must be positive, got {self.guidance_below}.")
        if not 0 <= self.fine_guidance_below < self.guidance_below:
            raise ValueError(
                f"fine_guidance_below must be from 0 to below guidance_below "
                f"({self.guidance_below:g}), got {self.fine_guidance_below}."
            )
        if self.fine_guidance != 1 and not self.fine_guidance_below:
            raise ValueError("fine_guidance holds nowhere without fine_guidance_below.")

    def network(self, data: Dataset) -> UNetConfig:
        """The network for `data`: its shape, classes and log moments."""
        law = data.fit_log_normal()
        channels, height, width = data.images.shape[1:]
        if height != width:
            raise ValueError(f"Pictures must be square, got {height}×{width}.")
        return UNetConfig(
            image_size=height,
            image_channels=channels,
            num_classes=len(data.class_names),
            patch=self.patch,
            width=self.width,
            multipliers=self.multipliers,
            dropout=self.dropout,
            log_mean=law.log_mean,
            log_std=law.log_std,
        )

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a half cosine to 0."""
        seen = step * self.batch_size
        rise = min(1.0, (seen + self.batch_size) / max(self.warmup, self.batch_size))
        return (
            self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * min(1, seen / self.images)))
        )
