"""Stored reports of the bundled networks, with what changed since their start where that is known.

`python -m dale_demo.ui.build weights` makes those anew whose weights have changed; raise `VERSION`
when a change of code changes the numbers.
"""

import io
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from dale_demo.datasets import DEFAULT_NETWORK
from dale_demo.ui.shared.stored import StoredItem, digest
from dale_demo.weights.change_report import ChangeReport
from dale_demo.weights.report import Report

FOLDER = Path(__file__).with_name("stored")
CHECKPOINTS = Path(__file__).resolve().parents[3] / "checkpoints"
"""As `checkpoint.folder.BUNDLED`, which cannot be imported without PyTorch."""
VERSION = 1
"""Of the code that counts and fits."""
WEIGHTS = "model.safetensors"
TWIN = f"{DEFAULT_NETWORK}_dale"
"""The bundled network that learned by exponentiated gradient, where there is one."""


@dataclass(frozen=True)
class StoredNetwork:
    """What is stored of a bundled network.

    Args:
        report: Of its weights.
        change: Since the start of its first training run; None where that cannot be drawn again.
    """

    report: Report
    change: ChangeReport | None


def path(name: str) -> Path:
    """The file that holds what is stored of a network."""
    return FOLDER / f"{name}.npz"


def stored_names() -> list[str]:
    """Bundled networks with a stored report: the default, then its twin, then by name."""
    names = [file.stem for file in FOLDER.glob("*.npz")]
    return sorted(names, key=lambda name: (name != DEFAULT_NETWORK, name != TWIN, name))


@cache
def load_stored_network(name: str) -> StoredNetwork:
    """Load what is stored of one of `stored_names`; shared by all visitors, and never changed."""
    with np.load(path(name), allow_pickle=False) as arrays:
        change = ChangeReport.from_arrays(arrays) if "change_text" in arrays else None
        return StoredNetwork(Report.from_arrays(arrays), change)


def items() -> list[StoredItem]:
    """One for each bundled network."""
    from dale_demo.checkpoint.folder import bundled_checkpoints

    return [
        StoredItem(
            f"weights/{name}", (path(name),), partial(_inputs, name), partial(_make, name), VERSION
        )
        for name in bundled_checkpoints()
    ]


def _inputs(name: str) -> dict[str, str]:
    from dale_demo.checkpoint.folder import find_checkpoint

    return {"weights": digest(find_checkpoint(name) / WEIGHTS)}


def _make(name: str) -> None:
    from dale_demo.checkpoint.folder import find_checkpoint, load_config
    from dale_demo.ui.weights.starts import drawn_start
    from dale_demo.weights.analyse import analyse
    from dale_demo.weights.change import compare
    from dale_demo.weights.files import read_file

    folder = find_checkpoint(name)
    data = (folder / WEIGHTS).read_bytes()
    arrays = analyse(read_file(data, WEIGHTS)).arrays()
    if (start := drawn_start(load_config(folder))) is not None:
        arrays |= compare(start, read_file(data, WEIGHTS)).arrays()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    path(name).write_bytes(buffer.getvalue())
