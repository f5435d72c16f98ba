"""A checkpoint: a folder with config.json, model.safetensors and README.md, read strictly.

The folder is a Hub repository byte for byte. Weights are safetensors only, never pickle, and are
checked for keys, shapes, dtypes, finiteness and size before they reach a network.
"""

import dataclasses
import json
import os
import textwrap
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dale_demo.data import PositiveMap
from dale_demo.network import MIN_NOISE_LEVEL, Denoiser, UNetConfig
from dale_demo.process import LAST_LEVEL, GeometricBrownianMotion, LogNormal

FORMAT_VERSION = 1
ARCHITECTURE = "log-denoiser-unet"
MAX_WEIGHT_BYTES = 64 * 2**20
MAX_CONFIG_BYTES = 2**20
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"
BUNDLED = Path(__file__).resolve().parent.parent / "checkpoints"


class CheckpointError(ValueError):
    """A folder is not one of our checkpoints, or is damaged; the message says what is wrong."""


@dataclass(frozen=True)
class CheckpointConfig:
    """What config.json carries beside the weights.

    Args:
        dataset: Name of the training data.
        class_names: One for each class of the network.
        network: What rebuilds the network.
        process: The process that the network's card speaks of; any other works as well.
        start: Log-normal start fitted to the training data (the paper's setting).
        training: Command, hardware, time and loss curve, as JSON.
        metrics: Measured quality, as JSON.
        positive_map: How the training pictures became positive; a config.json without it, from
            before there was a choice, means 1 + pixel.
        last_level: Noise level, in [0.002, 1], from which walks on a Karras grid jump to the
            picture: as low as the network's score can be trusted, which measuring tells.
    """

    dataset: str
    class_names: tuple[str, ...]
    network: UNetConfig
    process: GeometricBrownianMotion
    start: LogNormal
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    positive_map: PositiveMap = PositiveMap.SHIFT
    last_level: float = LAST_LEVEL

    def __post_init__(self) -> None:
        if len(self.class_names) != self.network.num_classes:
            raise ValueError(
                f"{self.network.num_classes} classes but {len(self.class_names)} class names."
            )
        if not (isinstance(self.training, Mapping) and isinstance(self.metrics, Mapping)):
            raise ValueError("training and metrics must be JSON objects.")
        if not MIN_NOISE_LEVEL <= self.last_level <= 1:
            raise ValueError(
                f"last_level must be in [{MIN_NOISE_LEVEL:g}, 1], got {self.last_level}."
            )

    @property
    def data_law(self) -> LogNormal:
        """Log moments of the training data's pixels."""
        return LogNormal(self.network.log_mean, self.network.log_std)

    @property
    def runs(self) -> list[Mapping[str, Any]]:
        """The records of all training runs, each from the weights of the one before."""
        records = [self.training]
        while before := records[0].get("before"):
            records.insert(0, before)
        return records

    @property
    def taught(self) -> bool:
        """Whether the last run had a teacher, led away from the mean: D is then a little sharper
        than E[ln X₀ | X_t]."""
        return setting(self.training, "guidance", 1) != 1

    def to_json(self) -> str:
        """Serialise as config.json, with the format version first."""
        head = {"format_version": FORMAT_VERSION, "architecture": ARCHITECTURE}
        return json.dumps(head | dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "CheckpointConfig":
        """Parse config.json.

        Raises:
            CheckpointError: Not JSON, another format, or a field is missing or out of range.
        """
        raw = parse_config(text, ARCHITECTURE)
        try:
            return cls(
                **raw
                | {
                    "dataset": str(raw["dataset"]),
                    "class_names": tuple(map(str, raw["class_names"])),
                    "network": UNetConfig(**raw["network"]),
                    "process": GeometricBrownianMotion(**raw["process"]),
                    "start": LogNormal(**raw["start"]),
                    "positive_map": PositiveMap(raw.get("positive_map", PositiveMap.SHIFT)),
                }
            )
        except KeyError as error:
            raise CheckpointError(f"{CONFIG_FILE} lacks the field {error}.") from error
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{CONFIG_FILE} is wrong: {one_line(error)}.") from error


@dataclass(frozen=True)
class Checkpoint:
    """A loaded network, in inference mode, with its configuration."""

    model: Denoiser
    config: CheckpointConfig


def setting(training: Mapping[str, Any], name: str, otherwise: float) -> float:
    """A number among the settings of a training run, by its record; `otherwise` if it has none."""
    settings = training.get("settings")
    value = settings.get(name) if isinstance(settings, Mapping) else None
    return value if isinstance(value, int | float) else otherwise


def hasten(checkpoint: Checkpoint, compiled: bool, bf16: bool) -> None:
    """Make a network quicker for a long run, where that pays.

    Args:
        compiled: Compile the U-Net, which takes half a minute and on a CPU a C++ compiler.
        bf16: Convolve in bfloat16 on a CPU too (a GPU always does), which moves D by a small
            part of a grey level in root mean square, by one or two at worst.
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
    _check_size("The network", sum(value.nbytes for value in tensors.values()), MAX_WEIGHT_BYTES)
    write_atomically(folder / WEIGHTS_FILE, save(tensors, {"format": "pt"}))
    write_atomically(folder / CONFIG_FILE, config.to_json().encode())
    write_atomically(folder / CARD_FILE, card.encode())


def load_checkpoint(folder: Path | str, device: torch.device | str = "cpu") -> Checkpoint:
    """Load and verify a checkpoint folder.

    Raises:
        CheckpointError: A file is missing, too large, damaged, or does not fit the network.
    """
    folder = Path(folder)
    config = load_config(folder)
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


def read_text(path: Path, max_bytes: int) -> str:
    """Read a text file of at most `max_bytes`; raises CheckpointError."""
    try:
        if path.stat().st_size > max_bytes:
            raise CheckpointError(f"{path} is larger than {max_bytes >> 20} MiB.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {one_line(error)}.") from error


def parse_config(text: str, architecture: str) -> dict[str, Any]:
    """Parse a config.json that describes an `architecture`; returns the fields beside its head.

    Raises:
        CheckpointError: Not JSON, another architecture, or another format version.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{CONFIG_FILE} is not JSON: {one_line(error)}.") from error
    if not isinstance(raw, dict) or raw.pop("architecture", None) != architecture:
        raise CheckpointError(f"{CONFIG_FILE} does not describe a {architecture!r} network.")
    version = raw.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{CONFIG_FILE} has format version {version!r}; this program reads "
            f"{FORMAT_VERSION}; update the program or fetch another revision."
        )
    return raw


def bundled_checkpoints() -> dict[str, Path]:
    """Name → folder of the networks that come with the program, sorted by name."""
    return {p.parent.name: p.parent for p in sorted(BUNDLED.glob(f"*/{CONFIG_FILE}"))}


def find_checkpoint(name: str) -> Path:
    """Resolve a bundled name or a path to a folder; raises CheckpointError where there is none."""
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
        _check_size(str(path), path.stat().st_size, max_bytes)
        return load(path.read_bytes())
    except KeyError as error:
        raise CheckpointError(f"{path} holds numbers of another kind, {error}.") from error
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing.") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {one_line(error)}.") from error


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Hold tensors against a network's own: keys, shapes, dtypes, finiteness.

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


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, then rename, so that a reader sees the old or the new file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def one_line(error: BaseException) -> str:
    """The text of another library's error, fit to end one of our sentences."""
    return textwrap.shorten(str(error), 300, placeholder=" …").rstrip(".")


def _check_size(what: str, size: int, limit: int) -> None:
    if size > limit:
        raise CheckpointError(f"{what} has {size:,} bytes; at most {limit:,} are read.")
