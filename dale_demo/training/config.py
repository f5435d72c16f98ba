"""Settings of a training run.

Imports no torch: the command line shows these defaults as its own in `--help`.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Args:
        images: Images to see in all, over any number of epochs.
        batch_size: Global batch, shared out evenly over the processes.
        learning_rate: Peak of Adam's rate, reached after `warmup` images, then a half cosine.
        warmup: Images over which the rate rises linearly.
        ema: Decay per step of the averaged weights, which are what is saved; see `ema_update`.
        label_dropout: Share of labels replaced by the null class.
        log_noise_mean, log_noise_std: ln s ~ N(mean, std²), clipped to the network's range.
        guidance: w of autoguidance by a teacher, see `teacher`; 1 where there is none.
        guidance_below: Noise level s up to which `guidance` applies; above it w is 1.
        width, multipliers, patch, dropout: Of the network; see `UNetConfig`.
        seed: Of the initial weights and all random draws.

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
    guidance_below: float = 20.0  # network.MAX_NOISE_LEVEL, written out to keep torch away
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
        if not math.isfinite(self.guidance):
            raise ValueError(f"guidance must be finite, got {self.guidance}.")
        if not self.guidance_below > 0:
            raise ValueError(f"guidance_below must be positive, got {self.guidance_below}.")

    def rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then a half cosine to 0."""
        seen = step * self.batch_size
        rise = min(1.0, (seen + self.batch_size) / max(self.warmup, self.batch_size))
        return (
            self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * min(1, seen / self.images)))
        )
