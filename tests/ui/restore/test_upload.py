"""Images of every format are fitted into the frame; anything else gets one sentence."""

import io
import struct
import subprocess
import sys
import time
import zlib
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import center_of_mass

from dale_demo.picture import UPRIGHT, orientation
from dale_demo.ui.restore import decode as decoding
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
    "progressive JPEG": encoded(letter(), "JPEG", quality=95, progressive=True),
    "JPEG with a thumbnail": encoded(letter(), "JPEG", quality=95).replace(
        b"\xff\xd8", b"\xff\xd8\xff\xe1\0\x0eExif\0\0\xff\xd8\xff\xda\xff\xd9", 1
    ),
    "JPEG with a film behind": encoded(letter(), "JPEG", quality=95) + b"\xff\xda" * 9999,
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


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes, rows: bytes = b"\0" * 99, depth: int = 8) -> bytes:
    """A grey PNG, true or not: a few bytes may say that it is enormous."""
    head = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def many_scans(count: int, side: int = 64) -> bytes:
    """A progressive JPEG whose last scan comes `count` times more."""
    data = encoded(Image.linear_gradient("L").resize((side, side)), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def endless_exif(turned: int = 1) -> bytes:
    """EXIF of 2 MB with 5,000 entries, each of which claims all of it, after the orientation."""
    entries = [struct.pack("<HHII", 0x0112, 3, 1, turned)]
    entries += [struct.pack("<HHII", 0x9000 + i, 7, 2_000_000, 0) for i in range(5_000)]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries))
    return head + b"".join(entries) + b"\0" * 2_000_000


def large_webp() -> bytes:
    return encoded(Image.new("RGB", (5000, 4000), "teal"), "WEBP", lossless=True, method=0)


BAD = {
    "text renamed": (b"This is no image.\n" * 50, "not a PNG, JPEG or WebP"),
    "zeros": (bytes(2**20), "not a PNG, JPEG or WebP"),
    "300,000 frames": (b"RIFF\0\0\0\0WEBP" + b"ANMF\0\0\0\0" * 300_000, "too many parts"),
    "empty": (b"", "not a PNG, JPEG or WebP"),
    "GIF": (encoded(letter(), "GIF"), "not a PNG, JPEG or WebP"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG, JPEG or WebP"),
    "truncated PNG": (KINDS["large"][:-200], "damaged or cut off"),
    "truncated JPEG": (KINDS["JPEG"][:600], "damaged or cut off"),
    "only a head": (KINDS["grey PNG"][:40], "damaged|not a PNG"),
    "50 million pixels": (png(10_000, 5_000), "more than 40 million"),
    "a bomb": (png(60_000, 60_000), "enormous"),
    "one pixel": (encoded(Image.new("L", (1, 1), 200)), "one colour only"),
    "one colour": (encoded(Image.new("RGB", (50, 50), "teal")), "one colour only"),
    "all transparent": (encoded(Image.new("RGBA", (9, 9), (255, 0, 0, 0))), "one colour only"),
    "20 million pixels of WebP": (large_webp(), "more than 16 million"),
    "one row of 2 million": (png(2_000_000, 1), "more than 65,535 a side"),
    "65 scans": (many_scans(65), "too many scans"),
    "400 scans": (many_scans(400, 1_000), "too many scans"),
    "40 scans of 25 million pixels": (many_scans(40, 5_000), "too many scans"),
    "700,000 segments": (b"\xff\xd8" + b"\xff\xe1\0\x0aExif\0\0II" * 700_000, "too many parts"),
    "700,000 chunks": (png(8, 8, chunk(b"abCd", b"") * 700_000), "too many parts"),
    "too many bytes": (b"\0" * (decoding.MAX_BYTES + 1), "larger than 10 MB"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_gets_a_sentence(kind):
    data, message = BAD[kind]
    begin = time.process_time()
    with pytest.raises(UploadError, match=message) as caught:
        fit(data)
    assert time.process_time() - begin < 1
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) <= 300
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


def test_as_many_scans_as_encoders_write_are_decoded():
    assert fit(many_scans(50)).frame.max() == 1


@pytest.mark.parametrize("size", [0, 1, 7, 8, 10, 12])
def test_exif_that_ends_early_turns_nothing(size):
    assert orientation(endless_exif(ROTATED)[:size].ljust(size, b"\xff")) not in range(2, 9)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_every_orientation_is_read_as_pillow_reads_it(order, turned):
    exif = Image.Exif()
    exif.endian = "<" if order == "little" else ">"
    exif[0x0112] = turned
    assert orientation(exif.tobytes()) == turned
    assert same(fit(encoded(undone(turned), "PNG", exif=exif)).frame)


def undone(turned: int) -> Image.Image:
    """The letter as a camera held otherwise takes it."""
    back = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turn = back.get(turned, UPRIGHT.get(turned))
    return letter().transpose(turn) if turn is not None else letter()


HEAVY = {
    "39 million pixels of 16 bits": partial(
        png, 6300, 6300, rows=(b"\0" + bytes(range(256)) * 49 + b"\0" * 56) * 6300, depth=16
    ),
    "EXIF entries of 10 GB": lambda: png(
        8, 8, chunk(b"eXIf", endless_exif()), rows=(b"\0" + bytes(range(0, 80, 10))) * 8
    ),
}
MEASURE = """
import resource, sys
from dale_demo.ui.restore.decode import decode
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
decode(sys.stdin.buffer.read())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
@pytest.mark.parametrize("kind", HEAVY)
def test_a_small_file_takes_no_more_than_300_megabytes(kind):
    """In a process of its own, whose peak nothing else has raised."""
    data = HEAVY[kind]()
    assert len(data) < 3e6
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], input=data, capture_output=True, timeout=60, check=True
    )
    assert int(done.stdout) < 300_000
