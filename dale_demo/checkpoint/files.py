"""Names and limits of the files of a checkpoint, bounded reads, atomic writes."""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from dale_demo.checks import brief

MAX_WEIGHT_BYTES = 64 * 2**20
MAX_CONFIG_BYTES = 2**20
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"


class CheckpointError(ValueError):
    """A folder is not one of our checkpoints, or is damaged; the message says what is wrong.

    Whatever the message quotes, it is one line of at most 300 characters.
    """

    def __init__(self, sentence: str = ""):
        super().__init__(brief(sentence))


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading.

    Raises:
        CheckpointError: It is a folder, or a pipe or a device, which may never end.
        OSError: It is missing or may not be read.
    """
    # Asked before it is opened, which alone would wait for the other end of a pipe; and asked
    # again of what was opened, since another process may have put something else in its place.
    _check_regular(path, path.stat())
    with open(path, "rb", opener=_without_waiting) as file:
        _check_regular(path, os.fstat(file.fileno()))
        yield file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise CheckpointError(f"{path} is {kind}, not a file.")


def read_text(path: Path, max_bytes: int) -> str:
    """Read a text file of at most `max_bytes`; raises CheckpointError."""
    try:
        with opened(path) as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise CheckpointError(f"{path} is larger than {max_bytes >> 20} MiB.")
        return data.decode()
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
    return brief(str(error), 160).rstrip(".")


def check_size(what: str, size: int, limit: int) -> None:
    """Refuse more than `limit` bytes, in a sentence about `what`; raises CheckpointError."""
    if size > limit:
        raise CheckpointError(f"{what} has {size:,} bytes; at most {limit:,} are read.")
