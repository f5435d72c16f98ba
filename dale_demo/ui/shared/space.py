"""Share the app's address with the page around it in a Hugging Face Space.

A Space shows the app in a frame, while visitors copy and open the address of the outer page.
"""

import os
from pathlib import Path

import streamlit as st

INSIDE = "SPACE_ID" in os.environ
"""Whether this process runs in a Space."""

_component = st.components.v2.component(
    "dale_space", js=Path(__file__).with_name("space.js").read_text(encoding="utf-8")
)


def share_address() -> None:
    """Keep the outer page's address equal to the app's; draws nothing."""
    if INSIDE:
        _component(key="space")
