"""Names and limits of the files of a checkpoint, bounded reads, atomic writes."""

import os
import textwrap
import threading
from pathlib import Path

MAX_WEIGHT_BYTES = 64 * 2**20
MAX_CONFIG_BYTES = 2**20
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"


class CheckpointError(ValueError):
    """A folder is not one of our checkpoints, or is damaged; the message says what is wrong."""


def read_text(path: Path, max_bytes: int) -> str:
    """Read a text file of at most `max_bytes`; raises CheckpointError."""
    try:
        if path.stat().st_size > max_bytes:
            raise CheckpointError(f"{path} is larger than {max_bytes >> 20} MiB.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read: {one_line(error)}.") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, then rename: a reader sees the old file or the new one, whole."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def one_line(error: BaseException) -> str:
    """The text of another library's error on one line, without a full stop, to end a sentence."""
    return textwrap.shorten(str(error), 300, placeholder=" …").rstrip(".")


def check_size(what: str, size: int, limit: int) -> None:
    """Refuse more than `limit` bytes, in a sentence about `what`; raises CheckpointError."""
    if size > limit:
        raise CheckpointError(f"{what} has {size:,} bytes; at most {limit:,} are read.")
