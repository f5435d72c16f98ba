"""Settings of the page Weights: which networks, which layer, what is drawn beside them.

Each widget's key is its name in the address. An uploaded file has no place there: a link to it asks
for the file anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from dale_demo.drawing.markdown import plain
from dale_demo.ui.weights.sources import Source, bundled, find_model, on_hub, uploaded
from dale_demo.ui.weights.stored_run import TWIN, stored_names
from dale_demo.weights.files import ENDINGS, MAX_BYTES, table_of
from dale_demo.weights.report import Report
from dale_demo.weights.tensors import WeightsError

MY_FILE, NOTHING, SEED = "my file", "nothing", "drawn from its seed"
WHOLE = "all synapses"
CENTRED, AS_MEASURED, NOT_SHOWN = "same centre", "in mV", "not shown"
LEFT, RIGHT, START = "weights", "beside", "start"
"""Keys of the three fields that choose weights."""


@dataclass(frozen=True)
class Choice:
    """What a field of the sidebar asks for.

    Args:
        name: A bundled network, a name on the Hub, or one of the words above.
        source: Where to read; None where there is nothing to read yet.
        problem: One sentence on why there is none, as Markdown; may be empty.
    """

    name: str
    source: Source | None
    problem: str = ""


def networks() -> tuple[Choice, Choice]:
    """Draw the fields of the two networks, and find what they name."""
    names = stored_names()
    left = _choice(
        "Network",
        [*names, MY_FILE],
        names[0],
        key=LEFT,
        help="Whose weights to look at: a bundled network, **my file**, or the name of any model "
        "on the Hugging Face Hub as OWNER/NAME, of which only safetensors are read.",
    )
    twin = TWIN if TWIN in names else next((n for n in names if n != names[0]), NOTHING)
    right = _choice(
        "Beside it",
        [*names, MY_FILE, NOTHING],
        twin,
        key=RIGHT,
        help="A second network to compare it with.",
    )
    return left, right


def start(networks: Sequence[Choice]) -> Choice:
    """Draw the field for the weights before learning, and find what it names."""
    known = any(choice.name in stored_names() for choice in networks)
    return _choice(
        "Weights before learning",
        [SEED, MY_FILE, NOTHING],
        SEED if known else NOTHING,
        key=START,
        help="**Drawn from its seed**: the start of this project’s networks, from the record of "
        "their training. **My file**, or OWNER/NAME on the Hub: an earlier state of the first "
        "network, with layers of the same names and shapes.",
    )


def layer_and_overlay(report: Report) -> tuple[str, str]:
    """Draw the fields for the layer and for the distribution measured in cortex; empty for all."""
    left, right = st.columns(2)
    names = [layer.name for layer in report.layers] if len(report.layers) > 1 else []
    layer = left.selectbox(
        "Layer",
        [WHOLE, *names],
        key="layer",
        bind="query-params",
        help="Distributions differ between layers; all synapses together are a mixture of them.",
    )
    overlay = right.selectbox(
        "Measured in cortex",
        [NOT_SHOWN, CENTRED, AS_MEASURED],
        key="cortex",
        bind="query-params",
        help="Strengths of synapses between pyramidal cells (Song et al., 2005). A network’s "
        "weights have no unit, so compare the width, with the **same centre**; strengths of your "
        "own **in mV** can be compared as they are.",
    )
    return ("" if layer == WHOLE else layer), overlay


def _choice(label: str, options: list[str], default: str, *, key: str, help: str) -> Choice:
    name = st.selectbox(
        label,
        options,
        index=options.index(default),
        key=key,
        bind="query-params",
        accept_new_options=True,
        help=help,
    )
    name = (name or default).strip()
    try:
        return Choice(name, _source(name, key))
    except WeightsError as error:
        return Choice(name, None, plain(error))


def _source(name: str, key: str) -> Source | None:
    if name in (NOTHING, SEED):
        return None
    if name in stored_names():
        return bundled(name)
    return _own(key) if name == MY_FILE else _from_hub(name, key)


def _own(key: str) -> Source | None:
    file = st.file_uploader(
        "A file of weights or of synaptic strengths",
        list(ENDINGS),
        key=f"{key}-upload",
        max_upload_size=MAX_BYTES >> 20,
        help="A model as .safetensors, arrays as .npy or .npz, or a column of numbers as .csv. It "
        "stays in this session and is deleted when you leave.",
    )
    if file is None:
        return None
    columns = _columns(file, key)
    if columns is None:
        return uploaded(file)
    names, default = columns
    column = st.selectbox(
        "Column",
        names,
        index=default,
        key=f"{key}-column",
        bind="query-params",
        help="Which column holds the strengths.",
    )
    return uploaded(file, names.index(column))


def _columns(file: UploadedFile, key: str) -> tuple[tuple[str, ...], int] | None:
    """The columns of a table, and the one that most likely holds the strengths; None for no table.

    The file is looked through once, whatever else is clicked afterwards.

    Raises:
        WeightsError: It is a table that cannot be read.
    """
    identity, outcome = st.session_state.get(f"{key}-table", (None, None))
    if identity != file.file_id:
        try:
            table = table_of(file.getvalue(), file.name)
            outcome = table and (table.columns, table.default)
        except WeightsError as error:
            outcome = str(error)
        st.session_state[f"{key}-table"] = file.file_id, outcome
    if isinstance(outcome, str):
        raise WeightsError(outcome)
    return outcome


def _from_hub(name: str, key: str) -> Source:
    model = find_model(name)
    from dale_demo.hub.model_files import describe

    choices = model.choices
    path = choices[0]
    if len(choices) > 1:
        path = st.selectbox(
            "File",
            choices,
            key=f"{key}-file",
            bind="query-params",
            format_func=lambda path: describe(model, path),
            help="Which of the repository’s safetensors files to read.",
        )
    return on_hub(model, path)
