"""What the page Noise and restore shows before any network is evaluated.

Test images, one of each class, from MNIST (LeCun, Cortes, Burges 1998), Fashion-MNIST (Xiao,
Rasul, Vollgraf 2017, MIT licence) and KMNIST ("KMNIST Dataset", created by CODH, adapted from
"Kuzushiji Dataset", created by NIJL and others, doi:10.20676/00000341, CC BY-SA 4.0); and one of
them restored and filled by the bundled network with the default settings.

`python -m dale_demo.ui.build restore` makes what is out of date anew, with the data sets in
`DALE_DATA`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.checkpoint.folder import find_checkpoint, load_checkpoint
from dale_demo.data import ROOT_VARIABLE, DataError, Dataset, load, positive
from dale_demo.datasets import BUNDLED_NETWORKS, DATASETS
from dale_demo.restoration import Restoration, RestorationSettings, fill, intensity, restore
from dale_demo.ui.restore.gallery import markup
from dale_demo.ui.restore.images import GreyImage, Mask
from dale_demo.ui.restore.views import views
from dale_demo.ui.shared.stored import StoredItem, Unavailable, digest, network_inputs

FOLDER = Path(__file__).with_name("stored")
EXAMPLES, RUN, SPLASH = (FOLDER / name for name in ("examples.npz", "run.npz", "splash.html"))
NETWORK, DATASET, EXAMPLE = "mnist", "mnist", 2
"""The bundled network, and the class of the example, that the page opens with."""
TEST_SETS = tuple(info.test_name for info in BUNDLED_NETWORKS.values())
DEFAULT = RestorationSettings()
FILL_STEPS, ANSWERS, HOLE = 40, 6, "lower half"


def load_examples(dataset: str) -> NDArray[np.uint8] | None:
    """One test image of each class of a data set [classes, H, W]; None where none is stored."""
    with np.load(EXAMPLES) as arrays:
        return arrays.get(DATASETS[dataset].test_name) if dataset in DATASETS else None


def load_example() -> GreyImage:
    """The image that the page opens with."""
    examples = load_examples(DATASET)
    assert examples is not None  # DATASET is one of those stored
    return examples[EXAMPLE]


def holes(size: int) -> dict[str, Mask]:
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


def load_stored_run() -> tuple[Restoration, NDArray[np.float64]]:
    """The stored restoration, and the stored samples of the filled hole [K, C, H, W]."""
    with np.load(RUN) as arrays:
        named = {name: arrays[name].astype(np.float64) for name in arrays}
    answers = named.pop("answers")
    return Restoration(**named), answers


def make_run() -> tuple[Restoration, NDArray[np.float64]]:
    """Restore and fill what is stored, on the CPU."""
    checkpoint = load_checkpoint(find_checkpoint(NETWORK))
    x0 = positive(torch.from_numpy(load_example()))[None]
    hole = torch.from_numpy(holes(x0.shape[-1])[HOLE])
    answers = fill(checkpoint, x0, hole, steps=FILL_STEPS, answers=ANSWERS, seed=DEFAULT.seed)
    return restore(checkpoint, x0[None], DEFAULT), intensity(answers)


def splash_html() -> str:
    """The stored restoration as HTML, for the time the page loads."""
    return markup(views(load_example(), load_stored_run()[0]))


def items() -> list[StoredItem]:
    """The test images, a restoration of one of them, and that as HTML."""
    return [
        # Public data sets do not change, so their names stand for them.
        StoredItem(
            "restore/examples", (EXAMPLES,), lambda: {"data sets": str(TEST_SETS)}, _store_examples
        ),
        StoredItem("restore/run", (RUN,), _run_inputs, _store_run),
        StoredItem(
            "restore/splash",
            (SPLASH,),
            lambda: {file.name: digest(file) for file in (EXAMPLES, RUN)},
            lambda: _write(SPLASH, splash_html()),
        ),
    ]


def _run_inputs() -> dict[str, str]:
    return {
        "settings": repr((NETWORK, DATASET, EXAMPLE, DEFAULT, FILL_STEPS, ANSWERS, HOLE)),
        **network_inputs(NETWORK),
        EXAMPLES.name: digest(EXAMPLES),
    }


def _store_examples() -> None:
    try:
        sets = {name: load(name, "test") for name in TEST_SETS}
    except DataError as error:
        where = f"Name the folder of the data sets in {ROOT_VARIABLE}."
        raise Unavailable(f"{error} {where}") from error
    _save(EXAMPLES, {name: _first_of_each(data) for name, data in sets.items()})


def _store_run() -> None:
    restoration, answers = make_run()
    run = restoration.arrays() | {"answers": answers}
    _save(RUN, {name: array.astype(np.float32) for name, array in run.items()})


def _save(file: Path, arrays: dict[str, Any]) -> None:
    np.savez_compressed(file, **arrays)


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _first_of_each(data: Dataset) -> NDArray[np.uint8]:
    rows = [int((data.labels == k).nonzero()[0, 0]) for k in range(len(data.class_names))]
    picked: Tensor = data.images[rows, 0]
    return picked.numpy()
