"""Kinds of image files that a folder may hold, each read as people see it."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

from dale_demo.data import DataError, load
from dale_demo.picture import eight_bit

RAMP = np.linspace(0, 255, 48).astype(np.uint8).reshape(6, 8)
COLOUR = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], -1)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def palette() -> Image.Image:
    return Image.fromarray(RAMP).convert("P")


def transparent(ink: int) -> Image.Image:
    """Ink of one brightness on the right half, nothing on the left."""
    pixels = np.zeros((6, 8, 4), np.uint8)
    pixels[:, 4:] = (ink, ink, ink, 255)
    return Image.fromarray(pixels)


def turned() -> tuple[Image.Image, dict[str, object]]:
    """A photograph that was taken upright and stored on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return Image.fromarray(np.rot90(RAMP).copy()), {"exif": exif, "quality": 100}


def animated() -> tuple[Image.Image, dict[str, object]]:
    frames = [Image.fromarray(part) for part in (RAMP, 255 - RAMP)]
    return frames[0], {"save_all": True, "append_images": frames[1:]}


half = np.repeat([[0] * 4 + [255] * 4], 6, 0)
BE = np.dtype(">u2")


def tiff(values: np.ndarray) -> bytes:
    return encoded(Image.fromarray(values), "TIFF")


KINDS: dict[str, tuple[bytes, str, np.ndarray, int]] = {
    "grey": (encoded(Image.fromarray(RAMP), "PNG"), "png", RAMP, 0),
    "palette of greys": (encoded(palette(), "GIF"), "gif", RAMP, 0),
    "16 bits": (encoded(Image.fromarray(RAMP.astype(np.uint16) * 257), "PNG"), "png", RAMP, 0),
    "16 bits, big-endian": (tiff((RAMP.astype(np.uint16) * 257).astype(BE)), "tif", RAMP, 0),
    "32-bit integers": (tiff(RAMP.astype(np.int32) * 257), "tif", RAMP, 0),
    "integers to 255": (tiff(RAMP.astype(np.int32)), "tiff", RAMP, 0),
    "fractions": (tiff(RAMP.astype(np.float32) / 255), "tif", RAMP, 1),
    "floats to 255": (tiff(RAMP.astype(np.float32)), "tif", RAMP, 0),
    "dark on nothing": (encoded(transparent(0), "PNG"), "png", 255 - half, 0),
    "bright on nothing": (encoded(transparent(255), "PNG"), "png", half, 0),
    "on its side": (encoded(turned()[0], "JPEG", **turned()[1]), "jpg", RAMP, 12),
    "TIFF on its side": (
        encoded(turned()[0], "TIFF", tiffinfo={0x0112: 6}),
        "tif",
        RAMP,
        0,
    ),
    "animated": (encoded(animated()[0], "GIF", **animated()[1]), "gif", RAMP, 0),
    "colour": (encoded(Image.fromarray(COLOUR), "PNG"), "png", COLOUR, 0),
    "CMYK": (encoded(Image.fromarray(COLOUR).convert("CMYK"), "TIFF"), "tif", COLOUR, 3),
}
"""Bytes, ending, expected pixels, and how far these may be off."""


def folder(root, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return f"folder:{root}"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_read_as_people_see_it(kind, tmp_path):
    data, ending, pixels, off = KINDS[kind]
    (image,) = load(folder(tmp_path, {f"a/0.{ending}": data})).images
    expected = np.atleast_3d(pixels).transpose(2, 0, 1)
    assert image.shape == expected.shape
    assert np.abs(image.numpy().astype(int) - expected).max() <= off


def test_grey_images_among_coloured_ones_become_coloured(tmp_path):
    files = {"a/0.png": KINDS["grey"][0], "b/0.png": KINDS["colour"][0]}
    grey, colour = load(folder(tmp_path, files)).images.numpy()
    np.testing.assert_array_equal(grey, np.stack([RAMP] * 3))
    np.testing.assert_array_equal(colour, COLOUR.transpose(2, 0, 1))


def test_other_files_are_skipped_and_counted(tmp_path, caplog):
    files = {"a/0.png": KINDS["grey"][0], "a/Thumbs.db": b"x", "a/0.txt": b"A caption."}
    with caplog.at_level(logging.WARNING):
        assert len(load(folder(tmp_path, files))) == 1
    assert "2 files in" in caplog.text
    with pytest.raises(DataError, match="holds no images"):
        load(folder(tmp_path, {"b/notes.txt": b"x"}))


@pytest.mark.parametrize("values", [np.nan, np.inf, 1e12])
def test_numbers_without_a_white_are_refused(values, tmp_path):
    image = Image.fromarray(np.full((4, 4), values, np.float32))
    with pytest.raises(ValueError, match="not known as white"):
        eight_bit(image)
    with pytest.raises(DataError, match="is not an image"):
        load(folder(tmp_path, {"a/0.tif": encoded(image, "TIFF")}))
