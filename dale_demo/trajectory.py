"""What is kept of a run: pictures, laws and paths of its frames, small enough to send and save.

A `Recorder` looks at every `Step` as it passes and keeps some of them as `Frame`s, which stay on
the device; `Recorder.finish` brings them over at once, as numpy arrays.
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
from dale_demo.data import PositiveMap
from dale_demo.drawing.frames import ImageArray, grid, side_by_side, tint, tone_map
from dale_demo.process import GeometricBrownianMotion, LogNormal
from dale_demo.samplers import Step
from dale_demo.sampling import SamplingSettings

BINS = 64
WINDOW = 4.0
"""Histograms of ln x reach this many standard deviations to either side of the theory's mean."""
UPPER_TAIL = 1.645
"""Histograms of x reach from 0 to this many standard deviations of ln x: 95 % of the law."""
BRIGHTEST = 1.05
"""But never less far than this times a white pixel without noise, x₀ exp(m(t))."""


@dataclass(frozen=True)
class Trajectory:
    """The recorded frames of one run; F frames, B pictures, P followed pixels, K bins.

    Args:
        times: t of each frame, falling from T to 0 [F].
        noise_levels: s(t) [F].
        calls: Score evaluations so far [F].
        crossings: Sign changes so far, over all coordinates [F].
        states: The state, developed to follow the noise, uint8 [F, B, H, W, C].
        estimates: exp(D) as pixels, uint8 [F, B, H, W, C].
        theory: Mean and standard deviation of ln X_t by the forward process, for log-normal
            data with the log moments of the training set [F, 2].
        fitted: The same of the state's ln|x|, measured [F, 2].
        log_range: Ends of the histogram of ln|x| [F, 2].
        log_counts: Its counts [F, K].
        linear_range: Ends of the histogram of x [F, 2].
        linear_counts: Its counts; coordinates outside the range are left out [F, K].
        paths: ln|x| of the followed pixels [F, P].
        signs: Their signs, int8 [F, P].
    """

    times: NDArray[np.float64]
    noise_levels: NDArray[np.float64]
    calls: NDArray[np.int64]
    crossings: NDArray[np.int64]
    states: ImageArray
    estimates: ImageArray
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
        """The pictures at the last frame [B, H, W, C]."""
        return self.estimates[-1]

    def sheets(self) -> Iterator[ImageArray]:
        """State and estimate of each frame side by side, as grids [H', W', C]."""
        for state, estimate in zip(self.states, self.estimates, strict=True):
            yield side_by_side(grid(state), grid(estimate))

    def npz_bytes(self) -> bytes:
        """Everything, as a compressed NPZ with the field names above."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **{f.name: getattr(self, f.name) for f in fields(self)})
        return buffer.getvalue()


Frame = dict[str, Any]
"""The fields of `Trajectory` for one frame, tensors still on the device."""


class Recorder:
    """Collect a trajectory from the steps of a run.

    Args:
        process: The forward process of the run.
        data_distribution: Log moments of the training data.
        steps: N, intervals of the grid.
        max_frames: At most this many frames are kept, evenly, the first and last among them.
        followed: P, how many pixels' paths are kept.
        tinted: For samplers that can cross zero: colour negative coordinates, and let half of
            the followed pixels be some that cross, as far as there are any.
        positive_map: Of the data.
    """

    def __init__(
        self,
        process: GeometricBrownianMotion,
        data_distribution: LogNormal,
        steps: int,
        *,
        max_frames: int = 60,
        followed: int = 8,
        tinted: bool = False,
        positive_map: PositiveMap = PositiveMap.SHIFT,
    ):
        self.process, self.data_distribution = process, data_distribution
        kept = np.linspace(0, steps, min(max_frames, steps + 1)).round()
        self._kept = set(kept.astype(int).tolist())
        self._followed, self._tinted, self._map = followed, tinted, positive_map
        self._frames: list[Frame] = []

    @classmethod
    def of(cls, config: CheckpointConfig, settings: SamplingSettings) -> "Recorder":
        """For a run of the network of `config` under `settings`."""
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
        """Keep `step` where it is wanted; its frame, or None. Never waits for the device."""
        if step.index not in self._kept:
            return None
        self._frames.append(frame := self._develop(step))
        return frame

    def keep(self, step: Step) -> None:
        """Keep `step` in any case, unless it is the last frame already: where a run was stopped."""
        if not self._frames or self._frames[-1]["times"] != step.t:
            self._frames.append(self._develop(step))

    def finish(self) -> Trajectory:
        """Bring all frames to the CPU.

        Raises:
            ValueError: No frame was kept.
        """
        if not self._frames:
            raise ValueError("A trajectory needs at least one recorded step.")
        types = {"calls": np.int64, "crossings": np.int64, "signs": np.int8}
        columns = {
            name: np.stack([_numpy(frame[name]) for frame in self._frames])
            for name in self._frames[0]
        }
        if self._tinted:
            batch, height, width, channels = columns["estimates"].shape[1:]
            usual = self._pixels((batch, channels, height, width))
            rows = _crossing_first(columns["signs"], usual.numpy())
            columns |= {name: columns[name][:, rows] for name in ("paths", "signs")}
        return Trajectory(**{k: v.astype(types.get(k, v.dtype)) for k, v in columns.items()})

    def _develop(self, step: Step) -> Frame:
        drift, s = _law(self.process, step.t)
        law = LogNormal(
            self.data_distribution.log_mean + drift, math.hypot(self.data_distribution.log_std, s)
        )
        y = step.x.abs().log()
        states, estimates = to_images(step, self.process, self._tinted, self._map)
        log_range = law.log_mean - WINDOW * law.log_std, law.log_mean + WINDOW * law.log_std
        upper = math.exp(law.log_mean + UPPER_TAIL * law.log_std)
        white = math.exp(self._map.log_white + drift)
        linear_range = 0.0, max(upper, BRIGHTEST * white)
        rows = slice(None) if self._tinted else self._pixels(tuple(y.shape)).to(y.device)
        return {
            "times": step.t,
            "noise_levels": s,
            "calls": step.calls,
            "crossings": step.crossings.sum(),
            "states": states,
            "estimates": estimates,
            "theory": (law.log_mean, law.log_std),
            "fitted": torch.stack([y.mean(), y.std(correction=0)]),
            "log_range": log_range,
            "log_counts": _counts(y, *log_range),
            "linear_range": linear_range,
            "linear_counts": _counts(step.x, *linear_range),
            "paths": y.flatten()[rows],
            "signs": step.x.flatten()[rows].sign().to(torch.int8),
        }

    def _pixels(self, shape: tuple[int, ...]) -> Tensor:
        """Indices into [B, C, H, W], spread over the batch and the middle of its pictures."""
        batch, channels, height, width = shape
        k = torch.arange(self._followed)
        picture = k * batch // self._followed
        row = height // 4 + (k * 5) % (height // 2)
        column = width // 4 + (k * 7) % (width // 2)
        return (picture * channels * height + row) * width + column


def to_images(
    step: Step,
    process: GeometricBrownianMotion,
    tinted: bool = False,
    positive_map: PositiveMap = PositiveMap.SHIFT,
) -> tuple[Tensor, Tensor]:
    """Pictures of a step's state and estimate, uint8 [B, H, W, C], on the device of the step."""
    state = tone_map(step.x, *_law(process, step.t), positive_map=positive_map)
    estimate = tone_map(step.estimate.exp(), positive_map=positive_map)
    return tint(state, step.x < 0) if tinted else state, estimate


def record(steps: Iterable[Step], recorder: Recorder) -> Trajectory:
    """Run `steps` to their end through `recorder`."""
    for step in steps:
        recorder.add(step)
    return recorder.finish()


def _crossing_first(signs: NDArray[np.int8], usual: NDArray[np.int64]) -> NDArray[np.int64]:
    """Replace up to half of the `usual` columns by columns of `signs` [F, M] that change."""
    crossing = np.flatnonzero((signs != signs[0]).any(0))
    few = min(len(usual) // 2, len(crossing))
    picked = crossing[np.linspace(0, len(crossing) - 1, few).round().astype(int)]
    return np.concatenate([picked, usual[~np.isin(usual, picked)]])[: len(usual)]


def _law(process: GeometricBrownianMotion, t: float) -> tuple[float, float]:
    """m(t) and s(t)."""
    time = torch.tensor(t, dtype=torch.float64)
    return process.log_drift(time).item(), process.noise_level(time).item()


def _counts(values: Tensor, low: float, high: float) -> Tensor:
    """Histogram with `BINS` equal bins in [low, high); values outside are dropped."""
    position = (values.flatten() - low) * (BINS / (high - low))
    inside = (position >= 0) & (position < BINS)
    slots = torch.where(inside, position, BINS).long()
    return torch.zeros(BINS + 1, dtype=torch.int64, device=values.device).scatter_add_(
        0, slots, torch.ones_like(slots)
    )[:BINS]


def _numpy(value: Any) -> NDArray[Any]:
    return value.cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
