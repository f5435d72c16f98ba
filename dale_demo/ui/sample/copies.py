"""The panel that shows each image of a run beside its nearest training images."""

import base64
from dataclasses import dataclass

import numpy as np
import streamlit as st

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.drawing.frames import ImageArray, grid, png_bytes
from dale_demo.drawing.markdown import plain, text_table
from dale_demo.evaluation.neighbours import Neighbours, Space, TrainingSet, load_training_set
from dale_demo.hub.idle_timeout import IdleTimeoutError, with_idle_timeout
from dale_demo.trajectory import Trajectory
from dale_demo.ui.shared.assets import asset
from dale_demo.ui.shared.networks import device, find, network_config
from dale_demo.ui.shared.queue import wait_turn

TITLE = "Are these images copies of training images?"
ABOUT = (
    "Each image of this run, above the training image that is nearest to it: in pixels, and in "
    "the features of a classifier, in which two images with the same shapes are near even where "
    "no pixel agrees. A copy is at distance 0, or far nearer than images that the network has "
    "never seen."
)
COLUMNS = 5
"""Images in a row of a block."""
PATIENCE = 300.0
"""Seconds that reading the data may take, which includes a download of 30 MB at most."""
NAMES: dict[Space, str] = {"pixels": "nearest in pixels", "features": "nearest in features"}


@st.fragment
def panel(trajectory: Trajectory, network: str) -> None:
    """The comparison in an expander, made when it is opened.

    Args:
        trajectory: The run, whose last images are compared.
        network: Name of its network.
    """
    with st.expander(TITLE, key="copies", on_change="rerun") as place:
        if not place.open:
            return
        st.markdown(ABOUT)
        kept: Comparison | None = st.session_state.get("copies_found")
        if kept is None or kept.trajectory is not trajectory:
            try:
                kept = st.session_state["copies_found"] = _compare(trajectory, network)
            except ValueError as error:
                st.info(plain(str(error)))
                return
        _show(kept)


@dataclass(frozen=True)
class Comparison:
    """What is shown of a run, kept for the next time that the page is drawn.

    Args:
        trajectory: The run.
        found: Its images and their nearest training images.
        unseen: The distances of unseen images; see `TrainingSet.unseen`.
    """

    trajectory: Trajectory
    found: Neighbours
    unseen: dict[Space, dict[str, float]]


def _compare(trajectory: Trajectory, network: str) -> Comparison:
    """Read the training images, prepare them if nobody has yet, and look for the nearest."""
    training, bar = _training_set(network), st.empty()
    with wait_turn(bar) as turn:
        for share in training.prepare():
            bar.progress(share, f"Describing {len(training):,} training images, once for all …")
            turn.give_way()
        found = training.neighbours(trajectory.images)
    bar.empty()
    return Comparison(trajectory, found, training.unseen)


def _training_set(network: str) -> TrainingSet:
    """What a network was trained on; raises ValueError, with one sentence, where it is not here."""
    with st.spinner("Reading the training images; where they are missing, they are downloaded …"):
        try:
            config = network_config(find(network).folder)
            training = _load(config.dataset, device())
        except CheckpointError as error:
            raise ValueError("The network of this run is not here any more.") from error
        except IdleTimeoutError as error:
            raise ValueError("The training images did not come in time; try again.") from error
    training.check(config)
    return training


@st.cache_resource(max_entries=2, show_spinner=False)
def _load(dataset: str, device: str) -> TrainingSet:
    """Read once for all visitors, and prepared by the first who need it."""
    return with_idle_timeout(lambda _: load_training_set(dataset, device), PATIENCE)


def _show(comparison: Comparison) -> None:
    """The pictures, and how their distances compare with those of unseen images."""
    found, unseen = comparison.found, comparison.unseen
    blocks = range(0, len(found.images), COLUMNS)
    style = f"<style>{asset('sample/copies.css')}</style>"
    st.html(f"{style}<div class='copies'>{''.join(_block(found, i) for i in blocks)}</div>")
    st.markdown(text_table(("Distance to the", *NAMES.values()), _numbers(comparison)))
    near = [
        f"{one.below(unseen[space]['lowest_percent'])} in {space}"
        for space, one in found.nearest.items()
    ]
    st.caption(
        f"Of {len(found.images)} images, {' and '.join(near)} are nearer to a training image than "
        "99 % of the unseen test images are; where nothing is copied, 1 in 100 is to be expected. "
        "Distances are Euclidean, with pixels from 0 to 1."
    )


def _numbers(comparison: Comparison) -> list[tuple[str, ...]]:
    """Rows of the table: what it tells, in pixels and in features."""
    runs = comparison.found.nearest
    unseen = comparison.unseen
    rows = {
        "this run: least": [runs[space].least for space in NAMES],
        "this run: median": [runs[space].median for space in NAMES],
        "unseen images: first percentile": [unseen[space]["lowest_percent"] for space in NAMES],
        "unseen images: median": [unseen[space]["median"] for space in NAMES],
    }
    return [(name, *(f"{value:.2f}" for value in values)) for name, values in rows.items()]


def _block(found: Neighbours, first: int) -> str:
    """Some of the images in three rows, with their distances under them, as HTML."""
    part = slice(first, first + COLUMNS)
    rows = [_row("sampled", found.images[part])]
    for space, one in found.nearest.items():
        numbers = "".join(f"<span>{value:.2f}</span>" for value in one.distances[part])
        rows.append(_row(NAMES[space], one.images[part]) + f"<div class='numbers'>{numbers}</div>")
    return f"<div class='block'>{''.join(rows)}</div>"


def _row(name: str, images: ImageArray) -> str:
    """A row of images; where a block is not full, the rest is empty."""
    missing = COLUMNS - len(images)
    padded = np.pad(images, ((0, missing), *[(0, 0)] * 3))
    data = base64.b64encode(png_bytes(grid(padded, columns=COLUMNS, gap=1))).decode()
    return f"<p>{name}</p><img src='data:image/png;base64,{data}' alt='Images: {name}'>"
