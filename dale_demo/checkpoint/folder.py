"""A checkpoint: a folder with config.json, model.safetensors and README.md, read strictly.

The folder is a Hub repository byte for byte. Weights are safetensors only, never pickle, and are
checked for keys, shapes, dtypes, finiteness and size before they reach a network.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    MAX_CONFIG_BYTES,
    MAX_WEIGHT_BYTES,
    WEIGHTS_FILE,
    CheckpointError,
    check_size,
    one_line,
    read_text,
    write_atomically,
)
from dale_demo.network import Denoiser

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
    tensors = read_tensors(folder / WEIGHTS_FILE)
    with torch.device("meta"):  # shapes without memory, whatever size the config claims
        expected = Denoiser(config.network).state_dict()
    check_tensors(tensors, expected)
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
    if Path(name).is_dir():
        return Path(name)
    raise CheckpointError(
        f"No checkpoint {name!r}: it is neither a folder nor one of {', '.join(bundled) or 'none'}."
    )


def read_tensors(path: Path, max_bytes: int = MAX_WEIGHT_BYTES) -> dict[str, Tensor]:
    """Read a safetensors file of at most `max_bytes`; raises CheckpointError.

    It is opened once and read whole, not mapped: another process may replace it at any time.
    """
    try:
        check_size(str(path), path.stat().st_size, max_bytes)
        return load(path.read_bytes())
    except KeyError as error:
        raise CheckpointError(f"{path} holds numbers of an unknown type, {error}.") from error
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing.") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {one_line(error)}.") from error


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Check tensors against a network's own: keys, shapes, dtypes, finiteness.

    Raises:
        CheckpointError: They do not fit.
    """
    missing, surplus = expected.keys() - tensors.keys(), tensors.keys() - expected.keys()
    if missing or surplus:
        raise CheckpointError(
            f"{WEIGHTS_FILE} does not fit the network in {CONFIG_FILE}: missing "
            f"{sorted(missing)[:3] or 'nothing'}, surplus {sorted(surplus)[:3] or 'nothing'}."
        )
    for key, tensor in tensors.items():
        if tensor.shape != expected[key].shape:
            raise CheckpointError(
                f"{WEIGHTS_FILE}: {key} has shape {tuple(tensor.shape)}, "
                f"expected {tuple(expected[key].shape)}."
            )
        if tensor.dtype not in (torch.float32, torch.float16, expected[key].dtype):
            raise CheckpointError(
                f"{WEIGHTS_FILE}: {key} has dtype {tensor.dtype}, expected {expected[key].dtype}."
            )
        if not tensor.isfinite().all():
            raise CheckpointError(f"{WEIGHTS_FILE}: {key} holds NaN or infinite values.")
