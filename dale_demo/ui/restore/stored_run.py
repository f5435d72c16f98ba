"""What the page Noise and restore shows before anything is asked of a network.

Test pictures, one of each class, from MNIST (LeCun, Cortes, Burges 1998), Fashion-MNIST (Xiao,
Rasul, Vollgraf 2017, MIT licence) and KMNIST ("KMNIST Dataset", created by CODH, adapted from
"Kuzushiji Dataset", created by NIJL and others, doi:10.20676/00000341, CC BY-SA 4.0); and one of
them restored and filled by the bundled network with the default settings.

`python -m dale_demo.ui.restore_opening` makes both anew, with the data sets in `DALE_DATA`; do so
whenever the bundled network changes.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.checkpoint.folder import find_checkpoint, load_checkpoint
from dale_demo.data import Dataset, load, positive
from dale_demo.datasets import BUNDLED_NETWORKS, DATASETS
from dale_demo.restoration import Restoration, RestorationSettings, fill, intensity, restore

STORED = Path(__file__).with_name("stored")
NETWORK, DATASET, PICTURE = "mnist", "mnist", 2
_TEST_NAMES = [info.test_name for info in BUNDLED_NETWORKS.values()]
DEFAULT = RestorationSettings()
FILL_STEPS, ANSWERS, HOLE = 40, 6, "lower half"
PICTURES = STORED / "examples.npz"
RUN = STORED / "run.npz"


def pictures(dataset: str) -> NDArray[np.uint8] | None:
    """One test picture of each class of a data set [classes, H, W]; None where none is stored."""
    with np.load(PICTURES) as arrays:
        return arrays.get(DATASETS[dataset].test_name) if dataset in DATASETS else None


def holes(size: int) -> dict[str, NDArray[np.bool_]]:
    """Name → where to fill [size, size], True in the hole."""
    row, column = np.mgrid[:size, :size]
    quarter = size // 4
    middle = (np.abs(row - size / 2 + 0.5) < quarter) & (np.abs(column - size / 2 + 0.5) < quarter)
    return {
        "lower half": row >= size // 2,
        "upper half": row < size // 2,
        "right half": column >= size // 2,
        "middle": middle,
        "three pixels of four": (row % 2 == 1) | (column % 2 == 1),
    }


def stored() -> tuple[Restoration, NDArray[np.float64]]:
    """The stored restoration, and the stored answers [K, C, H, W]."""
    with np.load(RUN) as arrays:
        named = {name: arrays[name].astype(np.float64) for name in arrays}
    answers = named.pop("answers")
    return Restoration(**named), answers


def make() -> tuple[Restoration, NDArray[np.float64]]:
    """Restore and fill what is stored, on the CPU."""
    checkpoint = load_checkpoint(find_checkpoint(NETWORK))
    shown = pictures(DATASET)
    assert shown is not None
    x0 = positive(torch.from_numpy(shown[PICTURE]))[None]
    hole = torch.from_numpy(holes(x0.shape[-1])[HOLE])
    answers = fill(checkpoint, x0, hole, steps=FILL_STEPS, answers=ANSWERS, seed=DEFAULT.seed)
    return restore(checkpoint, x0[None], DEFAULT), intensity(answers)


def main() -> None:
    """Write both files."""
    root = os.environ.get("DALE_DATA")
    sets = {name: load(name, "test", root) for name in _TEST_NAMES}
    _save(PICTURES, {name: _first_of_each(data) for name, data in sets.items()})
    restoration, answers = make()
    run = restoration.arrays() | {"answers": answers}
    _save(RUN, {name: array.astype(np.float32) for name, array in run.items()})


def _save(file: Path, arrays: dict[str, Any]) -> None:
    np.savez_compressed(file, **arrays)


def _first_of_each(data: Dataset) -> NDArray[np.uint8]:
    rows = [int((data.labels == k).nonzero()[0, 0]) for k in range(len(data.class_names))]
    picked: Tensor = data.images[rows, 0]
    return picked.numpy()


if __name__ == "__main__":
    main()
