"""The widgets of the page Noise and restore, and its address.

Each widget's key is its name in the address; a drawing, an upload and a painted mask are too large
for it, so an address that asks for one of them opens with an empty canvas.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from dale_demo.checkpoint import CheckpointConfig, bundled_checkpoints
from dale_demo.data import PositiveMap
from dale_demo.restoration import DrawerName, RestorationSettings
from dale_demo.ui import restore_opening as opening
from dale_demo.ui.resources import network_config

LEVELS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 8.0)
STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60, 80, 100)
DRAWS = (2, 4, 6, 8, 12, 16)
DRAWN, UPLOADED = "my drawing", "my upload"


@dataclass(frozen=True)
class Choice:
    """What a visitor asks for.

    Args:
        network: Name of the network.
        config: What it can do.
        picture: Class of a test picture, or DRAWN or UPLOADED.
        settings: How to noise and restore.
        hole: Name of the mask to begin with.
        answers: How many fillings.
    """

    network: str
    config: CheckpointConfig
    picture: str
    settings: RestorationSettings
    hole: str
    answers: int

    @property
    def folder(self) -> Path:
        """Where the network's checkpoint is."""
        return bundled_checkpoints()[self.network]


def default_choice() -> Choice:
    """What the widgets ask for when nobody has touched them, with the stored network."""
    config = network_config(bundled_checkpoints()[opening.NETWORK])
    picture = config.class_names[opening.PICTURE]
    return Choice(opening.NETWORK, config, picture, opening.DEFAULT, opening.HOLE, opening.ANSWERS)


def controls() -> Choice:
    """Draw the widgets and read them.

    Raises:
        ValueError: There is no network for grey pictures.
    """
    network, config = _network()
    picture = _picture(config)
    settings = RestorationSettings(**_noise(), **_walk())
    hole, answers = _hole(config.network.image_size)
    return Choice(network, config, picture, settings, hole, answers)


def _network() -> tuple[str, CheckpointConfig]:
    configs = {name: network_config(path) for name, path in bundled_checkpoints().items()}
    names = [name for name, config in configs.items() if _suits(config)]
    if not names:
        raise ValueError("There is no network for grey pictures; train or pull one first.")
    name = st.selectbox(
        "Network",
        names,
        index=names.index(opening.NETWORK) if opening.NETWORK in names else 0,
        key="restorer",
        bind="query-params",
        help="The trained network that restores; it knows only what it was trained on.",
    )
    return name, configs[name]


def _suits(config: CheckpointConfig) -> bool:
    grey = config.network.image_channels == 1
    return grey and config.positive_map is PositiveMap.SHIFT


def _picture(config: CheckpointConfig) -> str:
    shipped = list(config.class_names) if opening.pictures(config.dataset) is not None else []
    options = [*shipped, DRAWN, UPLOADED]
    return st.selectbox(
        "Picture",
        options,
        index=opening.PICTURE if shipped else 0,
        key="picture",
        bind="query-params",
        help="A test picture that the network has never seen, or one of your own.",
    )


def _noise() -> dict[str, Any]:
    default = opening.DEFAULT
    return {
        "noise_level": st.select_slider(
            "Noise level s(t)",
            LEVELS,
            default.noise_level,
            key="level",
            bind="query-params",
            help="Standard deviation of ln x that the noise adds; at 1, two pixels in three are "
            "within a factor of e ≈ 2.7 of what they were.",
        ),
        "seed": st.number_input(
            "Seed",
            0,
            2**31 - 1,
            default.seed,
            key="noise",
            bind="query-params",
            help="Of the noise and of every draw: the same seed gives the same pictures.",
        ),
    }


def _walk() -> dict[str, Any]:
    default, drawers = opening.DEFAULT, list(get_args(DrawerName))
    return {
        "drawer": st.selectbox(
            "Draws by",
            drawers,
            index=drawers.index(default.drawer),
            key="drawer",
            bind="query-params",
            help="The sampler that walks from the noised picture down to a possible original.",
        ),
        "steps": st.select_slider(
            "Steps",
            STEPS,
            default.steps,
            key="walk",
            bind="query-params",
            help="Multiplications from this level to the picture: more are slower and more exact.",
        ),
        "draws": st.select_slider(
            "Draws",
            DRAWS,
            default.draws,
            key="draws",
            bind="query-params",
            help="How many possible originals are drawn, for their mean and spread.",
        ),
    }


def _hole(size: int) -> tuple[str, int]:
    names = list(opening.holes(size))
    hole = st.selectbox(
        "Hole to fill",
        names,
        index=names.index(opening.HOLE),
        key="hole",
        bind="query-params",
        help="Where the mask begins; paint more of it, or erase some, on the page.",
    )
    answers = st.select_slider(
        "Answers",
        DRAWS,
        opening.ANSWERS,
        key="answers",
        bind="query-params",
        help="How many ways of filling the hole are drawn.",
    )
    return hole, answers
