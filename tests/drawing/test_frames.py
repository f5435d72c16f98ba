"""Images against their formulas, and encoded bytes as Pillow reads them back."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from dale_demo.data import PositiveMap
from dale_demo.drawing import frames
from dale_demo.drawing.palette import EXCITATORY, INHIBITORY, rgb


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.fixture
def images() -> np.ndarray:
    """Three random colour images of 5×4."""
    return np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)


def test_without_noise_the_tone_map_gives_the_data():
    x = 1 + torch.arange(256, dtype=torch.float64).reshape(1, 1, 16, 16) / 255
    shown = frames.tone_map(x)
    assert shown.shape == (1, 16, 16, 1)
    torch.testing.assert_close(shown[0, ..., 0].flatten(), torch.arange(256, dtype=torch.uint8))
    torch.testing.assert_close(shown.permute(0, 3, 1, 2), PositiveMap.SHIFT.pixels(x))


def test_the_tone_map_follows_the_map_of_the_data():
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    x = PositiveMap.EXP.positive(values)
    shown = frames.tone_map(x, positive_map=PositiveMap.EXP)
    torch.testing.assert_close(shown.permute(0, 3, 1, 2), values)
    y = torch.tensor([-0.6, 0.5, 1.6], dtype=torch.float64).reshape(1, 1, 1, 3)
    noised = frames.tone_map(y.exp(), 0.0, 0.3, positive_map=PositiveMap.EXP)
    assert noised.flatten().tolist() == [0, 128, 255]


@pytest.mark.parametrize("noise_level", [0.0, 0.3, 8.0])
def test_the_tone_map_spans_two_noise_levels_around_the_drifted_data(noise_level):
    drift = -1.5
    ends = torch.tensor([-2 * noise_level, math.log(2) + 2 * noise_level], dtype=torch.float64)
    beyond = ends + torch.tensor([-1.0, 1.0])
    y = drift + torch.cat([ends, beyond])
    x = y.exp().reshape(1, 1, 1, 4) * torch.tensor([1, -1, -1, 1])
    shown = frames.tone_map(x, drift, noise_level)[0, 0, :, 0]
    assert shown.tolist() == [0, 255, 0, 255]


def test_the_tone_map_increases_with_the_state():
    x = torch.linspace(-20, 20, 400, dtype=torch.float64).exp().reshape(1, 1, 20, 20)
    shown = frames.tone_map(x, 0.0, 8.0).flatten().int()
    assert (shown.diff() >= 0).all()
    assert len(shown.unique()) > 200


def test_tint_colours_what_is_negative_and_nothing_else():
    grey = torch.arange(8, dtype=torch.uint8).reshape(2, 2, 2, 1)
    negative = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    negative[1, 0, 0, 1] = True
    tinted = frames.tint(grey, negative)
    assert tinted[1, 0, 1].tolist() == list(rgb(INHIBITORY))
    tinted[1, 0, 1] = grey[1, 0, 1]
    torch.testing.assert_close(tinted, grey.expand(2, 2, 2, 3))


def test_levels_diverge_from_black():
    levels = np.array([[255], [192], [128], [64], [1], [0]], np.uint8)
    shown = frames.diverging(levels).astype(int)
    warm, cool = np.array(rgb(EXCITATORY)), np.array(rgb(INHIBITORY))
    expected = [warm, warm * 64 / 127, warm * 0, cool * 64 / 127, cool, cool]
    np.testing.assert_allclose(shown, expected, atol=0.5)


def test_a_grid_holds_every_picture_in_reading_order(images):
    sheet = frames.grid(images, columns=2, gap=1)
    assert sheet.shape == (2 * 6 + 1, 2 * 5 + 1, 3)
    for i, (top, left) in enumerate([(1, 1), (1, 6), (7, 1)]):
        np.testing.assert_array_equal(sheet[top : top + 5, left : left + 4], images[i])
        sheet[top : top + 5, left : left + 4] = 0
    assert not sheet.any(), "the rest is black"


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (2, 2), (5, 3), (10, 5), (16, 4), (20, 5), (50, 10), (64, 8)]
)
def test_columns_for(count, columns):
    assert frames.columns_for(count) == columns


def test_side_by_side_makes_grey_match_colour(images):
    colour, grey = images[0], images[1, ..., :1]
    both = frames.side_by_side(grey, colour, gap=3)
    assert both.shape == (5, 11, 3)
    np.testing.assert_array_equal(both[:, :4], np.repeat(grey, 3, axis=2))
    assert not both[:, 4:7].any()
    np.testing.assert_array_equal(both[:, 7:], colour)
    assert frames.side_by_side(grey, grey).shape == (5, 16, 1)


def test_enlarged_pixels_stay_sharp(images):
    np.testing.assert_array_equal(
        frames.enlarge(images[0], 3), np.kron(images[0], np.ones((3, 3, 1), np.uint8))
    )


def test_png_is_lossless_and_grey_stays_grey(images):
    np.testing.assert_array_equal(decoded(frames.png_bytes(images[0])), images[0])
    grey = images[0, ..., :1]
    np.testing.assert_array_equal(decoded(frames.png_bytes(grey)), grey[..., 0])


def test_jpeg_keeps_a_single_tinted_pixel():
    """At half the colour resolution, as is usual, one blue pixel among grey would be lost."""
    image = np.full((16, 16, 3), 128, np.uint8)
    image[5, 5] = rgb(INHIBITORY)
    seen = decoded(frames.jpeg_bytes(image, 92)).astype(int)
    assert np.abs(seen[5, 5] - rgb(INHIBITORY)).max() < 60
    assert np.abs(seen - image).mean() < 4


@pytest.mark.parametrize(
    ("encode", "kind"), [(frames.webp_bytes, "WEBP"), (frames.gif_bytes, "GIF")]
)
def test_animations_have_every_frame_for_its_time_and_loop(encode, kind):
    shades = [np.full((8, 8, 1), shade, np.uint8) for shade in (0, 100, 200)]
    animation = Image.open(io.BytesIO(encode(shades, [40, 60, 500])))
    assert (animation.format, animation.n_frames, animation.info["loop"]) == (kind, 3, 0)
    times, seen = [], []
    for k in range(3):
        animation.seek(k)
        seen.append(np.asarray(animation.convert("L"))[4, 4])
        times.append(animation.info["duration"])
    np.testing.assert_allclose(seen, [0, 100, 200], atol=3)
    assert times == [40, 60, 500]


@pytest.mark.parametrize("encode", [frames.webp_bytes, frames.gif_bytes])
def test_an_animation_without_frames_is_refused(encode):
    with pytest.raises(ValueError, match="at least one frame"):
        encode([])
