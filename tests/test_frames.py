"""Pictures keep their pixels, their order and their place."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from dale_demo import frames
from dale_demo.data import positive
from dale_demo.palette import INHIBITORY, rgb


def test_without_noise_exposure_is_the_pixels():
    pixels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    shown = frames.expose(positive(pixels).double())
    torch.testing.assert_close(shown, pixels.permute(0, 2, 3, 1))


def test_exposure_follows_drift_and_noise():
    s, m, w = 3.0, -1.5, 2.0
    ends = torch.tensor([-w * s, (math.log(2)) / 2, math.log(2) + w * s], dtype=torch.float64) + m
    shown = frames.expose(ends.exp().reshape(1, 1, 1, 3), m, s, w).flatten().tolist()
    assert shown == [0, round((2**0.5 - 1) * 255), 255]
    sharp = frames.expose(ends.exp().reshape(1, 1, 1, 3)).flatten().tolist()
    assert sharp != shown, "the exposure without noise is another one"


def test_exposure_ignores_the_sign_and_tint_shows_it():
    x = torch.tensor([[[[1.5, -1.5]]]], dtype=torch.float64)
    shown = frames.expose(x)
    assert shown[0, 0, 0] == shown[0, 0, 1]
    coloured = frames.tint(shown, x < 0)
    assert coloured[0, 0, 1].tolist() == list(rgb(INHIBITORY))
    assert coloured[0, 0, 0].tolist() == [int(shown[0, 0, 0])] * 3


def test_grid_keeps_order_row_by_row():
    pictures = np.arange(1, 7, dtype=np.uint8).reshape(6, 1, 1, 1)
    sheet = frames.grid(pictures, columns=3, gap=1)
    assert sheet.shape == (5, 7, 1)
    assert sheet[1::2, 1::2, 0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert sheet.sum() == 21, "gaps are black"


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (2, 2), (10, 5), (16, 4), (20, 5), (64, 8), (100, 10)]
)
def test_columns(count, columns):
    assert frames.columns_for(count) == columns


def test_side_by_side_and_enlarge():
    grey = np.full((2, 2, 1), 7, np.uint8)
    blue = np.zeros((2, 3, 3), np.uint8)
    both = frames.side_by_side(grey, blue, gap=1)
    assert both.shape == (2, 6, 3)
    assert (both[:, :2] == 7).all()
    large = frames.enlarge(grey, 3)
    assert large.shape == (6, 6, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_lossless(channels):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    read = np.asarray(Image.open(io.BytesIO(frames.png_bytes(picture))))
    np.testing.assert_array_equal(np.atleast_3d(read), picture)


@pytest.mark.parametrize("encode", [frames.webp_bytes, frames.gif_bytes])
def test_animations_keep_frames_and_times(encode):
    shades = [np.full((8, 8, 1), v, np.uint8) for v in (10, 120, 250)]
    film = Image.open(io.BytesIO(encode(shades, [50, 50, 900])))
    assert film.n_frames == 3
    seen, times = [], []
    for k in range(3):
        film.seek(k)
        film.load()
        seen.append(int(np.asarray(film.convert("L"))[4, 4]))
        times.append(film.info["duration"])
    np.testing.assert_allclose(seen, [10, 120, 250], atol=3)
    assert times == [50, 50, 900]
    with pytest.raises(ValueError, match="at least one frame"):
        encode([])
