"""The stored runs that a page opens with, one of each bundled network: default settings, seed 0.

`python -m dale_demo.ui.opening` makes them anew; do so whenever such a network changes.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dale_demo.datasets import BUNDLED_NETWORKS, DEFAULT_NETWORK

if TYPE_CHECKING:
    from dale_demo.sampling import SamplingSettings
    from dale_demo.trajectory import Trajectory

STORED = Path(__file__).with_name("stored")
PICTURES = 20
FILM = STORED / "mnist.webp"


def file(network: str) -> Path:
    """Where the stored run of a network is."""
    return STORED / f"{network}.npz"


def class_names(network: str) -> tuple[str, ...]:
    """Of the data set that the network draws."""
    return BUNDLED_NETWORKS[network].class_names


def default_settings() -> "SamplingSettings":
    """What the widgets ask for when nobody has touched them."""
    from dale_demo.sampling import PRESETS, cycle_labels

    return replace(
        PRESETS["wide"], labels=cycle_labels(range(len(class_names(DEFAULT_NETWORK))), PICTURES)
    )


def trajectory(network: str) -> "Trajectory":
    """Load the stored run of a network."""
    from dale_demo.trajectory import Trajectory

    with np.load(file(network)) as arrays:
        return Trajectory(**arrays)


def make(network: str) -> "Trajectory":
    """Sample the run that is stored: the default settings with that network, on the CPU."""
    from dale_demo.checkpoint.folder import find_checkpoint, load_checkpoint
    from dale_demo.sampling import run
    from dale_demo.trajectory import Recorder, record

    checkpoint, settings = load_checkpoint(find_checkpoint(network)), default_settings()
    return record(run(checkpoint, settings), Recorder.of(checkpoint.config, settings))


def main() -> None:
    """Write the runs, and the film of the first."""
    from dale_demo.ui.sample.downloads import webp

    for network in BUNDLED_NETWORKS:
        file(network).write_bytes(make(network).npz_bytes())
    FILM.write_bytes(webp(trajectory(DEFAULT_NETWORK)))


if __name__ == "__main__":
    main()
