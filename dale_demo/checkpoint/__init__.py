"""A trained network in a folder: config.json, model.safetensors and README.md, read strictly."""

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import (
    Checkpoint,
    bundled_checkpoints,
    find_checkpoint,
    load_checkpoint,
    load_config,
    save_checkpoint,
)

__all__ = [
    "Checkpoint",
    "CheckpointConfig",
    "CheckpointError",
    "bundled_checkpoints",
    "find_checkpoint",
    "load_checkpoint",
    "load_config",
    "save_checkpoint",
]
