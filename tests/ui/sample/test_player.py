"""What the player sends over can be read back, and is small."""

import io
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dale_demo.drawing.frames import grid
from dale_demo.trajectory import Trajectory
from dale_demo.ui.sample import player


def trajectory(frames: int = 5, images: int = 4, side: int = 8, channels: int = 1) -> Trajectory:
    """Smooth images and numbers that tell the frames apart."""
    ramp = np.linspace(0, 200, side * side).reshape(side, side, 1)
    shade = np.arange(frames)[:, None, None, None, None] * 10
    sheet = np.broadcast_to(ramp + shade, (frames, images, side, side, channels))
    levels = np.linspace(8.0, 0.0, frames)
    pair = np.stack([np.zeros(frames), levels + 0.2], 1)
    counts = np.tile(np.arange(64), (frames, 1))
    return Trajectory(
        times=levels**2,
        noise_levels=levels,
        score_evaluations=np.arange(frames),
        crossings=np.zeros(frames, np.int64),
        states=sheet.astype(np.uint8),
        estimates=(255 - sheet).astype(np.uint8),
        scores=sheet[..., :1].astype(np.uint8),
        theory=pair,
        fitted=pair + 0.01,
        log_range=np.stack([-4 * pair[:, 1], 4 * pair[:, 1]], 1),
        log_counts=counts,
        linear_range=np.stack([np.zeros(frames), np.exp(pair[:, 1])], 1),
        linear_counts=counts,
        paths=np.ones((frames, 3)),
        signs=np.ones((frames, 3), np.int8),
    )


def unpack(blob: bytes) -> tuple[dict, list[list[np.ndarray]]]:
    """Read the blob as player.js does: length, header, then the JPEGs one after the other."""
    (length,) = struct.unpack_from("<I", blob)
    header = json.loads(blob[4 : 4 + length])
    offset, sprites = 4 + length, []
    for sizes in header["sprites"]:
        part = []
        for size in sizes:
            part.append(np.asarray(Image.open(io.BytesIO(blob[offset : offset + size]))))
            offset += size
        sprites.append(part)
    assert offset == len(blob), "nothing is left over"
    return header, sprites


def frame_of(header: dict, sprites: list[np.ndarray], k: int) -> np.ndarray:
    """The sheet of frame k, cut out of the sprites by the header's own numbers."""
    columns, rows = header["tiles"]
    sprite, place = sprites[k // (columns * rows)], k % (columns * rows)
    top, left = place // columns * header["height"], place % columns * header["width"]
    return sprite[top : top + header["height"], left : left + header["width"]]


@pytest.mark.parametrize("side", [64, 4096], ids=["several sprites", "one sprite"])
def test_every_frame_is_where_the_header_says(monkeypatch, side):
    monkeypatch.setattr(player, "SPRITE_SIDE", side)
    run = trajectory(frames=23)
    header, sprites = unpack(player.pack(run))
    assert (len(sprites[0]) > 1) == (side == 64)
    for part, images in zip(sprites[:2], (run.states, run.estimates), strict=True):
        assert all(max(sprite.shape) <= side for sprite in part)
        for k, frame in enumerate(images):
            difference = frame_of(header, part, k).astype(int) - grid(frame)[..., 0]
            assert np.abs(difference).mean() < 4, "JPEG at quality 92 keeps a ramp"
    for k, frame in enumerate(run.scores):
        sheet = grid(frame)[..., 0].astype(int)
        sheet[grid(np.ones_like(frame))[..., 0] == 0] = 128  # the gaps
        assert np.abs(frame_of(header, sprites[2], k) - sheet).mean() < 6


def test_numbers_of_the_frames_survive():
    run = trajectory()
    header, _ = unpack(player.pack(run, ["a", "お"]))
    assert header["labels"] == ["a", "お"]
    assert header["levels"] == run.noise_levels.tolist()
    assert header["score_evaluations"] == run.score_evaluations.tolist()
    assert header["count"] == 4 * 8 * 8
    np.testing.assert_allclose(header["fitted"], run.fitted, atol=1e-5)
    np.testing.assert_array_equal(header["log"]["counts"], run.log_counts)
    np.testing.assert_array_equal(np.array(header["signs"]).T, run.signs)


@pytest.mark.parametrize(("channels", "tinted"), [(1, False), (1, True), (3, False)])
def test_bars_of_a_histogram_are_shares_of_all_coordinates(channels, tinted):
    """Of a colour image each channel counts; that a grey one is tinted changes nothing."""
    run = trajectory(channels=channels)
    if tinted:
        run = replace(run, states=np.repeat(run.states, 3, -1))
    header, _ = unpack(player.pack(run))
    assert header["count"] == 4 * 8 * 8 * channels


def test_identity_follows_the_trajectory():
    run = trajectory()
    other = replace(run, states=255 - run.states)
    first, second, third = (unpack(player.pack(t))[0]["id"] for t in (run, trajectory(), other))
    assert first == second
    assert first != third


def test_tinted_images_keep_their_colour():
    run = trajectory(channels=3)
    blue = np.zeros_like(run.states)
    blue[..., 2] = 255
    _, sprites = unpack(player.pack(replace(run, states=blue)))
    pixel = sprites[0][0][5, 5]
    assert pixel[2] > 200
    assert max(pixel[:2]) < 60


def test_a_sheet_beyond_every_sprite_is_refused(monkeypatch):
    monkeypatch.setattr(player, "SPRITE_SIDE", 16)
    with pytest.raises(ValueError, match="too large to play"):
        player.pack(trajectory(images=9))
