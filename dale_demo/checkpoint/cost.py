"""The memory that a sampling run allocates, estimated from config.json before anything is loaded.

The size of its weights says little about a network: the state grows with the image's pixels, a
convolution with width and pixels, attention with the square of its positions.
"""

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.network import HEAD_CHANNELS, UNetConfig

MAX_PAGE_BYTES = 2**30
"""Limit of one run on a server that visitors share."""
MAX_COMMAND_BYTES = 2**33
"""Limit of one batch on the command line."""

STATE_BYTES = 240
"""For each value of an image: the state, its logarithm, the score, the estimate, the noise and what
lies between them, about thirty copies in float64."""
FRAME_BYTES, SIGNED_FRAME_BYTES = 12, 44
"""For each value of an image in each frame of a recorded trajectory, with the copies that stack the
frames and send them to a browser; more where a coordinate may cross zero, whose whole paths are
kept."""
FRAMES = 60
"""Most frames of a recorded trajectory."""
FEATURE_BYTES = 72
"""For each feature of the largest level, in float32: the skip connections, both halves of an
upward block's input, and the copies of its norm, activation and convolutions."""
ATTENTION_BYTES = 12
"""For each pair of positions and each head, in float32: the weights before and after softmax."""


def run_bytes(config: CheckpointConfig, images: int, *, signed: bool = False) -> int:
    """Estimate the peak memory of a recorded run, in bytes, beside the network itself.

    It is meant to be high rather than low: see the tests for what was measured.

    Args:
        images: How many are sampled at once.
        signed: Whether the sampler is one under which coordinates can cross zero.
    """
    network = config.network
    channels, height, width = network.image_shape
    frame = SIGNED_FRAME_BYTES if signed else FRAME_BYTES
    values = channels * height * width * (STATE_BYTES + FRAMES * frame)
    heads = max(1, network.width * network.multipliers[-1] // HEAD_CHANNELS)
    attention = heads * attention_positions(network) ** 2 * ATTENTION_BYTES
    return images * (values + largest_level(network) * FEATURE_BYTES + attention)


def largest_level(network: UNetConfig) -> int:
    """Features of one image at the level of the U-Net that has most."""
    side = network.image_size // network.patch
    return max(
        network.width * multiplier * (side // 2**level) ** 2
        for level, multiplier in enumerate(network.multipliers)
    )


def attention_positions(network: UNetConfig) -> int:
    """Positions of one image between which the U-Net attends: pixels of its smallest level."""
    return (network.image_size // (network.patch * 2 ** (len(network.multipliers) - 1))) ** 2


def check_memory(
    config: CheckpointConfig,
    images: int,
    limit: int = MAX_PAGE_BYTES,
    *,
    signed: bool = False,
    advice: str = "ask for fewer images",
) -> None:
    """Check that sampling fits into memory.

    Args:
        images: How many are sampled at once.
        limit: Most bytes that they may take; see `MAX_PAGE_BYTES` and `MAX_COMMAND_BYTES`.
        signed: As for `run_bytes`.
        advice: How to take less, as the end of a sentence.

    Raises:
        ValueError: The estimate is above the limit.
    """
    if (needed := run_bytes(config, images, signed=signed)) <= limit:
        return
    size, channels = config.network.image_size, config.network.image_channels
    fit = limit // run_bytes(config, 1, signed=signed)
    way_on = (
        f"at most {fit:,} fit; {advice}" if fit else "not even one fits; choose another network"
    )
    noun = "image" if images == 1 else "images"
    raise ValueError(
        f"Sampling {images:,} {noun} of {size}×{size}×{channels} at once with this network takes "
        f"about {_gigabytes(needed)} of memory, more than the limit of {_gigabytes(limit)}: "
        f"{way_on}."
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
