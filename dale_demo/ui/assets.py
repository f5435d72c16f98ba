"""What players are made of and fed with: scripts and styles beside this file, blobs of bytes."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def asset(*names: str) -> str:
    """Join the files `names`; what several players share comes first."""
    folder = Path(__file__).parent
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def blob(header: Mapping[str, Any], *parts: bytes) -> bytes:
    """Join a header's length (uint32, little-endian), the header as JSON, and `parts`."""
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join([struct.pack("<I", len(text)), text, *parts])
