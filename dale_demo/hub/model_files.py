"""Read the weights of any model on the Hub, tensor by tensor, as its safetensors files come.

Nothing is stored and nothing is executed: of a repository only the list of its files is asked for,
the index of a model in several files, and those files. Sizes are checked before the first byte is
asked for, and each file's hash when its last byte has come.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, http_stream_backoff

from dale_demo.checks import shown
from dale_demo.hub import connection  # noqa: F401 - sets how the client connects
from dale_demo.hub.client import IDLE_TIMEOUT, find_commit
from dale_demo.hub.errors import translate
from dale_demo.hub.idle_timeout import Heartbeat, stream_with_idle_timeout, with_idle_timeout
from dale_demo.hub.names import HubError, HubName
from dale_demo.weights.safetensors_file import read_safetensors
from dale_demo.weights.tensors import MAX_TENSORS, NamedTensor

MAX_BYTES = 2**30
"""Of the files that make up a model."""
MAX_INDEX_BYTES, MAX_FILES, MAX_CHOICES = 4 * 2**20, 20_000, 100
LONGEST_SECONDS = 600.0
"""Time after which a model is given up that comes, but slowly."""
WEIGHTS, INDEX = ".safetensors", ".safetensors.index.json"
USUAL = ("model.safetensors", "model.safetensors.index.json")
"""Names of the files of most models, which are offered first."""


@dataclass(frozen=True)
class ModelFile:
    """A file of a repository.

    Args:
        path: Its path there.
        size: Its bytes.
        hash: As announced: SHA-256 of a large file, git's SHA-1 of a small one.
    """

    path: str
    size: int
    hash: str


@dataclass(frozen=True)
class Model:
    """A repository at one commit.

    Args:
        name: Its name.
        commit: Full commit.
        files: Path → file, of its weights and their indices.
    """

    name: HubName
    commit: str
    files: dict[str, ModelFile]

    @property
    def choices(self) -> list[str]:
        """Files to choose from, the usual ones first, then indices, then by name."""
        return sorted(
            self.files,
            key=lambda path: (path not in USUAL, not path.endswith(INDEX), path),
        )[:MAX_CHOICES]


def find_model(name: HubName) -> Model:
    """Ask the Hub for the weights that a repository holds, without a token.

    Raises:
        HubError: It cannot be reached, there is no such repository, or it has no safetensors files.
    """
    try:
        model = with_idle_timeout(partial(_find_files, name), IDLE_TIMEOUT)
    except Exception as error:
        raise translate(error, name) from error
    if not model.files:
        raise HubError(
            f"{name} holds no safetensors file; weights in other formats are not read, as they may "
            "hold code."
        )
    return model


def describe(model: Model, path: str) -> str:
    """A file's path and size, or that it is an index of several files."""
    if path.endswith(INDEX):
        return f"{path.removesuffix('.index.json')}, in several files"
    return f"{path}, {in_mebibytes(model.files[path].size)}"


def in_mebibytes(size: int) -> str:
    """A number of bytes in words, "12.5 MiB"."""
    return f"{size / 2**20:,.1f} MiB"


def files_of(model: Model, path: str) -> list[ModelFile]:
    """The files that hold the weights of a choice: itself, or those in its index.

    Raises:
        HubError: There is no such file, the index is wrong, or they are larger than `MAX_BYTES`.
    """
    if path not in model.files:
        raise HubError(f"{model.name} has no file {shown(path)}.")
    chosen = model.files[path]
    files = _in_index(model, chosen) if path.endswith(INDEX) else [chosen]
    if (total := sum(file.size for file in files)) > MAX_BYTES:
        raise HubError(
            f"{model.name} is too large: {in_mebibytes(total)} of weights; at most "
            f"{in_mebibytes(MAX_BYTES)} are read: choose one of its files."
        )
    return files


def read_model(
    model: Model, files: list[ModelFile], received: Callable[[int], None]
) -> Iterator[NamedTensor]:
    """Read the tensors of a model as they come, in the order in which they lie in its files.

    Args:
        files: See `files_of`.
        received: Told the bytes that have come after each piece.

    Raises:
        HubError: The download fails, or takes more than `LONGEST_SECONDS`.
        WeightsError: A file is not what it should be.
    """
    deadline = time.monotonic() + LONGEST_SECONDS
    for file in files:
        stream = _Stream(model, file, received, deadline)
        try:
            yield from read_safetensors(stream, file.size, part=len(files) > 1)
            stream.check_end()
        finally:
            stream.close()


class _Stream:
    """A file of a repository, read from front to back as it comes."""

    def __init__(
        self, model: Model, file: ModelFile, received: Callable[[int], None], deadline: float
    ):
        self._model, self._file, self._received, self._deadline = model, file, received, deadline
        self._pieces = stream_with_idle_timeout(partial(_download, model, file), IDLE_TIMEOUT)
        self._buffer, self._left = bytearray(), file.size
        self._digest = _digest(file)

    def read(self, size: int, /) -> bytes:
        """The next `size` bytes; fewer only at the end."""
        while len(self._buffer) < size and (piece := self._next()):
            self._buffer += piece
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _next(self) -> bytes:
        try:
            piece = next(self._pieces, b"")
        except Exception as error:
            raise translate(error, self._model.name) from error
        self._left -= len(piece)
        if self._left < 0 or time.monotonic() > self._deadline:
            why = "is larger than announced" if self._left < 0 else "comes too slowly"
            raise HubError(f"{self._model.name} was given up: {shown(self._file.path)} {why}.")
        self._digest.update(piece)
        self._received(len(piece))
        return piece

    def check_end(self) -> None:
        """Check that nothing follows, and the hash; raises HubError."""
        if self._next() or self._left or self._digest.hexdigest() != self._file.hash:
            raise HubError(
                f"{self._model.name} is damaged: {shown(self._file.path)} does not have the hash "
                "announced."
            )

    def close(self) -> None:
        """End the download."""
        self._pieces.close()  # type: ignore[attr-defined]


def _digest(file: ModelFile) -> Any:
    """What computes the hash that the Hub announces for a file."""
    if len(file.hash) == 64:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)


def _download(model: Model, file: ModelFile) -> Iterator[bytes]:
    url = hf_hub_url(model.name.repo_id, file.path, revision=model.commit)
    # As they are: packed bytes could become any number of others.
    headers = build_hf_headers(token=False) | {"Accept-Encoding": "identity"}
    with http_stream_backoff(
        "GET",
        url,
        headers=headers,
        timeout=IDLE_TIMEOUT,
        retry_on_exceptions=(),
        retry_on_status_codes=(),
    ) as response:
        hf_raise_for_status(response)
        yield from response.iter_raw(2**16)


def _find_files(name: HubName, heartbeat: Heartbeat) -> Model:
    commit = find_commit(name, token=False)
    heartbeat.beat()
    found = {}
    tree = HfApi(token=False).list_repo_tree(name.repo_id, revision=commit, recursive=True)
    for item in islice(tree, MAX_FILES):
        heartbeat.beat()
        if isinstance(item, RepoFile) and item.path.endswith((WEIGHTS, INDEX)):
            hash = item.lfs.sha256 if item.lfs else item.blob_id
            found[item.path] = ModelFile(item.path, item.size, hash)
    return Model(name, commit, found)


def _in_index(model: Model, index: ModelFile) -> list[ModelFile]:
    """The files that an index names, in order; raises HubError where it is wrong."""
    if index.size > MAX_INDEX_BYTES:
        raise HubError(f"{model.name} is too large: its index has {in_mebibytes(index.size)}.")
    stream = _Stream(model, index, lambda _: None, time.monotonic() + IDLE_TIMEOUT)
    text = stream.read(index.size)
    stream.check_end()
    try:
        names = json.loads(text)["weight_map"]
        if not isinstance(names, dict) or len(names) > MAX_TENSORS:
            raise TypeError
        folder = index.path.rpartition("/")[0]
        paths = sorted({f"{folder}/{name}" if folder else name for name in names.values()})
        files = [model.files[path] for path in paths]
        if not files or not all(path.endswith(WEIGHTS) for path in paths):
            raise KeyError
        return files
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise HubError(f"{model.name} has an index that names no files of it.") from error
