"""Read a file of weights that nobody vouches for, by what it holds rather than by its name."""

import io
from collections.abc import Iterator

from dale_demo.weights.csv_column import Table, read_column, read_table
from dale_demo.weights.numpy_file import read_npy, read_npz
from dale_demo.weights.safetensors_file import read_safetensors
from dale_demo.weights.tensors import NamedTensor, WeightsError

MAX_BYTES = 64 * 2**20
"""Of a file that a visitor may upload."""
ENDINGS = ("safetensors", "npy", "npz", "csv", "tsv", "txt")
TABLES = ("csv", "tsv", "txt")
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""What pickles begin with."""


def table_of(data: bytes, name: str) -> Table | None:
    """The rows and columns of a file, if its name is that of a table.

    Raises:
        WeightsError: It is one, and cannot be read; see `read_table`.
    """
    return read_table(data) if _ending(name) in TABLES else None


def read_file(data: bytes, name: str, column: int | None = None) -> Iterator[NamedTensor]:
    """Read the tensors of a file.

    Args:
        data: The file.
        name: Its name, whose ending says what it is.
        column: Index of a table's column; by default the one that most likely holds strengths.

    Raises:
        WeightsError: It is of another kind, too large, damaged, or has no such column.
    """
    if len(data) > MAX_BYTES:
        raise WeightsError(f"The file has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")
    if data.startswith(PICKLES):
        raise WeightsError("This is a pickle, which may hold code, and is never loaded.")
    match _ending(name):
        case "safetensors":
            return read_safetensors(io.BytesIO(data), len(data))
        case "npy":
            return read_npy(data, name.removesuffix(".npy"))
        case "npz":
            return read_npz(data)
        case ending if ending in TABLES:
            return _read_table(read_table(data), column)
    raise WeightsError(f"Weights are read from files ending in .{', .'.join(ENDINGS)} only.")


def _read_table(table: Table, column: int | None) -> Iterator[NamedTensor]:
    chosen = table.default if column is None else column
    if not 0 <= chosen < len(table.columns):
        raise WeightsError(f"The table has {len(table.columns)} columns, and no other.")
    return read_column(table, chosen)


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()
