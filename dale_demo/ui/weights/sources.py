"""Where weights come from: a bundled network, a model on the Hub, or a visitor's own file.

A source is found without reading its numbers; `reading` does that. What needs PyTorch or the Hub's
client is imported when it is asked for.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dale_demo.ui.shared.warm_up import import_in_turn
from dale_demo.ui.weights.stored_run import CHECKPOINTS, WEIGHTS
from dale_demo.weights.files import read_file
from dale_demo.weights.tensors import NamedTensor, WeightsError

if TYPE_CHECKING:
    from dale_demo.hub.model_files import Model, ModelFile

RECHECK_SECONDS, RETRY_SECONDS = 600, 30
"""How long an answer of the Hub is reused when it was good, and when it was an error."""
HUB, STARTS = "dale_demo.hub.model_files", "dale_demo.ui.weights.starts"
"""Modules that import PyTorch."""

Received = Callable[[int], None]


@dataclass(frozen=True)
class Source:
    """Weights that can be read, any number of times.

    Args:
        identity: Tells it from all others; what was read is kept by it.
        title: What the page calls it.
        account: Where it came from, as Markdown.
        size: Bytes to be read.
        read: Its tensors; the function passed to it is told how many bytes have come, as they come.
        network: Name of the score network that it may be, bundled or on the Hub.
        shared: Whether what was read of it may be shown to other visitors.
    """

    identity: tuple[str, ...]
    title: str
    account: str
    size: int
    read: Callable[[Received], Iterator[NamedTensor]]
    network: str | None = None
    shared: bool = False


def bundled(name: str) -> Source:
    """A network that comes with the program."""
    file = CHECKPOINTS / name / WEIGHTS

    def read(received: Received) -> Iterator[NamedTensor]:
        data = file.read_bytes()
        received(len(data))
        return read_file(data, WEIGHTS)

    size = file.stat().st_size if file.exists() else 0
    return Source(("bundled", name), name, "Bundled with the app.", size, read, name, True)


def uploaded(file: UploadedFile, column: int | None = None) -> Source:
    """A visitor's own file, of a table one column."""

    def read(received: Received) -> Iterator[NamedTensor]:
        received(file.size)
        return read_file(file.getvalue(), file.name, column)

    account = "Your file: it stays in this session, and is deleted when you leave."
    return Source(("own", file.file_id, str(column)), file.name, account, file.size, read)


def seeded(name: str) -> Source:
    """The weights with which the training of a score network began, drawn again from its seed."""

    def read(received: Received) -> Iterator[NamedTensor]:
        return import_in_turn(STARTS).start_of(name)

    return Source(("start", name), f"the start of {name}", "", 0, read, shared=True)


def on_hub(model: "Model", path: str) -> Source:
    """A file of a model on the Hub, or all that its index names.

    Raises:
        WeightsError: It is too large, or cannot be found.
    """
    from dale_demo.hub.model_files import read_model

    files = _parts(str(model.name), model.commit, path, model)
    if isinstance(files, str):
        raise WeightsError(files)

    def read(received: Received) -> Iterator[NamedTensor]:
        return read_model(model, files, received)

    return Source(
        ("hub", model.name.repo_id, model.commit, path),
        str(model.name),
        f"From the Hugging Face Hub at commit {model.commit[:7]}.",
        sum(file.size for file in files),
        read,
        str(model.name),
        True,
    )


def find_model(name: str) -> "Model":
    """Ask the Hub for a model, at most every few minutes for all visitors together.

    Raises:
        WeightsError: It is not there, has no weights, or the Hub does not answer.
    """
    with st.spinner("Loading PyTorch …"):
        import_in_turn(HUB)
    outcome, when = _look_up(name)
    if isinstance(outcome, str) and time.monotonic() - when > RETRY_SECONDS:
        _look_up.clear(name)
        outcome, when = _look_up(name)
    if isinstance(outcome, str):
        raise WeightsError(outcome)
    return outcome


@st.cache_resource(
    ttl=RECHECK_SECONDS, max_entries=64, show_spinner="Asking the Hugging Face Hub …"
)
def _look_up(name: str) -> "tuple[Model | str, float]":
    """The model, or the message of the error, and when it was looked up."""
    from dale_demo.hub.model_files import find_model
    from dale_demo.hub.names import HubName

    try:
        return find_model(HubName.parse(name)), time.monotonic()
    except ValueError as error:
        return str(error), time.monotonic()


# Streamlit leaves arguments that begin with an underscore out of the key.


@st.cache_resource(ttl=RETRY_SECONDS, max_entries=64, show_spinner="Asking the Hugging Face Hub …")
def _parts(name: str, commit: str, path: str, _model: "Model") -> "list[ModelFile] | str":
    from dale_demo.hub.model_files import files_of

    try:
        return files_of(_model, path)
    except ValueError as error:
        return str(error)
