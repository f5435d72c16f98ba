"""Uploads: images of every format, mode and depth, damaged or enormous, reach `fit`."""

import io
import struct
import zlib
from collections.abc import Iterator
from random import Random

import numpy as np
from PIL import Image

from dale_demo.ui.restore.upload import UploadError, fit
from tests.fuzz.harness import SEED, failures
from tests.fuzz.mutations import spoiled_bytes

COUNT = 90
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F", "LAB", "HSV")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A bright bar on a dark ground."""
    grey = Image.new("L", size, 20)
    grey.paste(230, (size[0] // 4, size[1] // 4, size[0] // 2, size[1] - 2))
    if mode in ("I", "I;16", "F"):
        deep = np.asarray(grey).astype({"I": "i4", "I;16": "u2", "F": "f4"}[mode])
        return Image.fromarray(deep * 257)
    return grey.convert("RGB").convert(mode) if mode not in ("LA", "PA") else grey.convert(mode)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(size: tuple[int, int], depth: int, colour: int, pixels: bytes, *more: bytes) -> bytes:
    """A PNG file as its header says, whatever its pixels are."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    rest = b"".join(more) + chunk(b"IDAT", zlib.compress(pixels, 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + rest


def many_scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last scan is repeated, each time decoded over the whole image."""
    data = encoded(picture("L", (side, side)), "JPEG", progressive=True)
    scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    last = data[scans[-1] : -2]
    return data[:-2] + last * count + data[-2:]


def extremes() -> Iterator[tuple[str, bytes]]:
    """Files made by hand: bombs, repeated scans and frames, odd depths and headers."""
    yield "no bytes", b""
    yield "2,000 scans of 4 million pixels", many_scans(2_000, 2_000)
    yield "3,000 scans", many_scans(3_000, 64)
    for side in (6_000, 20_000, 100_000, 2**31 - 1):
        yield f"{side} pixels a side, no data", png((side, side), 8, 0, b"")
    grey = np.zeros((4_000, 1 + 2 * 9_000), np.uint8).tobytes()
    yield "36 million pixels of 16 bits", png((9_000, 4_000), 16, 0, grey)
    yield "one row of 40 million pixels", png((40_000_000, 1), 1, 0, b"\0" + b"\x55" * 5_000_000)
    yield "0 pixels", png((0, 0), 8, 0, b"")
    yield "a text chunk of 50 MB", png((9, 9), 8, 0, b"\0" * 90, zipped_text(50_000_000))
    yield "5,000 text chunks", png((9, 9), 8, 0, b"\0" * 90, zipped_text(9) * 5_000)
    yield "a palette image without palette", png((9, 9), 8, 3, b"\0" + b"\5" * 89)
    yield "depth 3", png((9, 9), 3, 0, b"\0" * 90)
    frames = [picture("RGB", (60, 60)) for _ in range(60)]
    for kind in ("WEBP", "PNG", "GIF"):
        animated = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        yield f"{kind} of 60 frames", animated
    yield "narrow", encoded(picture("L", (1, 9_000)), "PNG")
    yield "flat", encoded(picture("L", (9_000, 1)), "PNG")
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    exif = b"\xff\xe1\xff\xffExif\0\0MM\0*" + b"\xff" * 65_521
    yield "senseless EXIF", encoded(picture(), "JPEG").replace(b"\xff\xd8", b"\xff\xd8" + exif, 1)


def zipped_text(size: int) -> bytes:
    return chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * size, 1))


def sound() -> list[tuple[str, bytes]]:
    """Files as programs write them, in every format and mode that goes together."""
    made = []
    for kind in FORMATS:
        for mode in MODES:
            try:
                made.append((f"{kind} {mode}", encoded(picture(mode), kind)))
            except (OSError, ValueError, KeyError):  # the format has no such mode
                continue
    return made


def cases(seed: int = SEED) -> list[tuple[str, bytes]]:
    """Every sound file, every extreme one, and damaged ones."""
    random, whole = Random(seed), sound()
    found = [*whole, *extremes()]
    for number in range(COUNT):
        name, data = random.choice(whole)
        found.append((f"damaged {number} of {name}", spoiled_bytes(random, data)))
    return found


def attempt(data: bytes) -> None:
    fitted = fit(data)
    assert fitted.frame.shape == (28, 28)
    assert np.isfinite(fitted.frame).all()


def test_no_upload_hurts():
    tried = cases()
    assert len(tried) > COUNT
    assert not (found := failures(tried, attempt, (UploadError,))), "\n".join(found)
