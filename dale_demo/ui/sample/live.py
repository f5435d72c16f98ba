"""A run while it goes: a place in the line, the picture as it unfolds, and what is kept of it.

A click anywhere, or a closed tab, ends the script at its next `st` call by an exception that is
no error. So what a run has made is kept in an object that outlives the script, and `finally`
closes it. Streamlit does not wait for that: the script that the click asked for begins at once,
in a thread of its own. So it waits, in `Kept`, until the run has let go.
"""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import streamlit as st

from dale_demo.checkpoint.folder import Checkpoint
from dale_demo.data import PositiveMap
from dale_demo.drawing.frames import ImageArray, enlarge, grid, jpeg_bytes, side_by_side
from dale_demo.samplers import Step
from dale_demo.sampling import SamplingSettings, run
from dale_demo.trajectory import Recorder, Trajectory, to_images
from dale_demo.ui.shared.queue import place

DRAW_SECONDS = 0.08
PATIENCE = 10.0
"""Seconds to wait for a run that was broken off; it lets go within a few network calls."""
ENLARGED = 3


@dataclass(frozen=True)
class Result:
    """What the page shows: a run, finished or stopped.

    Args:
        trajectory: What was recorded of it.
        network: Name of its network.
        class_names: Of the network.
        settings: How it was sampled.
        steps: Steps done, `settings.steps` unless it was stopped.
        seconds: How long it took; None for a stored run.
    """

    trajectory: Trajectory
    network: str
    class_names: tuple[str, ...]
    settings: SamplingSettings
    steps: int
    seconds: float | None

    @property
    def stopped(self) -> bool:
        """Whether it ended before its last step."""
        return self.steps < self.settings.steps


class Kept:
    """A place for one result, which a run fills even when it is broken off."""

    def __init__(self) -> None:
        self._result: Result | None = None
        self._run = threading.Lock()

    @contextmanager
    def run(self) -> Iterator[None]:
        """Hold the place for the length of a run; the result can be read when it has ended."""
        with self._run:
            yield

    def fill(self, result: Result) -> None:
        """Put in what the run has reached."""
        self._result = result

    @property
    def result(self) -> Result | None:
        """The last result, once a run that is still unwinding has let go."""
        if self._run.acquire(timeout=PATIENCE):
            self._run.release()
        return self._result


def sample(name: str, checkpoint: Checkpoint, settings: SamplingSettings, kept: Kept) -> None:
    """Wait for a place, then sample and draw; leave in `kept` whatever was reached.

    Raises:
        ValueError: The network cannot do what `settings` ask.
    """
    view, progress = st.empty(), st.empty()
    steps = run(checkpoint, settings)
    with kept.run(), place(progress), _recorded(name, checkpoint, settings, kept) as watch:
        drawn = 0.0
        for step in steps:
            watch.see(step)
            if step.index == settings.steps or time.monotonic() - drawn > DRAW_SECONDS:
                drawn = time.monotonic()
                picture = sheet(step, settings, checkpoint.config.positive_map)
                view.image(_inline(picture), width="stretch")
                progress.progress(step.index / settings.steps, _status(step, settings, watch))


def sheet(step: Step, settings: SamplingSettings, positive_map: PositiveMap) -> ImageArray:
    """State and estimate of a step side by side, with sharp pixels."""
    pictures = to_images(step, settings.process, settings.can_cross, positive_map)
    state, estimate = (grid(part.cpu().numpy()) for part in pictures)
    return enlarge(side_by_side(state, estimate), ENLARGED)


def _inline(picture: ImageArray) -> str:
    """The picture as an address of its own: a file could be gone before a slow browser asks."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(picture)).decode()


def network_evaluations(calls: int, settings: SamplingSettings) -> int:
    """Network calls behind `calls` evaluations of the score: twice as many under guidance."""
    return calls * settings.network_evaluations // settings.calls


class _Watch:
    """Records the steps of one run and its time."""

    def __init__(self, recorder: Recorder):
        self.recorder, self.last = recorder, None
        self._began = time.monotonic()

    last: Step | None

    def see(self, step: Step) -> None:
        self.recorder.add(step)
        self.last = step

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


@contextmanager
def _recorded(
    name: str, checkpoint: Checkpoint, settings: SamplingSettings, kept: Kept
) -> Iterator[_Watch]:
    """Record the steps seen in the block, and fill `kept` however the block ends."""
    config = checkpoint.config
    recorder = Recorder.of(config, settings)
    watch = _Watch(recorder)
    try:
        yield watch
    finally:
        if (last := watch.last) is not None:
            seconds = watch.seconds
            recorder.keep(last)
            kept.fill(
                Result(recorder.finish(), name, config.class_names, settings, last.index, seconds)
            )


def _status(step: Step, settings: SamplingSettings, watch: _Watch) -> str:
    calls = network_evaluations(step.calls, settings)
    guided = ", two for each guided evaluation" if calls > step.calls else ""
    return (
        f"Step {step.index} of {settings.steps} · {calls} network calls{guided} · "
        f"{watch.seconds:.1f} s"
    )
