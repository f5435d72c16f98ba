"""The widgets of the page Noise and restore, and its address.

Each widget's key is its name in the address; a drawing, an upload and a painted mask are too large
for it, so an address that asks for one of them opens with an empty canvas.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.folder import bundled_checkpoints
from dale_demo.restoration import PosteriorSamplerName, RestorationSettings, check_map
from dale_demo.ui.restore import stored_run as opening
from dale_demo.ui.shared.network_field import network_field
from dale_demo.ui.shared.networks import network_config
from dale_demo.ui.shared.widgets import choice, seed

LEVELS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 8.0)
STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60, 80, 100)
DRAWS = (2, 4, 6, 8, 12, 16)
DRAWN, UPLOADED = "my drawing", "my upload"


@dataclass(frozen=True)
class Choice:
    """What a visitor asks for.

    Args:
        network: Name of the network.
        folder: Where its checkpoint is.
        config: What it can do.
        picture: Class of a test picture, or DRAWN or UPLOADED.
        settings: How to noise and restore.
        hole: Name of the mask to begin with.
        answers: How many fillings.
    """

    network: str
    folder: Path
    config: CheckpointConfig
    picture: str
    settings: RestorationSettings
    hole: str
    answers: int


def default_choice() -> Choice:
    """What the widgets ask for when nobody has touched them, with the stored network."""
    name, folder = opening.NETWORK, bundled_checkpoints()[opening.NETWORK]
    config = network_config(folder)
    picture = config.class_names[opening.PICTURE]
    return Choice(name, folder, config, picture, opening.DEFAULT, opening.HOLE, opening.ANSWERS)


def controls() -> Choice:
    """Draw the widgets and read them.

    Raises:
        ValueError: There is no network, or it is not one for grey pictures under x = 1 + pixel.
    """
    network = network_field(
        key="restorer",
        help="The trained network that restores, which knows only what it was trained on; type "
        "OWNER/NAME for any that is on the Hugging Face Hub.",
    )
    config = network_config(network.folder)
    if config.network.image_channels != 1:
        raise ValueError(f"The network {network.name} is not for grey pictures; choose another.")
    check_map(config)
    picture = _picture(config)
    settings = RestorationSettings(**_noise(), **_walk())
    hole, answers = _hole(config.network.image_size)
    return Choice(network.name, network.folder, config, picture, settings, hole, answers)


def _picture(config: CheckpointConfig) -> str:
    names, size = config.class_names, config.network.image_size
    shown = opening.pictures(config.dataset)
    # A network from elsewhere may name a data set and mean other pictures or classes.
    fits = shown is not None and shown.shape == (len(names), size, size)
    options = [*(names if fits else ()), DRAWN, UPLOADED]
    return choice(
        "Picture",
        options,
        options[opening.PICTURE if fits else 0],
        key="picture",
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
        "seed": seed(
            default.seed,
            key="noise",
            help="Of the noise and of every draw: the same seed gives the same pictures.",
        ),
    }


def _walk() -> dict[str, Any]:
    default = opening.DEFAULT
    return {
        "posterior_sampler": choice(
            "Draws by",
            get_args(PosteriorSamplerName),
            default.posterior_sampler,
            key="drawer",
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
    hole = choice(
        "Hole to fill",
        list(opening.holes(size)),
        opening.HOLE,
        key="hole",
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
