"""The stored run that a page opens with: default settings, seed 0, the bundled network.

`python -m dale_demo.ui.opening` makes it anew; do so whenever the bundled network changes.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dale_demo.sampling import SamplingSettings
    from dale_demo.trajectory import Trajectory

NETWORK, CLASS_NAMES = "mnist", tuple("0123456789")
PICTURES = 20
RUN = Path(__file__).with_name("opening.npz")
FILM = Path(__file__).with_name("opening.webp")


def default_settings() -> "SamplingSettings":
    """What the widgets ask for when nobody has touched them."""
    from dale_demo.sampling import PRESETS, cycle_labels

    return replace(PRESETS["wide"], labels=cycle_labels(range(len(CLASS_NAMES)), PICTURES))


def trajectory() -> "Trajectory":
    """Load the stored run."""
    from dale_demo.trajectory import Trajectory

    with np.load(RUN) as arrays:
        return Trajectory(**arrays)


def make() -> "Trajectory":
    """Sample the run that is stored: the default settings with the bundled network, on the CPU."""
    from dale_demo.checkpoint import find_checkpoint, load_checkpoint
    from dale_demo.sampling import run
    from dale_demo.trajectory import Recorder, record

    checkpoint, settings = load_checkpoint(find_checkpoint(NETWORK)), default_settings()
    return record(run(checkpoint, settings), Recorder.of(checkpoint.config, settings))


def main() -> None:
    """Write both files."""
    from dale_demo.ui.downloads import webp

    made = make()
    RUN.write_bytes(made.npz_bytes())
    FILM.write_bytes(webp(made))


if __name__ == "__main__":
    main()
