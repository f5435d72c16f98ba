"""Files of weights, sound and hostile, for the tests of reading them."""

import io
import json
import struct
import zipfile
from collections.abc import Mapping

import numpy as np


def safetensors(
    tensors: Mapping[str, tuple[str, list[int], bytes]], *, header: bytes | None = None
) -> bytes:
    """A safetensors file written by hand: name → type, shape, bytes."""
    at, fields = 0, {}
    for name, (dtype, shape, data) in tensors.items():
        fields[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(fields).encode() if header is None else header
    body = b"".join(data for _, _, data in tensors.values())
    return struct.pack("<Q", len(text)) + text + body


def npy(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


def npz(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()
