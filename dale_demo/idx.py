"""Read IDX files, the format of MNIST, as they are or gzipped.

Two zero bytes, a byte for the type of the numbers, one for the number of dimensions, the dimensions
as 32-bit numbers, then the numbers, all big-endian.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dale_demo.data_files import DataError, require_file

MAX_IDX_BYTES = 4 * 2**30
TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""Type byte → NumPy's name of the type."""
MAX_DIMENSIONS = 4
GZIP = b"\x1f\x8b"


def read_images(file: Path) -> NDArray[np.uint8]:
    """Read grey images [N, H, W] or colour images [N, H, W, 3], as uint8 [N, C, H, W].

    Raises:
        DataError: The file cannot be read, or holds something else, or nothing.
    """
    array = _read(file)
    grey, colour = array.ndim == 3, array.ndim == 4 and array.shape[-1] in (1, 3)
    if array.dtype != np.uint8 or not (grey or colour):
        raise DataError(
            f"{file} holds {array.dtype} numbers of shape {array.shape}, not images: bytes of "
            "shape (N, H, W), or (N, H, W, 3) in colour."
        )
    if not array.size:
        raise DataError(f"{file} holds no images.")
    return array[:, None] if grey else np.ascontiguousarray(array.transpose(0, 3, 1, 2))


def read_labels(file: Path) -> NDArray[np.int64]:
    """Read the labels [N] of images, integers of any size.

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    array = _read(file)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(
            f"{file} holds {array.dtype} numbers of shape {array.shape}, not labels: integers of "
            "shape (N,)."
        )
    return array.astype(np.int64)


def _read(file: Path) -> NDArray[Any]:
    try:
        require_file(file, MAX_IDX_BYTES)
        with file.open("rb") as stream:
            if stream.read(len(GZIP)) != GZIP:
                stream.seek(0)
                return _parsed(file, stream)
            stream.seek(0)
            with gzip.open(stream) as unpacked:
                return _parsed(file, unpacked)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file} is a damaged gzip file.") from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error


def _parsed(file: Path, stream: IO[bytes] | gzip.GzipFile) -> NDArray[Any]:
    """The numbers of an IDX file, of which no more is read than its header promises."""
    zeros, code, dimensions = struct.unpack(">HBB", stream.read(4).ljust(4, b"\xff"))
    if zeros or code not in TYPES or not 1 <= dimensions <= MAX_DIMENSIONS:
        raise DataError(f"{file} is not an IDX file: its first bytes are not those of one.")
    head = stream.read(4 * dimensions)
    if len(head) < 4 * dimensions:
        raise DataError(f"{file} is damaged: it ends within its header.")
    shape, dtype = struct.unpack(f">{dimensions}I", head), np.dtype(TYPES[code])
    size = math.prod(shape) * dtype.itemsize
    if size > MAX_IDX_BYTES:
        raise DataError(f"{file} claims {size:,} bytes; at most {MAX_IDX_BYTES:,} are read.")
    data = stream.read(size + 1)
    if len(data) != size:
        found = "more" if len(data) > size else f"{len(data):,}"
        raise DataError(f"{file} is damaged: its header promises {size:,} bytes, {found} follow.")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
