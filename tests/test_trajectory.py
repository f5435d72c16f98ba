"""Recorded frames, against NumPy on the same steps."""

import io
from dataclasses import fields

import numpy as np
import pytest
import torch

from dale_demo.drawing.frames import tone_map
from dale_demo.drawing.palette import INHIBITORY, rgb
from dale_demo.noise import Noise
from dale_demo.process import GeometricBrownianMotion, LogNormal, uniform_grid
from dale_demo.samplers import Step, dale_langevin, unconstrained
from dale_demo.score import log_normal_score
from dale_demo.trajectory import SCORE_REACH, Recorder, Trajectory, record, score_levels, to_images

DATA = LogNormal(0.1, 0.22)
PROCESS = GeometricBrownianMotion(mu=0.1, sigma=0.8)
SHAPE = (3, 1, 8, 8)


def run_of(sampler=dale_langevin, steps: int = 10) -> list[Step]:
    """Steps of a run with the exact score of log-normal data."""
    noise = Noise(0, range(SHAPE[0]), SHAPE[1:])
    start = LogNormal.terminal(PROCESS, DATA).sample(noise())
    score = log_normal_score(PROCESS, DATA)
    return list(sampler(score, start, PROCESS, uniform_grid(PROCESS, steps), noise=noise))


def recorded(steps: list[Step], count: int | None = None, **options) -> Trajectory:
    return record(iter(steps), Recorder(PROCESS, DATA, count or len(steps) - 1, **options))


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    return run_of()


@pytest.fixture(scope="module")
def crossing() -> list[Step]:
    """A run whose steps are so long that signs change."""
    return run_of(unconstrained, 4)


def test_every_frame_describes_its_step(steps):
    run = recorded(steps)
    assert len(run) == 11
    np.testing.assert_allclose(run.times, np.linspace(1, 0, 11))
    np.testing.assert_allclose(run.noise_levels, 0.8 * np.sqrt(np.linspace(1, 0, 11)))
    assert run.score_evaluations.tolist() == [step.score_evaluations for step in steps]
    assert not run.crossings.any()
    for k, step in enumerate(steps):
        drift = (0.1 - 0.32) * step.t
        shown = tone_map(step.x, drift, float(run.noise_levels[k])).numpy()
        np.testing.assert_array_equal(run.states[k], shown)
        np.testing.assert_array_equal(run.estimates[k], tone_map(step.estimate.exp()).numpy())


@pytest.mark.parametrize("channels", [1, 3])
def test_scores_are_those_of_the_sampler_in_units_of_the_noise(channels):
    """Against the exact score, which the sampler was given, not the estimate made from it."""
    x = torch.rand(2, channels, 4, 4, dtype=torch.float64) + 0.5
    score = log_normal_score(PROCESS, DATA)
    noise, grid = Noise(0, range(2), (channels, 4, 4)), uniform_grid(PROCESS, 3)
    steps = list(dale_langevin(score, x, PROCESS, grid, noise=noise))
    run = recorded(steps)
    assert run.scores.shape == (4, 2, 4, 4, 1)
    for step, s, levels in zip(steps[:-1], run.noise_levels, run.scores, strict=False):
        h = score(step.x, torch.full((2,), step.t, dtype=torch.float64))
        drawn = (levels[..., 0].astype(float) - 128) / 127 * SCORE_REACH
        scaled = (s * (1 + h)).mean(1).clamp(-SCORE_REACH, SCORE_REACH).numpy()
        np.testing.assert_allclose(drawn, scaled, atol=SCORE_REACH / 127)
        assert np.abs(drawn - s * h.mean(1).numpy()).max() > 0.1, "not s h"
    np.testing.assert_array_equal(run.scores[-1], run.scores[-2])


def test_a_trajectory_that_begins_at_t_0_has_no_score():
    x = torch.full((1, 1, 4, 4), 1.5, dtype=torch.float64)
    last = Step(0, 0.0, x, x.log(), torch.zeros(1, dtype=torch.int64), 0)
    assert (recorded([last], count=1).scores == 128).all()


def test_moments_are_those_of_the_process_and_of_the_state(steps):
    run = recorded(steps)
    t = run.times
    np.testing.assert_allclose(run.theory[:, 0], 0.1 + (0.1 - 0.32) * t)
    np.testing.assert_allclose(run.theory[:, 1] ** 2, 0.22**2 + 0.64 * t)
    logs = np.stack([step.x.log().numpy() for step in steps]).reshape(11, -1)
    np.testing.assert_allclose(run.fitted, np.stack([logs.mean(1), logs.std(1)], 1))


@pytest.mark.parametrize("axis", ["log", "linear"])
def test_histograms_agree_with_numpy(steps, axis):
    run = recorded(steps)
    ranges, counts = getattr(run, f"{axis}_range"), getattr(run, f"{axis}_counts")
    for k, step in enumerate(steps):
        values = (step.x.log() if axis == "log" else step.x).numpy()
        expected, _ = np.histogram(values, bins=counts.shape[1], range=tuple(ranges[k]))
        np.testing.assert_array_equal(counts[k], expected)
        assert counts[k].sum() > 0.8 * values.size


@pytest.mark.parametrize(("channels", "tinted"), [(1, False), (1, True), (3, False), (3, True)])
def test_histograms_count_every_coordinate(channels, tinted):
    x = torch.linspace(1, 2, 64 * channels, dtype=torch.float64).reshape(1, channels, 8, 8)
    last = Step(0, 0.0, x, x.log(), torch.zeros(1, dtype=torch.int64), 0)
    run = recorded([last], count=1, tinted=tinted)
    assert run.coordinates == x.numel()
    assert run.linear_counts.sum() == x.numel()


def test_the_linear_histogram_always_reaches_the_brightest_pixel():
    """At t = 0 no pixel may lie outside it."""
    x = torch.linspace(1, 2, 64, dtype=torch.float64).reshape(1, 1, 8, 8)
    last = Step(0, 0.0, x, x.log(), torch.zeros(1, dtype=torch.int64), 0)
    assert recorded([last], count=1).linear_counts.sum() == 64


def test_followed_pixels_are_the_same_in_every_frame(steps):
    run = recorded(steps, followed=5)
    assert run.paths.shape == run.signs.shape == (11, 5)
    logs = np.stack([step.x.log().numpy().flatten() for step in steps])
    for path in run.paths.T:
        assert (np.abs(logs - path[:, None]).max(0) < 1e-12).sum() == 1
    assert len(np.unique(run.paths[0])) == 5
    assert (run.signs == 1).all()


@pytest.mark.parametrize(("total", "limit"), [(10, 60), (100, 60), (59, 60), (60, 60), (7, 2)])
def test_frames_are_kept_evenly_with_both_ends(total, limit):
    steps = [step_at(k, total) for k in range(total + 1)]
    run = recorded(steps, max_frames=limit)
    assert len(run) == min(limit, total + 1)
    assert (run.times[0], run.times[-1]) == (1.0, 0.0)
    gaps = -np.diff(run.times) * total
    assert gaps.max() - gaps.min() < 1.01, "gaps differ by at most one step"


def step_at(index: int, total: int) -> Step:
    x = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    crossings = torch.zeros(1, dtype=torch.int64)
    return Step(index, 1 - index / total, x, x.log(), crossings, index)


def test_add_returns_the_frame_of_a_kept_step(crossing):
    """With the images that `to_images` makes of the step; None for a step that is not kept."""
    recorder = Recorder(PROCESS, DATA, len(crossing) - 1, max_frames=2, tinted=True)
    first, *between, last = (recorder.add(step) for step in crossing)
    assert between == [None] * (len(crossing) - 2)
    for frame, step in ((first, crossing[0]), (last, crossing[-1])):
        images = to_images(step, PROCESS, tinted=True)
        torch.testing.assert_close((frame["states"], frame["estimates"]), images)
    torch.testing.assert_close(first["scores"], score_levels(crossing[0], PROCESS))
    before = score_levels(crossing[-2], PROCESS)
    torch.testing.assert_close(last["scores"], before, msg="at t = 0, that of the step before")


def test_a_stopped_run_keeps_its_last_step_once():
    recorder = Recorder(PROCESS, DATA, 100, max_frames=11)
    for index in range(26):
        recorder.add(step_at(index, 100))
    recorder.keep(step_at(25, 100))
    recorder.keep(step_at(25, 100))
    assert recorder.finish().score_evaluations.tolist() == [0, 10, 20, 25]


def test_a_recorder_without_steps_has_no_trajectory():
    with pytest.raises(ValueError, match="at least one recorded step"):
        Recorder(PROCESS, DATA, 5).finish()


def test_crossings_are_counted_coloured_and_followed(crossing):
    run = recorded(crossing, tinted=True)
    assert run.crossings.tolist() == [step.crossings.sum() for step in crossing]
    assert run.crossings[-1] > 0
    for k, step in enumerate(crossing):
        negative = (step.x < 0).numpy()[:, 0]
        blue = (run.states[k] == rgb(INHIBITORY)).all(-1)
        np.testing.assert_array_equal(blue, negative)
    assert run.paths.shape == (5, 8)
    assert (run.signs < 0).any(0)[:4].any()
    values = np.stack([step.x.numpy().flatten() for step in crossing])
    for path, signs in zip(run.paths.T, run.signs.T, strict=True):
        own = signs * np.exp(path)
        assert (np.abs(values - own[:, None]).max(0) < 1e-9).any()


def test_without_crossings_the_usual_pixels_are_followed(steps):
    np.testing.assert_array_equal(
        recorded(steps, tinted=True).paths, recorded(steps, tinted=False).paths
    )


def test_sheets_and_images(steps):
    run = recorded(steps)
    np.testing.assert_array_equal(run.images, run.estimates[-1])
    sheets = list(run.sheets())
    assert len(sheets) == 11
    np.testing.assert_array_equal(sheets[3][2:10, 2:10], run.states[3, 0])
    width = sheets[3].shape[1]
    right = (width + 8) // 2 + 2
    np.testing.assert_array_equal(sheets[3][2:10, right : right + 8], run.estimates[3, 0])


def test_npz_round_trip(steps):
    run = recorded(steps)
    with np.load(io.BytesIO(run.npz_bytes())) as arrays:
        again = Trajectory(**arrays)
    for field in fields(Trajectory):
        before, after = getattr(run, field.name), getattr(again, field.name)
        np.testing.assert_array_equal(after, before)
        assert after.dtype == before.dtype
