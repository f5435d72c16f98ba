"""A recorded run tells what its steps were."""

import io
from dataclasses import fields

import numpy as np
import pytest
import torch
from scipy import stats

from dale_demo.process import GeometricBrownianMotion, LogNormal, Noise, make_grid
from dale_demo.samplers import SAMPLERS, Step
from dale_demo.score import log_normal_score
from dale_demo.trajectory import BINS, Recorder, Trajectory, record

DATA = LogNormal(0.1, 0.2)
PROCESS = GeometricBrownianMotion(0.3, 1.5)


def steps(sampler: str = "dale-langevin", count: int = 12, pictures: int = 3) -> list[Step]:
    noise = Noise(0, range(pictures), (1, 12, 12))
    start = LogNormal.terminal(PROCESS, DATA).sample(noise())
    grid = make_grid(PROCESS, "uniform", count)
    score = log_normal_score(PROCESS, DATA)
    return list(SAMPLERS[sampler](score, start, PROCESS, grid, noise=noise))


def recorder(count: int = 12, **options: object) -> Recorder:
    return Recorder(PROCESS, DATA, count, **options)


def test_every_number_against_the_steps():
    walk = steps()
    run = record(walk, recorder())
    assert len(run) == 13
    for k, step in enumerate(walk):
        y = step.x.log().numpy().ravel()
        assert (run.times[k], run.calls[k]) == (step.t, step.calls)
        mean, std = stats.norm.fit(y)
        np.testing.assert_allclose(run.fitted[k], (mean, std), rtol=1e-9)
        drift, s = (0.3 - 1.5**2 / 2) * step.t, 1.5 * step.t**0.5
        np.testing.assert_allclose(run.theory[k], (0.1 + drift, np.hypot(0.2, s)), atol=1e-12)
        counts, _ = np.histogram(y, BINS, run.log_range[k])
        assert abs(counts - run.log_counts[k]).sum() <= 2, "a value on an edge may go either way"
        counts, _ = np.histogram(np.exp(y), BINS, run.linear_range[k])
        assert abs(counts - run.linear_counts[k]).sum() <= 2


def test_pictures_are_those_of_the_last_step():
    walk = steps()
    run = record(walk, recorder())
    pixels = ((walk[-1].x - 1).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(run.images, pixels.numpy())
    np.testing.assert_array_equal(run.states[-1], run.images)
    sheets = list(run.sheets())
    assert len(sheets) == 13
    assert sheets[0].shape[1] > 2 * 12


def test_paths_follow_single_pixels():
    walk = steps()
    run = record(walk, recorder(followed=5))
    flat = np.stack([step.x.log().numpy().ravel() for step in walk])
    assert run.paths.shape == (13, 5)
    for path in run.paths.T:
        assert (abs(flat - path[:, None]) < 1e-12).all(0).any(), "each path is one pixel's"
    assert (run.signs == 1).all()


def test_crossings_show_in_signs_and_colours():
    walk = steps("unconstrained", count=3, pictures=8)
    run = record(walk, recorder(3, tinted=True, followed=200))
    assert run.crossings[-1] > 0, "three coarse steps do cross zero"
    assert run.crossings[-1] == sum(int(c) for c in walk[-1].crossings)
    assert run.states.shape[-1] == 3
    negative = (walk[-1].x < 0)[:, 0].numpy()
    assert (np.ptp(run.states[-1].astype(int), axis=-1) > 0).astype(bool).tolist() == (
        negative.tolist()
    )


def test_few_frames_of_many_steps():
    run = record(steps(count=40), recorder(40, max_frames=10))
    assert len(run) == 10
    assert run.times[0] == 1
    assert run.times[-1] == 0


def test_a_stopped_run_ends_where_it_stopped():
    walk = steps(count=40)
    kept = recorder(40, max_frames=5)
    for step in walk[:17]:
        kept.add(step)
    kept.keep(walk[16])
    kept.keep(walk[16])
    run = kept.finish()
    assert run.times[-1] == walk[16].t
    assert len(set(run.times.tolist())) == len(run)


def test_nothing_recorded_is_refused():
    with pytest.raises(ValueError, match="at least one recorded step"):
        recorder().finish()


def test_npz_holds_everything():
    run = record(steps(), recorder())
    with np.load(io.BytesIO(run.npz_bytes())) as arrays:
        again = Trajectory(**arrays)
    for field in fields(Trajectory):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(run, field.name))
