"""The widgets of the page Sample, its address, and `SamplingSettings`: one thing in three forms.

Each widget's key is its name in the address (`bind="query-params"`), which leaves out what is at
its default and ignores values that are not valid. The preset is not part of the address: its widget
shows which preset the other settings are, if any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.cost import check_memory
from dale_demo.drawing.markdown import plain
from dale_demo.samplers import LANGEVIN, SAMPLER_LABELS, SAMPLERS, SamplerName
from dale_demo.sampling import (
    PRESETS,
    UNCONDITIONAL,
    SamplingSettings,
    StartName,
    cycle_labels,
    paper_annealed,
    resolved,
)
from dale_demo.ui.sample import stored_run
from dale_demo.ui.shared.network_field import network_field
from dale_demo.ui.shared.networks import network_config
from dale_demo.ui.shared.widgets import choice, seed, time_grid

DEFAULT = PRESETS["wide"]
NO_CLASS = "no class"
# The options themselves stay plain names: Streamlit writes what an option shows into the address.
ABOUT_SAMPLERS = f"How one step is computed: {'; '.join(SAMPLER_LABELS.values())}."
STEPS = (*range(1, 11), 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1000)
IMAGES = (1, 2, 4, 6, 9, 10, 12, 16, 20, 25, 30, 36, 49, 64)
PRESET_FIELDS = (
    "sampler",
    "noise_level",
    "steps",
    "guidance",
    "mu",
    "grid",
    "start",
    "annealing",
    "repeats",
    "step_size",
    "tweedie",
    "tweedie_steps",
)


@dataclass(frozen=True)
class SampleRequest:
    """What a visitor asks for on this page.

    Args:
        network: Name of the network.
        folder: Where its checkpoint is.
        config: What the network can do.
        settings: How to sample.
    """

    network: str
    folder: Path
    config: CheckpointConfig
    settings: SamplingSettings


def controls() -> SampleRequest:
    """Draw the widgets and read them.

    Raises:
        ValueError: There is no network, or the settings do not go together or need too much
            memory.
    """
    network = network_field(
        key="network",
        help="The trained network that estimates the clean images; type OWNER/NAME for any that is "
        "on the Hugging Face Hub.",
    )
    config = network_config(network.folder)
    if config.levels:
        settings = SamplingSettings(**_leaps(config) | _images(config))
    else:
        preset = st.container()
        settings = SamplingSettings(**_sampler() | _images(config) | _advanced())
        with preset:
            _preset(presets(config.dataset), settings)
    settings = resolved(config, settings)
    check_memory(config, len(settings.labels), signed=settings.can_cross)
    return SampleRequest(network.name, network.folder, config, settings)


def presets(dataset: str) -> dict[str, SamplingSettings]:
    """Name → settings: the general presets, and the paper's tuned one where it has one."""
    general: dict[str, SamplingSettings] = {n: PRESETS[n] for n in ("wide", "paper")}
    try:
        return general | {"annealed": paper_annealed(dataset, "dale-langevin")}
    except ValueError:
        return general


def matching(choices: dict[str, SamplingSettings], settings: SamplingSettings) -> str | None:
    """Name the preset that `settings` equal, whatever the labels and the seed."""
    wanted = fields_of(settings)
    return next((name for name, preset in choices.items() if fields_of(preset) == wanted), None)


def fields_of(settings: SamplingSettings) -> dict[str, Any]:
    """What a preset fixes: all but the labels and the seed."""
    return {name: getattr(settings, name) for name in PRESET_FIELDS}


def _preset(choices: dict[str, SamplingSettings], settings: SamplingSettings) -> None:
    st.session_state["preset"] = matching(choices, settings)
    st.segmented_control(
        "Preset",
        list(choices),
        key="preset",
        on_change=_apply,
        args=(choices,),
        width="stretch",
        help="**wide** starts from noise so strong that nothing of an image is left; **paper** "
        "and **annealed** are the paper’s own settings.",
    )


def _apply(choices: dict[str, SamplingSettings]) -> None:
    """Set every widget of a preset; a second click on the chosen one changes nothing."""
    if (name := st.session_state["preset"]) is not None:
        st.session_state.update(fields_of(choices[name]))


def _leaps(config: CheckpointConfig) -> dict[str, Any]:
    """What a few-step network leaves to choose of the sampler: how many leaps, and from where."""
    counts = sorted(len(levels) for levels in config.levels)
    steps = st.segmented_control(
        "Leaps",
        counts,
        default=counts[-1],
        required=True,
        key="leaps",
        bind="query-params",
        help="Network evaluations from noise to image. This network was distilled to need few: "
        "each leap goes to an image at once, and noise is added again between two of them.",
    )
    return {"sampler": "leap", "steps": steps, "noise_level": _noise_level()}


def _noise_level() -> float:
    return st.slider(
        "Noise level s(T)",
        0.1,
        20.0,
        DEFAULT.noise_level,
        0.1,
        format="%.1f",
        key="noise_level",
        bind="query-params",
        help="Standard deviation of ln x that the noise adds at the start, s(T) = σ√T; with "
        "T = 1 it is the volatility σ as well.",
    )


def _sampler() -> dict[str, Any]:
    names: list[SamplerName] = list(SAMPLERS)
    return {
        "sampler": choice(
            "Sampler",
            names,
            DEFAULT.sampler,
            key="sampler",
            help=ABOUT_SAMPLERS,
        ),
        "noise_level": _noise_level(),
        "steps": st.select_slider(
            "Steps",
            STEPS,
            DEFAULT.steps,
            key="steps",
            bind="query-params",
            help="Multiplications from noise to image: more are slower and closer to the exact "
            "reverse process.",
        ),
    }


def _images(config: CheckpointConfig) -> dict[str, Any]:
    no_class = no_class_name(config.class_names)
    names = (*config.class_names, no_class)
    chosen = st.pills(
        "Classes",
        names,
        selection_mode="multi",
        format_func=plain,  # anybody’s network may bring Markdown in its class names
        key="classes",
        bind="query-params",
        help="Classes to sample, in turn: all of them where none is chosen; **no class** samples "
        "without a label.",
    )
    guidance = st.slider(
        "Guidance",
        0.0,
        8.0,
        DEFAULT.guidance,
        0.25,
        key="guidance",
        bind="query-params",
        format="%.2f",
        disabled=chosen == [no_class],
        help="Classifier-free guidance: 1 is the network as trained, more makes images clearer and "
        "less varied, at two network evaluations for each score.",
    )
    count = st.select_slider(
        "Images",
        IMAGES,
        stored_run.IMAGES,
        key="pictures",
        bind="query-params",
        help="How many are sampled side by side.",
    )
    chosen_seed = seed(
        DEFAULT.seed, key="seed", help="The same seed and settings give the same images."
    )
    classes = [names.index(name) if name != no_class else UNCONDITIONAL for name in chosen]
    labels = cycle_labels(classes or range(len(config.class_names)), count)
    return {"labels": labels, "guidance": guidance, "seed": chosen_seed}


def no_class_name(class_names: Sequence[str]) -> str:
    """Name of the option without a label: `NO_CLASS`, in brackets where a class is called so."""
    name = NO_CLASS
    while name in class_names:
        name = f"({name})"
    return name


def _advanced() -> dict[str, Any]:
    with st.expander("Advanced"):
        return _forward_process() | _langevin()


def _forward_process() -> dict[str, Any]:
    return {
        "mu": st.number_input(
            "Drift μ",
            -200.0,
            200.0,
            DEFAULT.mu,
            0.1,
            key="mu",
            bind="query-params",
            placeholder="σ²/2",
            help="Drift of the forward process; if empty it is σ²/2, which keeps the median "
            "constant.",
        ),
        "grid": time_grid(DEFAULT.grid, key="grid"),
        "start": choice(
            "Start",
            get_args(StartName),
            DEFAULT.start,
            key="start",
            help="**exact** has the noised data’s mean and spread at each pixel, **fitted** is "
            "the paper’s for s(T) = 0.8, **class-averaged** noises the mean image of a class by "
            "this process, where the paper’s code puts the fitted mean and spread for μ and σ.",
        ),
    }


def _langevin() -> dict[str, Any]:
    st.caption(f"Only for {' and '.join(LANGEVIN)}:")
    idle = st.session_state["sampler"] not in LANGEVIN
    return {
        "annealing": st.number_input(
            "Annealing",
            0.0,
            1.0,
            DEFAULT.annealing,
            0.001,
            format="%.4g",
            key="annealing",
            bind="query-params",
            disabled=idle,
            help="Factor per step on the added noise: 1 keeps it, less makes it fade.",
        ),
        "repeats": st.number_input(
            "Repeats",
            1,
            10,
            DEFAULT.repeats,
            key="repeats",
            bind="query-params",
            disabled=idle,
            help="Updates at each time, each with its own network evaluation.",
        ),
        "step_size": st.number_input(
            "Step size δ",
            1e-6,
            1.0,
            DEFAULT.step_size,
            1e-4,
            format="%.3g",
            key="step_size",
            bind="query-params",
            disabled=idle,
            placeholder="from the grid",
            help="A fixed time step in place of the grid’s spacing.",
        ),
        "tweedie": st.toggle(
            "Final Tweedie step",
            DEFAULT.tweedie,
            key="tweedie",
            bind="query-params",
            disabled=idle,
            help="End on the network’s noise-free estimate instead of a noisy step.",
        ),
        "tweedie_steps": st.number_input(
            "Tweedie steps at the end",
            0,
            100,
            DEFAULT.tweedie_steps,
            key="tweedie_steps",
            bind="query-params",
            disabled=idle,
            help="Noise-free steps towards the estimate after the last one, each with its own "
            "network evaluation; the paper takes 25 for CIFAR-10.",
        ),
    }
