"""Read a column of numbers from a CSV file, such as synaptic strengths, as spreadsheets write it.

Columns are separated by commas, semicolons or tabs; where not by commas, numbers may have decimal
commas. The first line may be a header. Empty cells are passed over and counted.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dale_demo.checks import brief, shown
from dale_demo.weights.tensors import NamedTensor, WeightsError, pieces_of

MAX_BYTES, MAX_ROWS, MAX_COLUMNS, MAX_LINE = 16 * 2**20, 10**6, 1000, 2**17
SEPARATORS = "\t;,"
"""In the order in which they are tried: a comma may also be a decimal comma."""
LOOKED_AT = 50
"""Rows from which the separator and the columns of numbers are found."""
NOT_KNOWN = {"na", "n/a", "nan", "null", "none", "#n/a", "inf", "-inf", "+inf"}
"""Cells that stand for a number which is not known or not finite."""
MAX_LABEL = 60


@dataclass(frozen=True)
class Table:
    """A CSV file, cut into rows.

    Args:
        columns: A name for each, all different.
        rows: Its cells, without the header.
        decimal: What separates the whole part of a number from the rest.
        first: Number of the first of `rows` in the file, from 1.
        default: Index of the column that most likely holds the strengths.
    """

    columns: tuple[str, ...]
    rows: list[list[str]]
    decimal: str
    first: int
    default: int


def read_table(data: bytes) -> Table:
    """Cut a CSV file into rows, and find its columns.

    Raises:
        WeightsError: It is too large, is not text, or has no column of numbers.
    """
    if len(data) > MAX_BYTES:
        raise WeightsError(
            f"The table has {len(data):,} bytes; at most {MAX_BYTES:,} are read: save the column "
            "of strengths alone, or as .npy."
        )
    lines = _text(data).splitlines()
    if len(lines) > MAX_ROWS + 1:
        raise WeightsError(f"The table has {len(lines):,} rows; at most {MAX_ROWS:,} are read.")
    if max(map(len, lines), default=0) > MAX_LINE:
        raise WeightsError(f"A line of the table is longer than {MAX_LINE:,} characters.")
    separator = _separator(lines[:LOOKED_AT])
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if any(map(str.strip, row))]
    except csv.Error as error:
        raise WeightsError("The table cannot be read: a quotation in it does not end.") from error
    return _with_columns(rows, "." if separator == "," else ",")


def read_column(table: Table, column: int) -> Iterator[NamedTensor]:
    """Read the numbers of a column; one that is not known becomes NaN, to be counted as such.

    Raises:
        WeightsError: A cell holds something else.
    """
    values, blank = [], 0
    for number, row in enumerate(table.rows, table.first):
        cell = row[column].strip() if column < len(row) else ""
        if not cell:
            blank += 1
            continue
        value = _number(cell, table.decimal)
        if value is None:
            raise WeightsError(
                f"Row {number:,} of the column {shown(table.columns[column])} holds {shown(cell)}, "
                "which is no number; correct it, or choose another column."
            )
        values.append(value)
    array = np.array(values, np.float64)
    yield NamedTensor(table.columns[column], array.shape, pieces_of(array), True, blank)


def _text(data: bytes) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = data.decode(encoding, "replace")
    if "\0" in text:
        raise WeightsError("This is not a table: it holds bytes that are no text.")
    return text


def _separator(lines: list[str]) -> str:
    """The first separator that every line has; a comma where there is none."""
    filled = [line for line in lines if line.strip()]
    return next((s for s in SEPARATORS if filled and all(s in line for line in filled)), ",")


def _with_columns(rows: list[list[str]], decimal: str) -> Table:
    """Name the columns, by the header if there is one, and find the one of strengths."""
    width = max(map(len, rows[:LOOKED_AT]), default=0)
    if width > MAX_COLUMNS:
        raise WeightsError(f"The table has {width:,} columns; at most {MAX_COLUMNS:,} are read.")
    if not rows:
        raise WeightsError("The table is empty.")
    titled = all(_number(cell.strip(), decimal) is None for cell in rows[0])
    names = [brief(cell, MAX_LABEL) for cell in rows[0]] if titled else []
    columns: list[str] = []
    for i in range(width):
        name = names[i] if i < len(names) and names[i] else f"column {i + 1}"
        columns.append(f"{name} ({i + 1})" if name in columns else name)
    body = rows[titled:]
    found = [_samples(body[:LOOKED_AT], i, decimal) for i in range(width)]
    numeric = [i for i, values in enumerate(found) if values is not None]
    if not numeric:
        raise WeightsError("The table has no column of numbers.")
    strengths = [i for i in numeric if not _runs_on(found[i])]
    return Table(tuple(columns), body, decimal, 1 + titled, (strengths or numeric)[0])


def _samples(rows: list[list[str]], column: int, decimal: str) -> NDArray[np.float64] | None:
    """The first numbers of a column; None where most of its cells hold none."""
    cells = [row[column].strip() for row in rows if column < len(row)]
    values = [_number(cell, decimal) for cell in cells if cell]
    numbers = [value for value in values if value is not None]
    return np.array(numbers, np.float64) if 2 * len(numbers) > len(values) else None


def _runs_on(values: NDArray[np.float64] | None) -> bool:
    """Whether a column just numbers its rows: 1, 2, 3 …"""
    return values is not None and len(values) > 2 and bool((np.diff(values) == 1).all())


def _number(cell: str, decimal: str) -> float | None:
    """The number in a cell, NaN for one that is not known, None for text."""
    if cell.lower() in NOT_KNOWN:
        return math.nan
    if decimal == "," and cell.count(",") == 1 and "." not in cell:
        cell = cell.replace(",", ".")
    try:
        value = float(cell) if cell.isascii() and "_" not in cell else None
    except ValueError:
        return None
    return value
