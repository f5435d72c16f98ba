"""The widgets of the page Noise and restore, and its address.

Each widget's key is its name in the address; a drawing, an upload and a painted mask are too large
for it, so an address that asks for one of them opens with an empty canvas.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.cost import check_memory
from dale_demo.checkpoint.folder import bundled_checkpoints
from dale_demo.restoration import PosteriorSamplerName, RestorationSettings, check_map
from dale_demo.ui.restore import stored_run
from dale_demo.ui.shared.network_field import network_field
from dale_demo.ui.shared.networks import network_config
from dale_demo.ui.shared.widgets import choice, seed

LEVELS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 8.0)
STEPS = (1, 2, 3, 5, 10, 15, 20, 30, 40, 60, 80, 100)
SAMPLES = (2, 4, 6, 8, 12, 16)
DRAWN, UPLOADED = "my drawing", "my upload"
"""Options beside the classes, and values in the address."""


@dataclass(frozen=True)
class RestoreRequest:
    """What a visitor asks for on this page.

    Args:
        network: Name of the network.
        folder: Where its checkpoint is.
        config: What it can do.
        source: Class of a test image, or DRAWN or UPLOADED.
        settings: How to noise and restore.
        hole: Name of the mask to begin with.
        answers: How many samples of the filled hole.
    """

    network: str
    folder: Path
    config: CheckpointConfig
    source: str
    settings: RestorationSettings
    hole: str
    answers: int


def default_request() -> RestoreRequest:
    """What the widgets ask for when nobody has touched them, with the stored network."""
    name, folder = stored_run.NETWORK, bundled_checkpoints()[stored_run.NETWORK]
    config = network_config(folder)
    source = config.class_names[stored_run.EXAMPLE]
    return RestoreRequest(
        name, folder, config, source, stored_run.DEFAULT, stored_run.HOLE, stored_run.ANSWERS
    )


def controls() -> RestoreRequest:
    """Draw the widgets and read them.

    Raises:
        ValueError: There is no network, it is not one for grey images under x = 1 + pixel, it is a
            few-step network, or it needs too much memory.
    """
    network = network_field(
        key="restorer",
        help="The trained network that restores, which knows only what it was trained on; type "
        "OWNER/NAME for any that is on the Hugging Face Hub.",
    )
    config = network_config(network.folder)
    if config.network.image_channels != 1:
        raise ValueError(f"The network {network.name} is not for grey images; choose another.")
    check_map(config)
    config.check_posterior_mean("restoration")
    source = _source(config)
    settings = RestorationSettings(**_noise(), **_reverse_process())
    hole, answers = _hole(config.network.image_size)
    check_memory(config, answers)
    return RestoreRequest(network.name, network.folder, config, source, settings, hole, answers)


def _source(config: CheckpointConfig) -> str:
    names, size = config.class_names, config.network.image_size
    shown = stored_run.load_examples(config.dataset)
    # A network from elsewhere may name a data set and mean other images or classes.
    fits = shown is not None and shown.shape == (len(names), size, size)
    fits = fits and not {DRAWN, UPLOADED} & {*names}
    options = [*(names if fits else ()), DRAWN, UPLOADED]
    return choice(
        "Image",
        options,
        options[stored_run.EXAMPLE if fits else 0],
        key="picture",
        help="A test image that the network has never seen, or one of your own.",
    )


def _noise() -> dict[str, Any]:
    default = stored_run.DEFAULT
    return {
        "noise_level": st.select_slider(
            "Noise level s(t)",
            LEVELS,
            default.noise_level,
            key="level",
            bind="query-params",
            help="Standard deviation of ln x that the noise adds; at 1, two pixels in three stay "
            "within a factor of e ≈ 2.7 of their value.",
        ),
        "seed": seed(
            default.seed,
            key="noise",
            help="Seed of the noise and of every sample: the same seed gives the same images.",
        ),
    }


def _reverse_process() -> dict[str, Any]:
    default = stored_run.DEFAULT
    return {
        "posterior_sampler": choice(
            "Posterior sampler",
            get_args(PosteriorSamplerName),
            default.posterior_sampler,
            key="drawer",
            help="The sampler that runs from the noised image down to a possible original.",
        ),
        "steps": st.select_slider(
            "Steps",
            STEPS,
            default.steps,
            key="walk",
            bind="query-params",
            help="Multiplications from this level to the image: more are slower and more exact.",
        ),
        "draws": st.select_slider(
            "Samples",
            SAMPLES,
            default.draws,
            key="draws",
            bind="query-params",
            help="How many possible originals are sampled, for their mean and standard deviation.",
        ),
    }


def _hole(size: int) -> tuple[str, int]:
    hole = choice(
        "Hole to fill",
        list(stored_run.holes(size)),
        stored_run.HOLE,
        key="hole",
        help="The mask at first; paint more of it, or erase some, on the page.",
    )
    answers = st.select_slider(
        "Fillings",
        SAMPLES,
        stored_run.ANSWERS,
        key="answers",
        bind="query-params",
        help="How many ways of filling the hole are sampled.",
    )
    return hole, answers
