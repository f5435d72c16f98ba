"""Write sampling runs to files: arrays, an image grid, or its animation, by the file's ending."""

import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dale_demo.checkpoint.folder import Checkpoint
from dale_demo.drawing import frames
from dale_demo.drawing.frames import ImageArray, durations
from dale_demo.samplers import Step, Watch
from dale_demo.sampling import SamplingSettings, sample_images
from dale_demo.trajectory import Recorder

MAX_FILM_BYTES = 2 * 2**30
"""States and estimates of an animation, which are kept in memory until it is encoded."""


def export(
    kind: str, checkpoint: Checkpoint, settings: SamplingSettings, batch_size: int, watch: Watch
) -> bytes:
    """Sample all images of a run and encode them.

    Args:
        kind: A key of `KINDS`: ".npz" holds `images` uint8 [N, H, W], or [N, H, W, C] in colour,
            and `labels` int64 [N]; ".png" is a grid; ".webp" and ".gif" are animations of the
            state (left) and the estimate (right).
        batch_size: Images sampled at a time.
        watch: Called with every step.

    Raises:
        ValueError: As for `sampling.run`.
    """
    return KINDS[kind](checkpoint, settings, batch_size, watch)


def kind_of(file: Path) -> str:
    """The key of `KINDS` for the ending of `file`; raises ValueError where there is none."""
    kind = file.suffix.lower()
    if kind not in KINDS:
        raise ValueError(f"Unknown ending of {file}; choose from {', '.join(KINDS)}.")
    return kind


def check_film(kind: str, checkpoint: Checkpoint, settings: SamplingSettings) -> None:
    """Check, before the work, that memory holds the frames of a run; raises ValueError."""
    if kind not in (".webp", ".gif"):
        return
    shape = checkpoint.config.network.image_shape
    size = 2 * (settings.steps + 1) * len(settings.labels) * math.prod(shape)
    if size > MAX_FILM_BYTES:
        raise ValueError(
            f"An animation of {len(settings.labels):,} images in {settings.steps:,} steps takes "
            f"{size / 2**30:,.1f} GiB, more than {MAX_FILM_BYTES >> 30}; write .npz or .png."
        )


def _npz(
    checkpoint: Checkpoint, settings: SamplingSettings, batch_size: int, watch: Watch
) -> bytes:
    images = sample_images(checkpoint, settings, batch_size=batch_size, watch=watch)
    grey = images.shape[-1] == 1
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        images=images[..., 0] if grey else images,
        labels=np.array(settings.labels, np.int64),
    )
    return buffer.getvalue()


def _png(
    checkpoint: Checkpoint, settings: SamplingSettings, batch_size: int, watch: Watch
) -> bytes:
    images = sample_images(checkpoint, settings, batch_size=batch_size, watch=watch)
    return frames.png_bytes(frames.grid(images))


def _webp(
    checkpoint: Checkpoint, settings: SamplingSettings, batch_size: int, watch: Watch
) -> bytes:
    sheets = _sheets(checkpoint, settings, batch_size, watch)
    return frames.webp_bytes(sheets, durations(len(sheets)))


def _gif(
    checkpoint: Checkpoint, settings: SamplingSettings, batch_size: int, watch: Watch
) -> bytes:
    sheets = _sheets(checkpoint, settings, batch_size, watch)
    return frames.gif_bytes(sheets, durations(len(sheets)))


KINDS: dict[str, Callable[[Checkpoint, SamplingSettings, int, Watch], bytes]] = {
    ".npz": _npz,
    ".png": _png,
    ".webp": _webp,
    ".gif": _gif,
}


def _sheets(
    checkpoint: Checkpoint, settings: SamplingSettings, batch_size: int, watch: Watch
) -> list[ImageArray]:
    """Frames with all images of the run, whose batches are recorded one after the other."""
    recorders: list[Recorder] = []

    def record(step: Step) -> None:
        if step.index == 0:
            recorders.append(Recorder.of(checkpoint.config, settings))
        recorders[-1].add(step)
        watch(step)

    sample_images(checkpoint, settings, batch_size=batch_size, watch=record)
    parts = [recorder.finish() for recorder in recorders]
    states = np.concatenate([part.states for part in parts], axis=1)
    estimates = np.concatenate([part.estimates for part in parts], axis=1)
    pairs = zip(states, estimates, strict=True)
    return [frames.side_by_side(frames.grid(x), frames.grid(d)) for x, d in pairs]
