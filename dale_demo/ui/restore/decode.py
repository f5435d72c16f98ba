"""Decode an image file that nobody vouches for, with bounds on memory and on work.

A few bytes can ask for a lot: millions of pixels, hundreds of passes over them, metadata that names
itself again and again. Each is counted before anything is decoded.
"""

import io
import re

from PIL import Image

from dale_demo.picture import Order, eight_bit, opaque, orientation, upright

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 10 * 2**20
MAX_PIXELS = 40_000_000
"""As many as a phone's camera takes; a small file can claim far more, and so fill the memory."""
MAX_WEBP_PIXELS, MAX_SIDE = 16_000_000, 2**16 - 1
"""WebP takes four times the memory; no camera's image has a side as long as `MAX_SIDE`."""
MAX_SCANS, MAX_SCANNED = 64, 10 * MAX_PIXELS
"""Scans of a progressive JPEG, of which encoders write about ten, and pixels times scans."""
MAX_PARTS = 20_000
"""Chunks of a PNG, segments of a JPEG, frames of a WebP."""
WORKING_SIDE = 512
"""Longer side to which an image is reduced before anything else."""
BAND_PIXELS = 2**20
"""Pixels that are converted at once."""
MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd8\xff])")
"""The next JPEG marker that is more than two bytes: FF 00 is data, FF D0 to FF D7 are restarts."""
SCAN, END, EXIF, METADATA = 0xDA, 0xD9, 0xE1, {*range(0xE1, 0xEE), 0xEF, 0xFE}
"""JPEG markers; 0xE0 and 0xEE, which are not in METADATA, say how colours are stored."""


class UploadError(ValueError):
    """The file cannot be used; the message says why and what to do."""


def decode(data: bytes) -> Image.Image:
    """Decode a PNG, JPEG or WebP file, of which only the first frame counts.

    Takes up to two seconds and 250 MB, so do it in the queue.

    Returns:
        RGB, upright, on a plain ground where it was transparent, at most `WORKING_SIDE` a side.

    Raises:
        UploadError: The file is of another kind, too large, too much work, or damaged.
    """
    if len(data) > MAX_BYTES:
        raise UploadError(f"This file is larger than {MAX_BYTES >> 20} MB; choose a smaller one.")
    try:
        data, scans, exif = _checked(data)
        # The formats are named, as each decoder of Pillow is code that a hostile file can reach.
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(image.size, MAX_WEBP_PIXELS if image.format == "WEBP" else MAX_PIXELS)
            if scans * image.width * image.height > MAX_SCANNED:
                raise _too_much("scans")
            image.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
            image.load()
            turn = orientation(exif or image.info.get("exif", b""))
            return opaque(upright(_reduced(image), turn)).convert("RGB")
    except UploadError:
        raise
    except Image.DecompressionBombError as error:
        raise UploadError("This image claims to be enormous; choose a smaller one.") from error
    except Image.UnidentifiedImageError as error:
        raise UploadError("This is not a PNG, JPEG or WebP image.") from error
    except Exception as error:  # a decoder may fail on a hostile file in any way at all
        raise UploadError("This file is damaged or cut off; save it anew and try again.") from error


def _checked(data: bytes) -> tuple[bytes, int, bytes]:
    """Count the parts of a file; the file to decode, its number of scans, and a JPEG's EXIF.

    Raises:
        UploadError: There are too many parts.
    """
    if data.startswith(b"\xff\xd8"):
        return _checked_jpeg(data)
    if data.startswith(b"\x89PNG"):
        _check_parts(data, first=8, size_at=0, order="big", around=12)
    elif data.startswith(b"RIFF"):
        _check_parts(data, first=12, size_at=4, order="little", around=8)
    return data, 1, b""


def _check_parts(data: bytes, first: int, size_at: int, order: Order, around: int) -> None:
    """Follow the parts of a file, the first at `first`, from the size of one to the next.

    Args:
        size_at: Where in a part its size is, in 4 bytes.
        around: Bytes of a part that its size does not count.
    """
    at = first
    for _ in range(MAX_PARTS):
        size = int.from_bytes(data[at + size_at : at + size_at + 4], order)
        at += around + size
        if order == "little":
            at += size % 2  # RIFF parts begin at even places
        if at >= len(data):
            return
    raise _too_much("parts")


def _checked_jpeg(data: bytes) -> tuple[bytes, int, bytes]:
    """The same for a JPEG, which is returned without its metadata, and without what follows it."""
    kept, at, scans, exif = [data[:2]], 2, 0, b""
    for _ in range(MAX_PARTS):
        if (found := MARKER.search(data, at)) is None or found[1][0] == END:
            return b"".join([*kept, data[at : found.end() if found else None]]), scans, exif
        marker, body = found[1][0], found.end()
        end = body + int.from_bytes(data[body : body + 2], "big")
        scans += marker == SCAN
        if scans > MAX_SCANS:
            raise _too_much("scans")
        kept.append(data[at : found.start()])
        if marker not in METADATA:
            kept.append(data[found.start() : end])
        elif marker == EXIF and data.startswith(b"Exif\0\0", body + 2):
            exif = exif or data[body + 2 : end]
        at = end
    raise _too_much("parts")


def _check_size(size: tuple[int, int], most: int) -> None:
    width, height = size
    if width * height > most or max(size) > MAX_SIDE:
        limit = f"{most // 10**6} million" if width * height > most else f"{MAX_SIDE:,} a side"
        raise UploadError(
            f"This image has {width:,} × {height:,} pixels, more than {limit}; make it smaller "
            "first."
        )


def _too_much(what: str) -> UploadError:
    return UploadError(f"This file has too many {what} to decode; save it anew and try again.")


def _reduced(image: Image.Image) -> Image.Image:
    """8 bits a channel and at most `WORKING_SIDE` a side; band by band, as copies take memory."""
    width, height = image.size
    factor = max(1, max(width, height) // (2 * WORKING_SIDE))
    rows = factor * max(1, BAND_PIXELS // (width * factor))
    bands = [
        eight_bit(image.crop((0, top, width, min(top + rows, height)))).reduce(factor)
        for top in range(0, height, rows)
    ]
    small = Image.new(bands[0].mode, (bands[0].width, sum(band.height for band in bands)))
    for k, band in enumerate(bands):
        small.paste(band, (0, k * bands[0].height))
    small.thumbnail((WORKING_SIDE, WORKING_SIDE))
    return small
