"""Named tensors of numbers, read piece by piece, and the error of a file that cannot be read."""

import math
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from dale_demo.checks import brief, shown

MAX_TENSORS, MAX_DIMENSIONS, MAX_NAME = 4096, 8, 255
PIECE = 2**18
"""Numbers that are read at once, which bounds the memory for a tensor of any size; 8 divides it."""

Piece = NDArray[np.floating[Any]]
Result = TypeVar("Result")


class WeightsError(ValueError):
    """A file holds no weights that can be read, or is damaged; one sentence says why."""

    def __init__(self, sentence: str = ""):
        super().__init__(brief(sentence))


class Readable(Protocol):
    """A file, or anything that is read like one, from front to back."""

    def read(self, size: int, /) -> bytes:
        """The next `size` bytes; fewer only at the end."""


@dataclass(frozen=True)
class NamedTensor:
    """A tensor whose numbers are still to be read.

    Args:
        name: Its name in the file.
        shape: Its dimensions.
        pieces: Its numbers in C order, in one-dimensional pieces of `PIECE` numbers, the last of
            fewer; read them before the next tensor.
        synapses: Whether they are weights between units; False for biases and norms.
        blank: Empty cells where it was read from a table, which are not among its numbers.
    """

    name: str
    shape: tuple[int, ...]
    pieces: Iterator[Piece]
    synapses: bool = True
    blank: int = 0

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def are_synapses(shape: tuple[int, ...], shapes: Iterable[tuple[int, ...]]) -> bool:
    """Whether a tensor of `shape` holds synapses, beside the others of its file, of `shapes`.

    A weight between two units needs two dimensions, one for each side; vectors are biases and
    norms. In a file of vectors alone, they are lists of strengths.
    """
    return len(shape) >= 2 or (len(shape) == 1 and all(len(other) < 2 for other in shapes))


def of_arrays(arrays: Mapping[str, NDArray[Any]]) -> Iterator[NamedTensor]:
    """The arrays of a network in memory as tensors to read."""
    shapes = [array.shape for array in arrays.values()]
    for name, array in arrays.items():
        yield NamedTensor(name, array.shape, pieces_of(array), are_synapses(array.shape, shapes))


def pieces_of(array: NDArray[Any]) -> Iterator[Piece]:
    """Cut an array, in C order, into pieces of at most `PIECE` numbers."""
    flat = array.reshape(-1)
    return (flat[at : at + PIECE] for at in range(0, flat.size, PIECE))


def finished(work: Generator[Any, None, Result]) -> Result:
    """Run a generator that works piece by piece to its end, and return what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def read_exactly(stream: Readable, size: int) -> bytes:
    """Read `size` bytes; raises WeightsError where the file ends before."""
    data = stream.read(size)
    if len(data) < size:
        raise WeightsError("The file ends too early: it is damaged, or was cut off.")
    return data


def check_count(tensors: int) -> None:
    """Refuse a file of too many tensors; raises WeightsError."""
    if tensors > MAX_TENSORS:
        raise WeightsError(f"The file holds {tensors:,} tensors; at most {MAX_TENSORS:,} are read.")


def check_outline(name: object, shape: object) -> tuple[str, tuple[int, ...]]:
    """Check a tensor's name and shape, as a header gives them; raises WeightsError."""
    if not isinstance(name, str) or len(name) > MAX_NAME:
        raise WeightsError(f"A tensor's name is longer than {MAX_NAME} characters: {shown(name)}.")
    if (
        not isinstance(shape, list | tuple)
        or len(shape) > MAX_DIMENSIONS
        or any(type(n) is not int or not 0 <= n < 2**48 for n in shape)
    ):
        raise WeightsError(f"The shape of {shown(name)} cannot be: {shown(shape)}.")
    return brief(name, MAX_NAME), tuple(shape)
