"""Settings of a training run.

Imports no torch: the command line shows these defaults as its own in `--help`.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from dale_demo.checks import check_float, check_int

if TYPE_CHECKING:
    from dale_demo.plasticity.layers import Magnitudes, Signs

MAX_IMAGES = 10**12
MAX_SEED = 2**63 - 1

Recipe = Literal["edm", "paper", "consistency", "matching"]
DISTILLATION: tuple[Recipe, ...] = ("consistency", "matching")
"""The recipes that learn from a trained network how to sample in few evaluations."""
Rule = Literal["adam", "eg"]


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Args:
        images: Images to see in all, over any number of epochs.
        batch_size: Global batch, shared out evenly over the processes.
        rule: What moves the synapses: "adam", or "eg", exponentiated gradient along Adam's
            direction, under which none changes sign; see `synapses`.
        learning_rate: Peak of Adam's rate, reached after `warmup` images, then a half cosine.
        synapse_rate: The same of exponentiated gradient's rate, under the rule "eg".
        magnitudes: Distribution of |w| of the first synapses; None for PyTorch's own start under
            the rule "adam", and for "log-normal" under "eg".
        signs: Of the first synapses, where `magnitudes` are drawn: "random", one for each, or
            "columns", one for each presynaptic channel of a layer.
        warmup: Images over which the rate rises linearly.
        ema: Decay per step of the averaged weights, which are what is saved; see `ema_update`.
        label_dropout: Share of labels replaced by the null class.
        recipe: Which noise levels are learned, and their weight in the loss: "edm" draws ln s from
            a normal distribution and weighs all levels alike; "paper" draws t uniformly from
            (0, T] of `paper.PROCESS`, so that s ≤ 0.8, and takes ‖D − ln x₀‖² as it is;
            "consistency" distills a teacher, see `objectives.consistency`, with levels like "edm",
            and "matching" too, see `matching`.
        log_noise_mean, log_noise_std: ln s ~ N(mean, std²), clipped to the network's range, in
            the recipes "edm" and "consistency".
        levels: What the network is distilled for, as `CheckpointConfig.levels`.
        augment: Share of images that are shifted, turned, scaled and sheared a little, as
            handwriting varies; see `augmentation`.
        guidance: w of autoguidance by a teacher, see `teacher`; 1 where there is none.
        guidance_below: Noise level s up to which `guidance` applies; above it w is 1.
        width, multipliers, patch, dropout: Of the network; see `UNetConfig`.
        seed: Of the initial weights and all random draws.

    Raises:
        ValueError: A number is outside its range.
    """

    images: int = 1_000_000
    batch_size: int = 128
    rule: Rule = "adam"
    learning_rate: float = 2e-3
    synapse_rate: float = 0.03
    magnitudes: "Magnitudes | None" = None
    signs: "Signs" = "random"
    warmup: int = 20_000
    ema: float = 0.999
    label_dropout: float = 0.1
    recipe: Recipe = "edm"
    log_noise_mean: float = -1.0
    log_noise_std: float = 1.3
    levels: tuple[tuple[float, ...], ...] = ()
    augment: float = 0.0
    guidance: float = 1.0
    guidance_below: float = 20.0  # network.MAX_NOISE_LEVEL, written out to keep torch away
    width: int = 48
    multipliers: tuple[int, ...] = (2, 4)
    patch: int = 2
    dropout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "batch_size"):
            check_int(name, getattr(self, name), 1, MAX_IMAGES)
        check_int("warmup", self.warmup, 0, MAX_IMAGES)
        check_int("seed", self.seed, 0, MAX_SEED)
        check_float("ema", self.ema, 0, 1)
        check_float("label_dropout", self.label_dropout, 0, 1)
        check_float("augment", self.augment, 0, 1)
        for name, kind in (("recipe", Recipe), ("rule", Rule)):
            if (value := getattr(self, name)) not in get_args(kind):
                raise ValueError(f"{name} must be {' or '.join(get_args(kind))}, got {value!r}.")
        if bool(self.levels) != (self.recipe in DISTILLATION):
            raise ValueError("levels are what distillation is for, and no other recipe.")
        if self.rule == "eg" and self.magnitudes is None:
            # PyTorch's own start has synapses of zero, which only an additive rule can move.
            object.__setattr__(self, "magnitudes", "log-normal")
        check_float("log_noise_mean", self.log_noise_mean, -100, 100)
        positive = dict.fromkeys(("learning_rate", "synapse_rate", "log_noise_std"), 100.0)
        for name, most in (positive | {"guidance_below": 1e6}).items():
            check_float(name, getattr(self, name), 0, most)
            if not getattr(self, name):
                raise ValueError(f"{name} must be positive, got 0.")
        check_float("guidance", self.guidance, -1000, 1000)
        if self.ema == 1:
            raise ValueError("ema must be below 1, or the average would never move.")

    def schedule(self, step: int) -> float:
        """Share of the peak rate at a step, in [0, 1]: linear warm-up, then a half cosine to 0."""
        seen = step * self.batch_size
        rise = min(1.0, (seen + self.batch_size) / max(self.warmup, self.batch_size))
        return rise * 0.5 * (1 + math.cos(math.pi * min(1, seen / self.images)))
