"""Record a sampling run: images, histograms and pixel paths of some of its steps.

A `Recorder` is given every `Step` of a run and keeps some of them as `Frame`s, whose tensors stay
on the device; `Recorder.finish` copies them all to the CPU at the end, as a `Trajectory` of NumPy
arrays, which is small enough to send to a browser and to save.
"""

import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.cost import FRAMES
from dale_demo.data import PositiveMap
from dale_demo.drawing.frames import ImageArray, grid, side_by_side, tint, tone_map
from dale_demo.process import GeometricBrownianMotion, LogNormal
from dale_demo.samplers import Step
from dale_demo.sampling import SamplingSettings

BINS = 64
WINDOW = 4.0
"""Histograms of ln x span this many standard deviations on either side of the theoretical mean."""
UPPER_TAIL = 1.645
"""Histograms of x span from 0 to this many standard deviations of ln x above its mean, that is,
95 % of the distribution."""
BRIGHTEST = 1.05
"""They span at least this times a white pixel without noise, x₀ exp(m(t))."""
SCORE_REACH = 2.0
"""A picture of the score spans this in either direction; see `score_levels`."""


@dataclass(frozen=True)
class Trajectory:
    """The recorded frames of one run; F frames, B images, P followed pixels, K bins.

    Args:
        times: t of each frame, falling from T to 0 [F].
        noise_levels: s(t) [F].
        score_evaluations: Score evaluations so far [F].
        crossings: Sign changes so far, over all coordinates [F].
        states: The states as images, by `frames.tone_map`, uint8 [F, B, H, W, C].
        estimates: exp(D) as pixels, uint8 [F, B, H, W, C].
        scores: s (1 + h) by `score_levels`, uint8 [F, B, H, W, 1]. At t = 0, where h is not
            defined, those of the step before.
        theory: Mean and standard deviation of ln X_t under the forward process, for log-normal
            data with the log moments of the training set [F, 2].
        fitted: Mean and standard deviation of the state's ln|x|, measured [F, 2].
        log_range: Ends of the histogram of ln|x| [F, 2].
        log_counts: Its counts [F, K].
        linear_range: Ends of the histogram of x [F, 2].
        linear_counts: Its counts, without coordinates outside the range [F, K].
        paths: ln|x| of the followed pixels [F, P].
        signs: Their signs, int8 [F, P].
    """

    times: NDArray[np.float64]
    noise_levels: NDArray[np.float64]
    score_evaluations: NDArray[np.int64]
    crossings: NDArray[np.int64]
    states: ImageArray
    estimates: ImageArray
    scores: ImageArray
    theory: NDArray[np.float64]
    fitted: NDArray[np.float64]
    log_range: NDArray[np.float64]
    log_counts: NDArray[np.int64]
    linear_range: NDArray[np.float64]
    linear_counts: NDArray[np.int64]
    paths: NDArray[np.float64]
    signs: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def images(self) -> ImageArray:
        """The images of the last frame [B, H, W, C]."""
        return self.estimates[-1]

    @property
    def coordinates(self) -> int:
        """B·H·W·C, the numbers in a state that each histogram counts.

        Read from the estimates: a grey state whose crossings are tinted has three channels too.
        """
        return math.prod(self.estimates.shape[1:])

    def sheets(self) -> Iterator[ImageArray]:
        """Yield the state and the estimate of each frame side by side, as grids [H', W', C]."""
        for state, estimate in zip(self.states, self.estimates, strict=True):
            yield side_by_side(grid(state), grid(estimate))

    def npz_bytes(self) -> bytes:
        """Encode all fields as a compressed NPZ, under the field names above."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{f.name: getattr(self, f.name) for f in fields(self)})
        return buffer.getvalue()


Frame = dict[str, Any]
"""One frame of a `Trajectory`: field name → value without its first axis.

The tensors are on the device of the run. "states", "estimates" and "scores", all uint8
[B, H, W, …], can be shown as they are, so that a live view need not make the images of a kept step
a second time.
"""


class Recorder:
    """Collect a trajectory from the steps of a run.

    Args:
        process: The forward process of the run.
        data_distribution: Log moments of the training data.
        steps: N, intervals of the grid.
        max_frames: Most frames that are kept: evenly spaced, the first and the last among them.
        followed: P, number of pixels whose paths are kept.
        tinted: For samplers that can cross zero: colour negative coordinates, and choose up to
            half of the followed pixels among those that cross.
        positive_map: Map from pixels to positive data.
    """

    def __init__(
        self,
        process: GeometricBrownianMotion,
        data_distribution: LogNormal,
        steps: int,
        *,
        max_frames: int = FRAMES,
        followed: int = 8,
        tinted: bool = False,
        positive_map: PositiveMap = PositiveMap.SHIFT,
    ):
        self.process, self.data_distribution = process, data_distribution
        kept = np.linspace(0, steps, min(max_frames, steps + 1)).round()
        self._kept = set(kept.astype(int).tolist())
        self._followed, self._tinted, self._map = followed, tinted, positive_map
        self._frames: list[Frame] = []
        self._before: Step | None = None

    @classmethod
    def of(cls, config: CheckpointConfig, settings: SamplingSettings) -> "Recorder":
        """Make a recorder for a run of the network of `config` under `settings`."""
        return cls(
            settings.process,
            config.data_distribution,
            settings.steps,
            tinted=settings.can_cross,
            positive_map=config.positive_map,
        )

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, step: Step) -> Frame | None:
        """Keep `step` if it is one of the evenly spaced ones; never waits for the device.

        Returns:
            The frame of the step, or None if the step is not kept. To show a step that is not
            kept, call `to_images` and `score_levels`.
        """
        frame = self._frame(step) if step.index in self._kept else None
        if frame is not None:
            self._frames.append(frame)
        self._before = step
        return frame

    def keep(self, step: Step) -> None:
        """Keep `step`, at which a run was stopped, unless it is the last frame already."""
        if not self._frames or self._frames[-1]["times"] != step.t:
            self._frames.append(self._frame(step))

    def finish(self) -> Trajectory:
        """Copy all frames to the CPU.

        Raises:
            ValueError: No frame was kept.
        """
        if not self._frames:
            raise ValueError("A trajectory needs at least one recorded step.")
        types = {"score_evaluations": np.int64, "crossings": np.int64, "signs": np.int8}
        columns = {
            name: np.stack([_numpy(frame[name]) for frame in self._frames])
            for name in self._frames[0]
        }
        if self._tinted:
            # Which pixels cross is known only now, so every frame holds the paths of all pixels.
            batch, height, width, channels = columns["estimates"].shape[1:]
            usual = self._pixels((batch, channels, height, width))
            rows = _crossing_first(columns["signs"], usual.numpy())
            columns |= {name: columns[name][:, rows] for name in ("paths", "signs")}
        return Trajectory(**{k: v.astype(types.get(k, v.dtype)) for k, v in columns.items()})

    def _frame(self, step: Step) -> Frame:
        drift, s = _drift_and_noise_level(self.process, step.t)
        theory = LogNormal(
            self.data_distribution.log_mean + drift, math.hypot(self.data_distribution.log_std, s)
        )
        y = step.x.abs().log()
        states, estimates = to_images(step, self.process, self._tinted, self._map)
        scored = self._before if s == 0 and self._before is not None else step
        reach = WINDOW * theory.log_std
        log_range = theory.log_mean - reach, theory.log_mean + reach
        upper = math.exp(theory.log_mean + UPPER_TAIL * theory.log_std)
        white = math.exp(self._map.log_white + drift)
        linear_range = 0.0, max(upper, BRIGHTEST * white)
        rows = slice(None) if self._tinted else self._pixels(tuple(y.shape)).to(y.device)
        return {
            "times": step.t,
            "noise_levels": s,
            "score_evaluations": step.score_evaluations,
            "crossings": step.crossings.sum(),
            "states": states,
            "estimates": estimates,
            "scores": score_levels(scored, self.process),
            "theory": (theory.log_mean, theory.log_std),
            "fitted": torch.stack([y.mean(), y.std(correction=0)]),
            "log_range": log_range,
            "log_counts": _counts(y, *log_range),
            "linear_range": linear_range,
            "linear_counts": _counts(step.x, *linear_range),
            "paths": y.flatten()[rows],
            "signs": step.x.flatten()[rows].sign().to(torch.int8),
        }

    def _pixels(self, shape: tuple[int, ...]) -> Tensor:
        """Indices into the flattened [B, C, H, W] of the pixels to follow, in the first channel.

        They are spread over the batch and over the middle half of the images' height and width,
        since the margins of most images are constant.
        """
        batch, channels, height, width = shape
        k = torch.arange(self._followed)
        image = k * batch // self._followed
        # Neighbouring pixels have nearly the same path. Strides of 5 rows and 7 columns keep
        # consecutive ones apart; 5 has no factor in common with 14, half the height of the bundled
        # data's images, so no row comes twice among the first 14 pixels.
        row = height // 4 + (k * 5) % (height // 2)
        column = width // 4 + (k * 7) % (width // 2)
        return (image * channels * height + row) * width + column


def to_images(
    step: Step,
    process: GeometricBrownianMotion,
    tinted: bool = False,
    positive_map: PositiveMap = PositiveMap.SHIFT,
) -> tuple[Tensor, Tensor]:
    """The state and the estimate of a step as images, uint8 [B, H, W, C] each, on its device.

    Args:
        step: The step.
        process: The forward process of its run.
        tinted: Whether to colour negative coordinates of the state.
        positive_map: Map from pixels to positive data.
    """
    state = tone_map(step.x, *_drift_and_noise_level(process, step.t), positive_map=positive_map)
    estimate = tone_map(step.estimate.exp(), positive_map=positive_map)
    return tint(state, step.x < 0) if tinted else state, estimate


def score_levels(step: Step, process: GeometricBrownianMotion) -> Tensor:
    """The score of a step, s (1 + h) = (D − u)/s, as levels for `frames.diverging`.

    1 + h is the gradient of the log density of ln x. Times s it is −E[z | x], the noise that the
    network sees in x, whose spread is about 1 at every noise level, while h itself grows as 1/s.

    Returns:
        uint8 [B, H, W, 1], on the step's device: the mean over the channels, with 128 ± 127 for
        ±`SCORE_REACH`. At t = 0 the score is not defined, and all levels are 128.
    """
    drift, s = _drift_and_noise_level(process, step.t)
    difference = step.estimate - (step.x.abs().log() - drift)
    scaled = difference.mean(1, keepdim=True) / (SCORE_REACH * (s or 1.0))
    return (128 + 127 * scaled.clamp(-1, 1)).round().to(torch.uint8).permute(0, 2, 3, 1)


def record(steps: Iterable[Step], recorder: Recorder) -> Trajectory:
    """Take all `steps` of a run and record them with `recorder`."""
    for step in steps:
        recorder.add(step)
    return recorder.finish()


def _crossing_first(signs: NDArray[np.int8], usual: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace up to half of the `usual` columns by columns of `signs` [F, M] that change sign."""
    crossing = np.flatnonzero((signs != signs[0]).any(0))
    count = min(len(usual) // 2, len(crossing))
    picked = crossing[np.linspace(0, len(crossing) - 1, count).round().astype(int)]
    return np.concatenate([picked, usual[~np.isin(usual, picked)]])[: len(usual)]


def _drift_and_noise_level(process: GeometricBrownianMotion, t: float) -> tuple[float, float]:
    """m(t) and s(t)."""
    time = torch.tensor(t, dtype=torch.float64)
    return process.log_drift(time).item(), process.noise_level(time).item()


def _counts(values: Tensor, low: float, high: float) -> Tensor:
    """Histogram with `BINS` equal bins in [low, high); values outside are dropped.

    `torch.bincount` would wait for a GPU, to learn the size of its result.
    """
    position = (values.flatten() - low) * (BINS / (high - low))
    inside = (position >= 0) & (position < BINS)
    slots = torch.where(inside, position, BINS).long()
    return torch.zeros(BINS + 1, dtype=torch.int64, device=values.device).scatter_add_(
        0, slots, torch.ones_like(slots)
    )[:BINS]


def _numpy(value: Any) -> NDArray[Any]:
    return value.cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
