"""Images of every format are fitted into the frame; anything else gets one sentence."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import center_of_mass

from dale_demo.ui.restore import upload as uploads
from dale_demo.ui.restore.upload import UploadError, fit

ROTATED = 6
"""EXIF orientation: to be turned by 90° clockwise before it is shown."""


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def letter(dark: bool = False, scale: int = 4) -> Image.Image:
    """An L: its long stroke on the left, its short one at the bottom."""
    ink = np.zeros((30, 24), np.uint8)
    ink[4:26, 5:9] = 255
    ink[22:26, 5:19] = 255
    return Image.fromarray(255 - ink if dark else ink).resize((24 * scale, 30 * scale), 0)


EXPECTED = fit(encoded(letter())).frame


def same(frame, tolerance=0.05):
    return np.abs(frame - EXPECTED).mean() < tolerance


def rgba(colour: int, alpha_ground: int) -> Image.Image:
    alpha = letter().point(lambda v: max(v, alpha_ground))
    return Image.merge("RGBA", [Image.new("L", alpha.size, colour)] * 3 + [alpha])


def transparent_palette() -> bytes:
    image = letter().convert("P")
    return encoded(image, transparency=image.getpixel((0, 0)))


def rotated(kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    return encoded(letter().transpose(Image.Transpose.ROTATE_90), kind, exif=exif)


KINDS = {
    "grey PNG": encoded(letter()),
    "dark on bright": encoded(letter(dark=True)),
    "JPEG": encoded(letter(), "JPEG", quality=95),
    "CMYK JPEG": encoded(letter().convert("CMYK"), "JPEG", quality=95),
    "WebP": encoded(letter().convert("RGB"), "WEBP", quality=95),
    "animated WebP": encoded(
        letter().convert("RGB"), "WEBP", save_all=True, append_images=[Image.new("RGB", (96, 120))]
    ),
    "colour": encoded(Image.merge("RGB", [letter(), letter().point(lambda v: v // 2), letter()])),
    "one bit": encoded(letter().convert("1")),
    "palette": encoded(letter().convert("P")),
    "transparent palette": transparent_palette(),
    "grey and alpha": encoded(rgba(255, 0).convert("LA")),
    "bright ink on nothing": encoded(rgba(250, 0)),
    "dark ink on nothing": encoded(rgba(5, 0)),
    "16 bit": encoded(Image.fromarray(np.asarray(letter()).astype(np.uint16) * 257)),
    "rotated JPEG": rotated("JPEG"),
    "rotated PNG": rotated("PNG"),
    "rotated WebP": rotated("WEBP"),
    "small": encoded(letter(scale=1)),
    "large": encoded(letter(scale=60)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_fitted_into_the_frame(kind):
    fitted = fit(KINDS[kind])
    assert fitted.frame.shape == (28, 28)
    assert same(fitted.frame)
    assert fitted.inverted == (kind in ("dark on bright", "dark ink on nothing"))
    height, width = fitted.colour.shape[:2]
    assert height > width, "upright"


def test_orientation_matters():
    turned = encoded(letter().transpose(Image.Transpose.ROTATE_90))
    assert not same(fit(turned).frame)


def test_sixteen_bits_are_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    fitted = fit(encoded(Image.fromarray(ramp)))
    assert len(np.unique(fitted.grey)) > 200


def test_the_frame_is_that_of_mnist():
    """Longer side 20 pixels, brightest at 1, centre of mass within a pixel of the middle."""
    rows, columns = (np.flatnonzero((EXPECTED > 0).any(axis)) for axis in (1, 0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert EXPECTED.max() == 1
    assert np.abs(np.array(center_of_mass(EXPECTED)) - 13.5).max() <= 0.6
    whole = fit(KINDS["grey PNG"], content=28).frame
    assert np.ptp(np.flatnonzero((whole > 0).any(1))) + 1 == 28


def test_content_darker_than_its_border_is_kept():
    ground = np.full((40, 40), 100, np.uint8)
    ground[10:30, 10:30] = 20
    fitted = fit(encoded(Image.fromarray(ground)))
    assert fitted.frame.max() == 1


@pytest.mark.parametrize("shape", [(1, 400), (400, 1), (3, 2)])
def test_thin_images_fit(shape):
    pixels = np.zeros(shape, np.uint8)
    pixels[shape[0] // 2, shape[1] // 2 :] = 255
    assert fit(encoded(Image.fromarray(pixels))).frame.max() == 1


def claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is enormous."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99))


BAD = {
    "text renamed": (b"This is no image.\n" * 50, "not a PNG, JPEG or WebP"),
    "empty": (b"", "not a PNG, JPEG or WebP"),
    "GIF": (encoded(letter(), "GIF"), "not a PNG, JPEG or WebP"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG, JPEG or WebP"),
    "truncated PNG": (KINDS["large"][:-200], "damaged or cut off"),
    "truncated JPEG": (KINDS["JPEG"][:600], "damaged or cut off"),
    "only a head": (KINDS["grey PNG"][:40], "damaged|not a PNG"),
    "50 million pixels": (claims(10_000, 5_000), "more than 40 million"),
    "a bomb": (claims(60_000, 60_000), "enormous"),
    "one pixel": (encoded(Image.new("L", (1, 1), 200)), "one colour only"),
    "one colour": (encoded(Image.new("RGB", (50, 50), "teal")), "one colour only"),
    "all transparent": (encoded(Image.new("RGBA", (9, 9), (255, 0, 0, 0))), "one colour only"),
    "too many bytes": (b"\0" * (uploads.MAX_BYTES + 1), "larger than 10 MB"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_gets_a_sentence(kind):
    data, message = BAD[kind]
    with pytest.raises(UploadError, match=message) as caught:
        fit(data)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["grey PNG", "JPEG", "WebP"])
def test_no_damage_escapes_as_another_error(kind):
    generator = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(KINDS[kind])
        for at in generator.integers(0, len(data), 8):
            data[at] = generator.integers(0, 256)
        with suppress(UploadError):
            assert fit(bytes(data)).frame.shape == (28, 28)
