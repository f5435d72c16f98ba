"""The field in which a visitor chooses or types the name of a network."""

import streamlit as st

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import bundled_checkpoints
from dale_demo.drawing.markdown import plain
from dale_demo.hub import Resolved
from dale_demo.ui.shared.networks import find, network_config, network_names


def network_field(*, key: str, help: str) -> Resolved:
    """Choose a network; one that is not available is replaced by the default, with a warning.

    Args:
        key: Key of the widget, and its query parameter.
        help: What the network is for on this page.

    Raises:
        ValueError: There is no network at all, or the one asked for is not available and there is
            no bundled one to replace it.
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
    try:
        network = find(name)
        config = network_config(network.folder)  # of an offered folder, nothing was read yet
    except CheckpointError as error:
        if not bundled_checkpoints():
            raise
        network = find(names[0])  # a bundled one: they come first
        problem = plain(str(error)).rstrip(".")
        st.warning(f"{problem}; the bundled network *{network.name}* is used instead.")
        return network
    if network.url:
        st.caption(f"{plain(network.account)} [View on the Hub]({network.url}).")
    if signs := config.sign_changes:
        st.caption(_about_signs(*signs))
    return network


def _about_signs(changed: int, signed: int) -> str:
    """What learning did to the signs of a network's synapses, beside what sampling does."""
    if changed:
        return (
            f"{changed / signed:.0%} of its {signed:,} synapses changed sign in learning; "
            "no pixel does in sampling by multiplication."
        )
    return (
        f"**Dale’s law twice**: none of its {signed:,} synapses changed sign in learning, and no "
        "pixel does in sampling by multiplication."
    )
