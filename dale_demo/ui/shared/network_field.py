"""The field in which a visitor chooses or types the name of a network."""

import streamlit as st

from dale_demo.drawing.markdown import plain
from dale_demo.hub.lookup import Resolved
from dale_demo.ui.shared.networks import find, network_names


def network_field(*, key: str, help: str) -> Resolved:
    """Choose a network; one that is not to be had gives way to the bundled one, and says so.

    Args:
        key: Of the field, and its name in the address.
        help: What the network is for on this page.

    Raises:
        ValueError: There is no network.
    """
    names = network_names()
    if not names:
        raise ValueError("There is no network in the folder checkpoints; train or pull one first.")
    name = st.selectbox(
        "Network",
        names,
        key=key,
        bind="query-params",
        accept_new_options=True,
        help=help,
    )
    found = find(name)
    network = found.network
    if found.problem:
        problem = plain(found.problem).rstrip(".")
        st.warning(f"{problem}; the bundled network *{network.name}* takes its place.")
    elif network.url:
        st.caption(f"{plain(network.account)} [See it there]({network.url}).")
    return network
