"""The stored runs that the page Sample opens with, one of each bundled network.

They have the default settings and seed 0. `python -m dale_demo.ui.build sample` makes those anew
whose network or settings have changed; raise the version of an item when a change of code changes
its result.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dale_demo.datasets import BUNDLED_NETWORKS, DEFAULT_NETWORK
from dale_demo.ui.shared.stored import StoredItem, digest, network_inputs

if TYPE_CHECKING:
    from dale_demo.sampling import SamplingSettings
    from dale_demo.trajectory import Trajectory

FOLDER = Path(__file__).with_name("stored")
IMAGES = 20
"""How many images the page opens with."""
ANIMATION = FOLDER / f"{DEFAULT_NETWORK}.webp"
"""The stored run of the default network, for the README and for the time the page loads."""


def run_file(network: str) -> Path:
    """Where the stored run of a network is."""
    return FOLDER / f"{network}.npz"


def class_names(network: str) -> tuple[str, ...]:
    """Of the data set that a bundled network was trained on."""
    return BUNDLED_NETWORKS[network].class_names


def default_settings() -> "SamplingSettings":
    """What the widgets ask for when nobody has touched them."""
    from dale_demo.sampling import PRESETS, cycle_labels

    return replace(
        PRESETS["wide"], labels=cycle_labels(range(len(class_names(DEFAULT_NETWORK))), IMAGES)
    )


def load_stored_run(network: str) -> "Trajectory":
    """Load the stored run of a bundled network."""
    from dale_demo.trajectory import Trajectory

    with np.load(run_file(network)) as arrays:
        return Trajectory(**arrays)


def make_run(network: str) -> "Trajectory":
    """Sample with a bundled network under the default settings, on the CPU."""
    from dale_demo.checkpoint.folder import find_checkpoint, load_checkpoint
    from dale_demo.sampling import run
    from dale_demo.trajectory import Recorder, record

    checkpoint, settings = load_checkpoint(find_checkpoint(network)), default_settings()
    return record(run(checkpoint, settings), Recorder.of(checkpoint.config, settings))


def items() -> list[StoredItem]:
    """A run of each bundled network, and the animation of the first."""
    runs = [
        StoredItem(
            f"sample/{network}",
            (run_file(network),),
            partial(_inputs, network),
            partial(_store_run, network),
            version=2,
        )
        for network in BUNDLED_NETWORKS
    ]
    run = run_file(DEFAULT_NETWORK)
    animation = StoredItem(
        "sample/animation", (ANIMATION,), lambda: {run.name: digest(run)}, _store_animation
    )
    return [*runs, animation]


def _inputs(network: str) -> dict[str, str]:
    return {"settings": repr(default_settings()), **network_inputs(network)}


def _store_run(network: str) -> None:
    run_file(network).write_bytes(make_run(network).npz_bytes())


def _store_animation() -> None:
    from dale_demo.ui.sample.downloads import webp

    ANIMATION.write_bytes(webp(load_stored_run(DEFAULT_NETWORK)))
