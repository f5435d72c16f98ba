"""Read .npy and .npz files without pickle, array by array, in bounded memory.

A few bytes can ask for a lot: a header of megabytes, a zip of a million empty files, or one that
unpacks to gigabytes. What headers claim is counted before anything is unpacked.
"""

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from dale_demo.checks import shown
from dale_demo.weights.tensors import (
    PIECE,
    NamedTensor,
    Piece,
    Readable,
    WeightsError,
    are_synapses,
    check_count,
    check_outline,
    pieces_of,
    read_exactly,
)

MAX_UNPACKED_BYTES = 256 * 2**20
"""Of the arrays of a file, unpacked."""
MAX_HEADER_BYTES = 10_000
DIRECTORY_ENTRY = b"PK\x01\x02"
"""What every entry of a zip's table of contents begins with."""
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class _Header:
    """What an array's header says, and the file's part that its numbers follow in."""

    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_npy(data: bytes, name: str = "array") -> Iterator[NamedTensor]:
    """Read the array of an .npy file; a vector is a list of strengths.

    Raises:
        WeightsError: It is not such a file, is damaged, or holds no floating-point numbers.
    """
    stream = io.BytesIO(data)
    header = _header(stream, name)
    if header.dtype.kind != "f":
        raise WeightsError(
            f"The array is of type {shown(str(header.dtype))}; weights are floating-point numbers."
        )
    if header.bytes > len(data):
        raise WeightsError("The file ends too early: it is damaged, or was cut off.")
    synapses = are_synapses(header.shape, [header.shape])
    yield NamedTensor(name, header.shape, _pieces(stream, header), synapses)


def read_npz(data: bytes) -> Iterator[NamedTensor]:
    """Read the arrays of floating-point numbers in an .npz file, passing over all others.

    Raises:
        WeightsError: It is not such a file, is damaged, or would take too much memory.
    """
    # Counted before the table of contents is read, as each entry of it takes a kilobyte of memory.
    check_count(data.count(DIRECTORY_ENTRY))
    with _reporting_damage(), zipfile.ZipFile(io.BytesIO(data)) as archive:
        headers = {}
        for info in archive.infolist():
            if info.filename.endswith(".npy"):
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise WeightsError("The file is packed in a way that NumPy does not use.")
                with archive.open(info) as member:
                    headers[info] = _header(member, info.filename)
        headers = {info: header for info, header in headers.items() if header.dtype.kind == "f"}
        if (total := sum(header.bytes for header in headers.values())) > MAX_UNPACKED_BYTES:
            raise WeightsError(
                f"The arrays would take {total:,} bytes; at most {MAX_UNPACKED_BYTES:,} are read."
            )
        shapes = [header.shape for header in headers.values()]
        for info, header in headers.items():
            with archive.open(info) as member:
                _header(member, info.filename)
                name = info.filename.removesuffix(".npy")
                synapses = are_synapses(header.shape, shapes)
                yield NamedTensor(name, header.shape, _pieces(member, header), synapses)


def _header(stream: IO[bytes], name: str) -> _Header:
    """Read the header of an array, and leave the stream at its first number."""
    with _reporting_damage():
        read = HEADERS.get(npy.read_magic(stream))
        if read is None:
            raise WeightsError(f"{shown(name)} has a version of NumPy's format that is not read.")
        # It is read as a Python literal, never executed, and only up to a size.
        shape, columns_first, dtype = read(stream, max_header_size=MAX_HEADER_BYTES)
        if dtype.hasobject:
            raise WeightsError(f"{shown(name)} holds Python objects, which are never loaded.")
        return _Header(check_outline(name, shape)[1], columns_first, dtype)


def _pieces(stream: Readable, header: _Header) -> Iterator[Piece]:
    with _reporting_damage():
        if header.columns_first and len(header.shape) > 1:
            data = read_exactly(stream, header.bytes)
            array = np.frombuffer(data, header.dtype).reshape(header.shape, order="F")
            yield from pieces_of(np.ascontiguousarray(array))
            return
        left, width = header.bytes, header.dtype.itemsize
        while left:
            data = read_exactly(stream, min(left, width * PIECE))
            left -= len(data)
            yield np.frombuffer(data, header.dtype)


@contextmanager
def _reporting_damage() -> Iterator[None]:
    """Turn whatever a damaged file raises in the block into one sentence."""
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's parser fail in many ways
        raise WeightsError("The file is damaged, or not one that NumPy has written.") from error
