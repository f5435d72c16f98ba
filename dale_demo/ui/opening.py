"""The stored runs that a page opens with, one of each bundled network: default settings, seed 0.

`python -m dale_demo.ui.opening` makes them anew; do so whenever such a network changes.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dale_demo.sampling import SamplingSettings
    from dale_demo.trajectory import Trajectory

DATASETS = {"mnist": "mnist", "fashion_mnist": "fashion-mnist", "kmnist": "kmnist"}
"""Network → the data set that it draws, of those that have a stored run."""
NETWORK = "mnist"
"""The one shown where no other is asked for."""
PICTURES = 20
FILM = Path(__file__).with_name("opening.webp")


def file(network: str) -> Path:
    """Where the stored run of a network is."""
    return Path(__file__).with_name(f"opening-{network}.npz")


def class_names(network: str) -> tuple[str, ...]:
    """Of the data set that the network draws."""
    from dale_demo.data import CLASS_NAMES

    return CLASS_NAMES[DATASETS[network]]


def default_settings() -> "SamplingSettings":
    """What the widgets ask for when nobody has touched them."""
    from dale_demo.sampling import PRESETS, cycle_labels

    return replace(PRESETS["wide"], labels=cycle_labels(range(len(class_names(NETWORK))), PICTURES))


def trajectory(network: str) -> "Trajectory":
    """Load the stored run of a network."""
    from dale_demo.trajectory import Trajectory

    with np.load(file(network)) as arrays:
        return Trajectory(**arrays)


def make(network: str) -> "Trajectory":
    """Sample the run that is stored: the default settings with that network, on the CPU."""
    from dale_demo.checkpoint import find_checkpoint, load_checkpoint
    from dale_demo.sampling import run
    from dale_demo.trajectory import Recorder, record

    checkpoint, settings = load_checkpoint(find_checkpoint(network)), default_settings()
    return record(run(checkpoint, settings), Recorder.of(checkpoint.config, settings))


def main() -> None:
    """Write the runs, and the film of the first."""
    from dale_demo.ui.downloads import webp

    for network in DATASETS:
        file(network).write_bytes(make(network).npz_bytes())
    FILM.write_bytes(webp(trajectory(NETWORK)))


if __name__ == "__main__":
    main()
