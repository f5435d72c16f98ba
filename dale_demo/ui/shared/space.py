"""The app inside a Hugging Face Space: links to it carry the settings both ways."""

import os
from pathlib import Path

import streamlit as st

INSIDE = "SPACE_ID" in os.environ
"""Whether this process runs in a Space."""

_component = st.components.v2.component(
    "dale_space", js=Path(__file__).with_name("space.js").read_text(encoding="utf-8")
)


def share_address() -> None:
    """Let the page around the app's frame follow its address; nothing is drawn."""
    if INSIDE:
        _component(key="space")
