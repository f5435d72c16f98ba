"""The files of data sets: what is refused before it is read, and the error that says so."""

import stat
from pathlib import Path

from dale_demo.checks import brief


class DataError(ValueError):
    """Raised where data cannot be read; the message says what to do, in 300 characters at most."""

    def __init__(self, sentence: str = ""):
        super().__init__(brief(sentence))


def require_file(file: Path, max_bytes: int) -> None:
    """Refuse a pipe or a device, which may never end, or a file too large.

    Raises:
        DataError: It is one of these, or a folder.
        OSError: It is missing.
    """
    status = file.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{file} is a folder, a pipe or a device, not a file.")
    if status.st_size > max_bytes:
        raise DataError(f"{file} has {status.st_size:,} bytes; at most {max_bytes:,} are read.")
