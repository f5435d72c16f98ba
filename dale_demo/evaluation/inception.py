"""Features of Inception v3, in which papers quote the Fréchet distance (Heusel et al. 2017).

The weights are those of 2015 that all such numbers rest on, as torch-fidelity publishes them. They
are not shipped, and they come as a pickle, which is never loaded here: the README tells how to turn
them into a safetensors file, once.
"""

from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import read_tensors

BATCH = 50
"""Pictures at a time, each enlarged to 299×299."""
MAX_BYTES = 2**27
LAYER = "2048"
"""The last pooling layer, by its width."""


class Inception:
    """What describes pictures by Inception's last features, in place of a classifier's.

    Args:
        network: uint8 [B, 3, H, W] of any size → a tuple of features [B, 2048].
        device: Where it is.
    """

    name = "Inception v3"

    def __init__(self, network: nn.Module, device: torch.device | str):
        self._network, self._device = network.to(device), device

    @torch.inference_mode()
    def describe(self, images: Tensor) -> Tensor:
        """The features of uint8 pictures [N, C, H, W], C = 1 or 3; float32 [N, 2048], on CPU."""
        parts = images.expand(-1, 3, -1, -1).split(BATCH)
        return torch.cat([self._network(part.to(self._device))[0].cpu() for part in parts])


def load_inception(file: Path, device: torch.device | str = "cpu") -> Inception:
    """Read the weights from a safetensors file.

    Raises:
        CheckpointError: It is missing, too large, damaged, or holds another network.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    # torch-fidelity reads nothing but pickles, so it gets one that was written a moment before.
    pickled = BytesIO()
    torch.save(read_tensors(file, MAX_BYTES), pickled)
    pickled.seek(0)
    try:
        network = FeatureExtractorInceptionV3("inception", [LAYER], pickled)
    except RuntimeError as error:
        raise CheckpointError(f"{file} does not hold the weights of FID's Inception v3.") from error
    return Inception(network, device)
