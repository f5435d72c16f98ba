"""A sampling run while it goes: its turn in the queue, what is drawn of it, what is left of it.

A click anywhere, or a closed tab, ends the script at its next `st` call by an exception that is
no error. So what a run has made is put into an object that outlives the script, in a `finally`.
Streamlit does not wait for that: the script that the click asked for begins at once, in a thread
of its own, and must not read the object before the run that is being broken off has filled it.
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
from dale_demo.drawing.frames import (
    ImageArray,
    diverging,
    enlarge,
    grid,
    jpeg_bytes,
    side_by_side,
)
from dale_demo.samplers import Step
from dale_demo.sampling import SamplingSettings, run
from dale_demo.trajectory import Frame, Recorder, Trajectory, score_levels, to_images
from dale_demo.ui.shared.estimate import ESTIMATOR
from dale_demo.ui.shared.queue import Turn, wait_turn

DRAW_SECONDS = 0.08
"""Least time between two drawn steps; a browser shows no more, and encoding one takes time."""
UNWIND_SECONDS = 10.0
"""How long to wait for a run that was broken off; it ends within a few network evaluations."""
ENLARGED = 3


@dataclass(frozen=True)
class RunResult:
    """What the page shows: a run, finished or stopped.

    Args:
        trajectory: What was recorded of it.
        network: Name of its network.
        class_names: Of the network.
        settings: How it was sampled.
        steps: Steps done, `settings.steps` unless it was stopped.
        seconds: How long it took, without its pauses; None for a stored run.
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


class LatestRun:
    """The result of a session's latest run, which is filled in even when the run is broken off."""

    def __init__(self) -> None:
        self._result: RunResult | None = None
        # Held by the thread of the run, so that the thread of the next script can wait for it.
        self._running = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make readers of the result wait for the length of the block."""
        with self._running:
            yield

    def fill(self, result: RunResult) -> None:
        """Set what the run has reached."""
        self._result = result

    @property
    def result(self) -> RunResult | None:
        """The last result; waits for a run that is being broken off, and None before the first."""
        if self._running.acquire(timeout=UNWIND_SECONDS):
            self._running.release()
        return self._result


def sample(
    name: str, checkpoint: Checkpoint, settings: SamplingSettings, latest: LatestRun
) -> None:
    """Wait in the queue, then sample and draw; leave in `latest` whatever was reached.

    The run pauses while others have their turn.

    Raises:
        ValueError: The network cannot do what `settings` ask.
    """
    view, progress = st.empty(), st.empty()
    steps = run(checkpoint, settings)
    with (
        latest.running(),
        wait_turn(progress) as turn,
        _recorded(name, checkpoint, settings, latest, turn) as watch,
    ):
        drawn = 0.0
        for step in steps:
            frame = watch.see(step)
            if step.index == settings.steps or time.monotonic() - drawn > DRAW_SECONDS:
                drawn = time.monotonic()
                image = sheet(step, frame, settings, checkpoint.config.positive_map)
                view.image(_data_url(image), width="stretch")
                progress.progress(step.index / settings.steps, _status(step, settings, watch))
            if step.index < settings.steps:
                turn.give_way()


def sheet(
    step: Step, frame: Frame | None, settings: SamplingSettings, positive_map: PositiveMap
) -> ImageArray:
    """State, estimate and score of a step side by side, with sharp pixels.

    Args:
        frame: What the recorder has kept of this step, where the images are already made.
    """
    if frame is None:
        pair = to_images(step, settings.process, settings.can_cross, positive_map)
        made = *pair, score_levels(step, settings.process)
    else:
        made = frame["states"], frame["estimates"], frame["scores"]
    state, estimate, score = (images.cpu().numpy() for images in made)
    left = side_by_side(grid(state), grid(estimate))
    return enlarge(side_by_side(left, grid(diverging(score))), ENLARGED)


def _data_url(image: ImageArray) -> str:
    """The image as a data URL.

    Streamlit serves an image from memory until the next one replaces it: over a slow connection
    the file would be gone before the browser asks for it.
    """
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(image)).decode()


def network_evaluations(score_evaluations: int, settings: SamplingSettings) -> int:
    """Network evaluations behind evaluations of the score: twice as many under guidance."""
    return score_evaluations * settings.network_evaluations // settings.score_evaluations


class _Watch:
    """Records the steps of one run and its time, without its pauses.

    Attributes:
        marks: Seconds and score evaluations at the first step after the start, and at the last.
    """

    def __init__(self, recorder: Recorder, turn: Turn):
        self.recorder = recorder
        self.last: Step | None = None
        self.marks: list[tuple[float, int]] = []
        self._began, self._turn = time.monotonic(), turn

    def see(self, step: Step) -> Frame | None:
        """Record a step; its frame, if the recorder has kept it."""
        self.last = step
        # What comes before the first step also prepares the device, which happens once.
        if step.index > 0:
            self.marks[1:] = [(self.seconds, step.score_evaluations)]
        return self.recorder.add(step)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began - self._turn.paused


@contextmanager
def _recorded(
    name: str,
    checkpoint: Checkpoint,
    settings: SamplingSettings,
    latest: LatestRun,
    turn: Turn,
) -> Iterator[_Watch]:
    """Record the steps seen in the block, and fill `latest` however the block ends."""
    config = checkpoint.config
    recorder = Recorder.of(config, settings)
    watch = _Watch(recorder, turn)
    try:
        yield watch
    finally:
        if (last := watch.last) is not None:
            seconds = watch.seconds
            recorder.keep(last)
            trajectory = recorder.finish()
            latest.fill(
                RunResult(trajectory, name, config.class_names, settings, last.index, seconds)
            )
            _teach(checkpoint, settings, watch)


def _teach(checkpoint: Checkpoint, settings: SamplingSettings, watch: _Watch) -> None:
    """Let later estimates know how long the steps of this run took."""
    if len(watch.marks) < 2:
        return
    (began, before), (ended, after) = watch.marks
    made = network_evaluations(after - before, settings)
    network, device = checkpoint.config.network, checkpoint.model.class_averages.device.type
    ESTIMATOR.learn(network, device, made, len(settings.labels), ended - began)


def _status(step: Step, settings: SamplingSettings, watch: _Watch) -> str:
    evaluations = network_evaluations(step.score_evaluations, settings)
    guided = ", two for each guided score" if evaluations > step.score_evaluations else ""
    return (
        f"Step {step.index} of {settings.steps} · {evaluations} network evaluations{guided} · "
        f"{watch.seconds:.1f} s"
    )
