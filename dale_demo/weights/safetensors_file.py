"""Read a safetensors file of any model tensor by tensor, from front to back, in bounded memory.

Its header says where each tensor lies, and is checked before any number is read. Nothing is
executed. Tensors of integers, and of numbers with fewer than eight bits, are passed over.
"""

import json
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

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
    read_exactly,
)

MAX_HEADER_BYTES = 2 * 2**20
"""Of the JSON that lists the tensors: twice what `MAX_TENSORS` with long names take."""
MOMENTS = frozenset({"class_averages", "log_means", "log_stds"})
"""Tensors in which this project's networks keep the moments of their data, which are no weights."""


def _bfloat16(data: bytes) -> Piece:
    # The upper half of a float32.
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def _float8_e4m3(data: bytes) -> Piece:
    codes = np.arange(256)
    exponent, mantissa = codes >> 3 & 15, codes & 7
    magnitude = np.where(
        exponent == 0, np.ldexp(mantissa / 8, -6), np.ldexp(1 + mantissa / 8, exponent - 7)
    )
    magnitude[codes & 127 == 127] = np.nan  # this type has no infinity
    table = np.where(codes < 128, magnitude, -magnitude).astype(np.float32)
    return table[np.frombuffer(data, np.uint8)]


def _float8_e5m2(data: bytes) -> Piece:
    # The upper half of a float16.
    return (np.frombuffer(data, np.uint8).astype(np.uint16) << 8).view(np.float16)


FLOATS: dict[str, tuple[int, Callable[[bytes], Piece]]] = {
    "F64": (8, lambda data: np.frombuffer(data, "<f8")),
    "F32": (4, lambda data: np.frombuffer(data, "<f4")),
    "F16": (2, lambda data: np.frombuffer(data, "<f2")),
    "BF16": (2, _bfloat16),
    "F8_E4M3": (1, _float8_e4m3),
    "F8_E5M2": (1, _float8_e5m2),
}
"""Type in a header → bytes of a number, and how they are read."""


@dataclass(frozen=True)
class _Entry:
    """A tensor in a header: `begin` and `end` are bytes after it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_safetensors(stream: Readable, size: int, *, part: bool = False) -> Iterator[NamedTensor]:
    """Read the tensors of floating-point numbers of a file, in the order in which they lie in it.

    Args:
        stream: The file, at its beginning.
        size: Its bytes.
        part: Whether it is one of several files of a network, so that vectors are never synapses.

    Raises:
        WeightsError: It is not such a file, or is damaged.
    """
    entries = _entries(stream, size)
    shapes = [(1, 1)] if part else [entry.shape for entry in entries if entry.dtype in FLOATS]
    apart = MOMENTS if {entry.name for entry in entries} >= MOMENTS else frozenset[str]()
    for entry in entries:
        left = _Left(stream, entry.end - entry.begin)
        if entry.dtype in FLOATS:
            synapses = entry.name not in apart and are_synapses(entry.shape, shapes)
            yield NamedTensor(entry.name, entry.shape, _pieces(left, entry.dtype), synapses)
        while left.read(PIECE):
            pass


class _Left:
    """What is left of one tensor's bytes."""

    def __init__(self, stream: Readable, size: int):
        self._stream, self._left = stream, size

    def read(self, size: int) -> bytes:
        data = read_exactly(self._stream, min(size, self._left))
        self._left -= len(data)
        return data


def _pieces(left: _Left, dtype: str) -> Iterator[Piece]:
    width, convert = FLOATS[dtype]
    while data := left.read(width * PIECE):
        yield convert(data)


def _entries(stream: Readable, size: int) -> list[_Entry]:
    """Read and check the header: tensors that follow each other without a gap, up to the end."""
    if size < 8:
        raise WeightsError("This is not a safetensors file: it has no header.")
    (length,) = struct.unpack("<Q", read_exactly(stream, 8))
    if length > min(size - 8, MAX_HEADER_BYTES):
        raise WeightsError(
            f"This is not a safetensors file: its header would have {length:,} bytes."
        )
    raw = _parsed(read_exactly(stream, length))
    check_count(len(raw))
    entries = sorted(
        (_entry(name, value) for name, value in raw.items()),
        key=lambda entry: (entry.begin, entry.end),
    )
    at = 0
    for entry in entries:
        if entry.begin != at:
            raise WeightsError(f"The file is damaged: {shown(entry.name)} is not in its place.")
        at = entry.end
    if at != size - 8 - length:
        raise WeightsError("The file is damaged: its size is not that of its tensors.")
    return entries


def _parsed(header: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise WeightsError("This is not a safetensors file: its header is not JSON.") from error
    if not isinstance(raw, dict):
        raise WeightsError("This is not a safetensors file: its header lists no tensors.")
    raw.pop("__metadata__", None)
    return raw


def _entry(name: str, value: Any) -> _Entry:
    fields = value if isinstance(value, dict) else {}
    name, shape = check_outline(name, fields.get("shape"))
    dtype, offsets = fields.get("dtype"), fields.get("data_offsets")
    if (
        not isinstance(dtype, str)
        or not isinstance(offsets, list)
        or len(offsets) != 2
        or any(type(n) is not int for n in offsets)
        or not 0 <= offsets[0] <= offsets[1]
    ):
        raise WeightsError(f"The header of the file is wrong about {shown(name)}.")
    entry = _Entry(name, dtype, shape, *offsets)
    if dtype in FLOATS and FLOATS[dtype][0] * math.prod(shape) != entry.end - entry.begin:
        raise WeightsError(f"The header of the file is wrong about the size of {shown(name)}.")
    return entry
