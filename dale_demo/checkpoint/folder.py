"""A checkpoint: a folder with config.json, model.safetensors and README.md, read strictly.

The folder is a Hub repository byte for byte. Weights are safetensors only, never pickle, and are
checked for keys, shapes, dtypes, finiteness and size before they reach a network.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    MAX_CONFIG_BYTES,
    MAX_WEIGHT_BYTES,
    WEIGHTS_FILE,
    CheckpointError,
    check_size,
    read_text,
    write_atomically,
)
from dale_demo.checkpoint.weights import read_tensors
from dale_demo.checks import shown
from dale_demo.network import Denoiser, outline

BUNDLED = Path(__file__).resolve().parents[2] / "checkpoints"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded network, in inference mode, with its configuration."""

    model: Denoiser
    config: CheckpointConfig


def speed_up(checkpoint: Checkpoint, compiled: bool, bf16: bool) -> None:
    """Set a network up for a long run.

    Args:
        compiled: Compile the U-Net; takes half a minute, and on a CPU needs a C++ compiler.
        bf16: Convolve in bfloat16 on a CPU too (a GPU always does). This changes D by a fraction
            of a grey level in root mean square, and by one or two grey levels at most.
    """
    checkpoint.model.bf16 = bf16
    if compiled:
        checkpoint.model.unet.compile()


def save_checkpoint(
    folder: Path | str, model: Denoiser, config: CheckpointConfig, card: str
) -> None:
    """Write the three files of a checkpoint, each replaced in one atomic step.

    Raises:
        CheckpointError: The weights are more than `load_checkpoint` would read.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {key: value.detach().contiguous().cpu() for key, value in model.state_dict().items()}
    check_size("The network", sum(value.nbytes for value in tensors.values()), MAX_WEIGHT_BYTES)
    write_atomically(folder / WEIGHTS_FILE, save(tensors, {"format": "pt"}))
    write_atomically(folder / CONFIG_FILE, config.to_json().encode())
    write_atomically(folder / CARD_FILE, card.encode())


def load_checkpoint(
    folder: Path | str,
    device: torch.device | str = "cpu",
    *,
    config: CheckpointConfig | None = None,
) -> Checkpoint:
    """Load and verify a checkpoint folder.

    Raises:
        CheckpointError: A file is missing, too large, damaged, or does not fit the network.
    """
    folder = Path(folder)
    config = config or load_config(folder)
    expected = outline(config.network).state_dict()
    tensors = read_tensors(folder / WEIGHTS_FILE, expected=expected)
    model = Denoiser(config.network)
    model.load_state_dict(tensors)
    model.requires_grad_(False).eval()
    return Checkpoint(model.to(memory_format=torch.channels_last).to(device), config)


def load_config(folder: Path | str) -> CheckpointConfig:
    """Read config.json of a checkpoint folder without its weights; raises CheckpointError."""
    return CheckpointConfig.from_json(read_config(folder))


def read_config(folder: Path | str) -> str:
    """Read the text of a folder's config.json within the size limit; raises CheckpointError."""
    path = Path(folder) / CONFIG_FILE
    if not path.exists() and not Path(folder).is_file():
        raise CheckpointError(f"{folder} is not a checkpoint: it has no {CONFIG_FILE}.")
    return read_text(path, MAX_CONFIG_BYTES)


def bundled_checkpoints() -> dict[str, Path]:
    """Name → folder of the networks that come with the program, sorted by name."""
    return {p.parent.name: p.parent for p in sorted(BUNDLED.glob(f"*/{CONFIG_FILE}"))}


def find_checkpoint(name: str) -> Path:
    """The folder of a bundled name or a path; raises CheckpointError where there is none."""
    bundled = bundled_checkpoints()
    if name in bundled:
        return bundled[name]
    if os.path.isdir(name):  # unlike Path.is_dir, False for a name that no file may have
        return Path(name)
    raise CheckpointError(
        f"No checkpoint {shown(name)}: it is neither a folder nor one of "
        f"{', '.join(bundled) or 'none'}."
    )
