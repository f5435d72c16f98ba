"""The weights with which the training of a score network began, drawn again from its record."""

from collections.abc import Iterator

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.training.initial import drawn_network
from dale_demo.training.synapses import tensors_of
from dale_demo.ui.shared.networks import find, network_config
from dale_demo.weights.tensors import NamedTensor, WeightsError


def start_of(name: str) -> Iterator[NamedTensor]:
    """The weights with which a score network started.

    Args:
        name: A bundled network, or one on the Hub.

    Raises:
        ValueError: It is no score network of this program, or its record does not tell.
    """
    start = drawn_start(network_config(find(name).folder))
    if start is None:
        raise WeightsError(f"The record of {name} does not tell how its first weights were drawn.")
    return start


def drawn_start(config: CheckpointConfig) -> Iterator[NamedTensor] | None:
    """The weights before the first step of the first run; None where the record does not tell."""
    model = drawn_network(config)
    return None if model is None else tensors_of(model)
