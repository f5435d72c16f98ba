"""Features of Inception v3, in which papers report the Fréchet distance (Heusel et al. 2017).

All such numbers rest on one set of weights from 2015, which torch-fidelity publishes. It does not
come with this program, and is a pickle, which is never loaded here: docs/evaluation.md says how to
convert it into a safetensors file, once.
"""

from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.weights import read_tensors

BATCH = 50
"""Images at a time, each enlarged to 299×299."""
MAX_BYTES = 2**27
LAYER = "2048"
"""The last pooling layer, by its width."""


class Inception:
    """The last features of Inception, in place of a classifier's.

    Args:
        network: uint8 [B, 3, H, W] of any size → a tuple of features [B, 2048].
        device: Where it is.
    """

    name = "Inception v3"

    def __init__(self, network: nn.Module, device: torch.device | str):
        self._network, self._device = network.to(device), device

    @torch.inference_mode()
    def describe(self, images: Tensor) -> Tensor:
        """The features of uint8 images [N, C, H, W], C = 1 or 3; float32 [N, 2048], on the CPU."""
        parts = images.expand(-1, 3, -1, -1).split(BATCH)
        return torch.cat([self._network(part.to(self._device))[0].cpu() for part in parts])


def load_inception(file: Path, device: torch.device | str = "cpu") -> Inception:
    """Read the weights from a safetensors file.

    Raises:
        CheckpointError: It is missing, too large, damaged, or holds another network.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # torch-fidelity reads only pickles, so it gets one that we wrote ourselves.
    pickled = BytesIO()
    torch.save(read_tensors(file, MAX_BYTES), pickled)
    pickled.seek(0)
    try:
        network = FeatureExtractorInceptionV3("inception", [LAYER], pickled)
    except RuntimeError as error:
        raise CheckpointError(f"{file} does not hold the weights of FID's Inception v3.") from error
    return Inception(network, device)
