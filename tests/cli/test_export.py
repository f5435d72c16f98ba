"""Each kind of file that a run is exported to, read back and held against the run itself."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from dale_demo.checkpoint.folder import Checkpoint, load_checkpoint
from dale_demo.cli.export import KINDS, export, kind_of
from dale_demo.drawing.frames import FRAME_MS, LAST_FRAME_MS, grid, side_by_side
from dale_demo.sampling import SamplingSettings, sample_images
from tests.tiny_network import save_tiny

SETTINGS = SamplingSettings(sampler="bridge", steps=3, labels=(2, 0, -1))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Checkpoint:
    """A tiny network of grey images."""
    return load_checkpoint(save_tiny(tmp_path_factory.mktemp("network")))


def exported(kind: str, checkpoint: Checkpoint, settings=SETTINGS, batch_size=2) -> io.BytesIO:
    return io.BytesIO(export(kind, checkpoint, settings, batch_size, lambda _: None))


def images_of(checkpoint: Checkpoint, settings=SETTINGS) -> np.ndarray:
    return sample_images(checkpoint, settings, batch_size=2)


def test_npz_of_grey_images_has_no_channel_axis(checkpoint):
    with np.load(exported(".npz", checkpoint)) as arrays:
        assert set(arrays) == {"images", "labels"}
        np.testing.assert_array_equal(arrays["images"], images_of(checkpoint)[..., 0])
        assert arrays["images"].dtype == np.uint8
        assert arrays["labels"].dtype == np.int64
        assert arrays["labels"].tolist() == [2, 0, -1]


def test_npz_of_colour_images_has_one(tmp_path):
    checkpoint = load_checkpoint(save_tiny(tmp_path, channels=3))
    with np.load(exported(".npz", checkpoint)) as arrays:
        assert arrays["images"].shape == (3, 8, 8, 3)
        np.testing.assert_array_equal(arrays["images"], images_of(checkpoint))


def test_png_is_the_grid_of_the_images(checkpoint):
    with Image.open(exported(".png", checkpoint)) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), grid(images_of(checkpoint))[..., 0])


@pytest.mark.parametrize("kind", [".webp", ".gif"])
def test_an_animation_has_a_frame_for_each_step_and_stays_on_the_last(checkpoint, kind):
    with Image.open(exported(kind, checkpoint)) as animation:
        assert animation.format == kind[1:].upper()
        durations, frames = [], []
        for frame in ImageSequence.Iterator(animation):
            frames.append(np.asarray(frame.convert("L")).astype(int))
            durations.append(frame.info["duration"])
    assert SETTINGS.steps <= len(durations) <= SETTINGS.steps + 1, "equal ones may be joined"
    assert sum(durations) == SETTINGS.steps * FRAME_MS + LAST_FRAME_MS
    assert durations[0] == FRAME_MS
    last = grid(images_of(checkpoint))
    expected = side_by_side(last, last)[..., 0]
    assert frames[-1].shape == expected.shape
    assert np.abs(frames[-1] - expected).mean() < 8, "at the end the state is the estimate; lossy"
    assert np.abs(frames[0] - expected).mean() > 12, "the control: the first step"


def test_an_animation_of_many_steps_has_at_most_sixty_frames(checkpoint):
    with Image.open(exported(".gif", checkpoint, replace(SETTINGS, steps=80))) as animation:
        assert animation.n_frames <= 60


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_watches_every_step_of_every_batch(checkpoint, kind):
    seen = []
    export(kind, checkpoint, SETTINGS, 2, lambda step: seen.append(step.index))
    assert seen == [0, 1, 2, 3] * 2


def test_the_ending_decides_the_kind():
    assert kind_of(Path("run.PNG")) == ".png"
    for kind in KINDS:
        assert kind_of(Path(f"a.b{kind}")) == kind
    for file in ("run.jpg", "run", ".npz"):
        with pytest.raises(ValueError, match=r"choose from \.npz, \.png, \.webp, \.gif"):
            kind_of(Path(file))
