"""Read safetensors files with bounds: what the header claims is checked before any number is read.

The header lists names, types and shapes, so that a file of the wrong kind, or one with a million
empty tensors, costs no more than its header.
"""

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from dale_demo.checkpoint.files import (
    CONFIG_FILE,
    MAX_WEIGHT_BYTES,
    WEIGHTS_FILE,
    CheckpointError,
    check_size,
    one_line,
    opened,
)
from dale_demo.checks import shown

HEADER_SHARE = 64
"""The header of a file may have this part of its largest size: 1 MiB of 64 MiB."""
MAX_TENSORS, MAX_DIMENSIONS = 4096, 8

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Number types by their names in a header."""


class Outline(NamedTuple):
    """What a header says of a tensor; `Tensor` has attributes of the same names."""

    shape: tuple[int, ...]
    dtype: torch.dtype


def read_tensors(
    path: Path, max_bytes: int = MAX_WEIGHT_BYTES, expected: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Read a safetensors file of at most `max_bytes`.

    It is opened once and read whole, not mapped: another process may replace it at any time.

    Args:
        expected: Where given, names, shapes and types must be those of these tensors (which may
            be on the meta device), and all numbers finite: see `check_tensors`.

    Raises:
        CheckpointError: The file is missing, damaged, not a file, or does not fit `expected`.
    """
    try:
        with opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            check_size(str(path), size, max_bytes)
            head = _read_header(file, max_bytes // HEADER_SHARE)
            outlines = _outlines(head[8:])
            if expected is not None:
                check_outlines(outlines, expected)
            # No more than there is: Python takes the memory for all that is asked for.
            tensors = load(head + file.read(size))
    except KeyError as error:
        raise CheckpointError(
            f"{path} holds numbers of an unknown type, {shown(error.args[0])}."
        ) from error
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing.") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {one_line(error)}.") from error
    if expected is not None:
        check_tensors(tensors, expected)
    return tensors


def _read_header(file: BinaryIO, limit: int) -> bytes:
    """The header with its length in front, as in the file; raises SafetensorError beyond `limit`.

    It may be longer than the file says: `load` finds that out.
    """
    prefix = file.read(8)
    if len(prefix) < 8:
        raise SafetensorError("it ends within its header")
    (length,) = struct.unpack("<Q", prefix)
    if length > limit:
        raise SafetensorError(f"its header would have {length:,} bytes, more than {limit:,}")
    return prefix + file.read(length)


def _outlines(header: bytes) -> dict[str, Outline]:
    """Parse a header; raises SafetensorError, or KeyError with the name of an unknown type."""
    try:
        raw = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise SafetensorError(f"its header is not JSON: {one_line(error)}") from error
    if not isinstance(raw, dict):
        raise SafetensorError("its header lists no tensors")
    raw.pop("__metadata__", None)
    if len(raw) > MAX_TENSORS:
        raise SafetensorError(f"it holds {len(raw):,} tensors, more than {MAX_TENSORS:,}")
    return {name: _outline(name, entry) for name, entry in raw.items()}


def _outline(name: str, entry: Any) -> Outline:
    shape = entry.get("shape") if isinstance(entry, dict) else None
    dtype = entry.get("dtype") if isinstance(entry, dict) else None
    if (
        not isinstance(dtype, str)
        or not isinstance(shape, list)
        or len(shape) > MAX_DIMENSIONS
        or any(type(n) is not int or not 0 <= n < 2**63 for n in shape)
    ):
        raise SafetensorError(f"its header is wrong about {shown(name)}")
    return Outline(tuple(shape), DTYPES[dtype])


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Check tensors against a network's own: names, shapes, types, finiteness.

    Raises:
        CheckpointError: They do not fit.
    """
    check_outlines(tensors, expected)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"{WEIGHTS_FILE}: {name} holds NaN or infinite values.")


def check_outlines(
    found: Mapping[str, Outline] | Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Check names, shapes and types against a network's own; float16 may stand for float32.

    Raises:
        CheckpointError: They do not fit.
    """
    missing, surplus = expected.keys() - found.keys(), found.keys() - expected.keys()
    if missing or surplus:
        raise CheckpointError(
            f"{WEIGHTS_FILE} does not fit the network in {CONFIG_FILE}: missing "
            f"{_some(missing)}, surplus {_some(surplus)}."
        )
    for name, one in found.items():
        wanted = expected[name]
        if tuple(one.shape) != tuple(wanted.shape):
            raise CheckpointError(
                f"{WEIGHTS_FILE}: {name} has shape {tuple(one.shape)}, "
                f"expected {tuple(wanted.shape)}."
            )
        if one.dtype not in (torch.float32, torch.float16, wanted.dtype):
            raise CheckpointError(
                f"{WEIGHTS_FILE}: {name} has dtype {one.dtype}, expected {wanted.dtype}."
            )


def _some(names: set[str]) -> str:
    """The first of some names in their order, and how many more there are."""
    if not names:
        return "nothing"
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return shown(min(names), 40) + more
