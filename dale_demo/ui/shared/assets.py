"""Read the scripts and styles of the components, and encode the binary data sent to them."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

UI = Path(__file__).resolve().parents[1]
ICON = UI / "shared" / "icon.svg"
"""Of the browser's tab. Streamlit would fetch one of its own icons from another server."""


def asset(*paths: str) -> str:
    """Join text files in this order, given by their paths below `dale_demo/ui`.

    A component takes one script only, so what players share comes first in each of theirs.
    """
    return "\n".join((UI / path).read_text(encoding="utf-8") for path in paths)


def blob(header: Mapping[str, Any], *parts: bytes) -> bytes:
    """Join a header's length (uint32, little-endian), the header as JSON, and `parts`."""
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return b"".join([struct.pack("<I", len(text)), text, *parts])
