"""A network small enough for tests, with random weights, in a checkpoint folder."""

from pathlib import Path

import torch

from dale_demo.checkpoint.card import model_card
from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.folder import save_checkpoint
from dale_demo.network import Denoiser, UNetConfig
from dale_demo.process import GeometricBrownianMotion, LogNormal


def tiny_config(channels: int = 1, **fields: object) -> CheckpointConfig:
    """Three classes of 8×8 images."""
    network = UNetConfig(
        image_size=8, image_channels=channels, num_classes=3, width=16, multipliers=(1,)
    )
    defaults = {
        "network": network,
        "dataset": "tiny",
        "class_names": ("a", "b", "c"),
        "process": GeometricBrownianMotion.median_preserving(0.8),
        "start": LogNormal(0.2, 0.9),
    }
    return CheckpointConfig(**defaults | fields)


def save_tiny(folder: Path, channels: int = 1, **fields: object) -> Path:
    """Save it with every weight random, so that labels and noise level matter."""
    config = tiny_config(channels, **fields)
    model = Denoiser(config.network)
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.2, generator=generator)
    averages = torch.linspace(1, 2, model.class_averages.numel())
    model.class_averages.copy_(averages.reshape(model.class_averages.shape))
    moments = torch.linspace(0, 0.6, model.log_means.numel()).reshape(model.log_means.shape)
    model.log_means.copy_(moments)
    model.log_stds.copy_(moments.flip(0))
    save_checkpoint(folder, model, config, model_card(config))
    return folder
