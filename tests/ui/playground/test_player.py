"""The blob of the particle player can be read back, and is small."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch

from dale_demo.process import GeometricBrownianMotion, LogNormal
from dale_demo.score import log_normal_score
from dale_demo.toy import FORWARD, SHAPES, Paths, ToySettings, add_noise, simulate
from dale_demo.ui.playground.player import (
    ARROWS,
    REACH,
    ParticleRuns,
    first_crossing,
    pack,
    quantise,
)


def particle_runs(
    steps: int = 6, particles: int = 50, right: str = "unconstrained"
) -> ParticleRuns:
    data = SHAPES["rings"]()
    settings = ToySettings(steps=steps, particles=particles)
    names = ("dale-langevin", right)
    left, other = (simulate(data, name, settings) for name in names)
    return ParticleRuns(names, (left, other), data, np.ones((3, 2)), settings.noise_level)


def unpack(blob: bytes) -> tuple[dict, np.ndarray]:
    """Read the blob as player.js does; positions [sampler, frame, particle, axis]."""
    (length,) = struct.unpack_from("<I", blob)
    header = json.loads(blob[4 : 4 + length])
    packed = np.frombuffer(blob[4 + length :], "<i2").astype(float)
    reach = header["reach"]
    y = -reach + (np.abs(packed) - 1) / 32766 * 2 * reach
    shape = (len(header["samplers"]), len(header["times"]), header["count"], 2)
    return header, (np.sign(packed) * np.exp(y)).reshape(shape)


def test_positions_come_back_to_a_thousandth_with_their_signs():
    made = particle_runs()
    _, x = unpack(pack(made))
    for read, run in zip(x, made.paths, strict=True):
        held = np.sign(run.x) * np.exp(np.log(np.abs(run.x)).clip(-REACH, REACH))
        np.testing.assert_allclose(read, held, rtol=5e-4)
    assert (x[0] > 0).all()
    assert (x[1] < 0).any()


def test_extremes_are_clamped_not_wrapped():
    packed = quantise(np.array([1e-300, -1e-300, 1e300, -1e300, 1.0]))
    assert packed.tolist() == [1, -1, 32767, -32767, 1 + 16383]


def test_the_header_holds_frames_kernels_and_crossings():
    made = particle_runs()
    header, _ = unpack(pack(made))
    assert [s["name"] for s in header["samplers"]] == ["dale-langevin", "unconstrained"]
    assert header["steps"] == list(range(7))
    assert header["times"] == made.paths[0].times.tolist()
    np.testing.assert_allclose(np.reshape(header["means"], (-1, 2)), made.data.log_means, atol=1e-4)
    assert header["spread"] == made.data.log_std
    assert set(header["first"][0]) == {7}, "nobody crosses"
    crossed = sum(frame < 7 for frame in header["first"][1])
    assert crossed == made.paths[1].crossed > 0


def test_a_learned_score_is_sent_as_its_field_in_both_windows():
    plain, made = particle_runs(), particle_runs(right="bridge")
    process = GeometricBrownianMotion.median_preserving(made.sigma)
    score = log_normal_score(process, LogNormal(0.1, 0.5))
    blob = pack(replace(made, right_score=score))
    (length,) = struct.unpack_from("<I", blob)
    header = json.loads(blob[4 : 4 + length])
    assert unpack(pack(plain))[0]["learned"] == 0
    field = np.frombuffer(blob[-4 * header["learned"] :], "<f4")
    field = field.reshape(2, len(header["times"]), ARROWS, ARROWS, 2)
    for window, (log, low, high) in enumerate(
        [(False, 0, header["windows"]["linear"][1]), (True, *header["windows"]["log"])]
    ):
        x1, x2 = ([0.5, 3.5] / np.float64(ARROWS)) * (high - low) + low
        x = torch.tensor([[x1, x2]]).exp() if log else torch.tensor([[x1, x2]])
        t = torch.tensor([header["times"][2]], dtype=torch.float64)
        np.testing.assert_allclose(field[window, 2, 3, 0], score(x, t)[0], rtol=1e-5)
    other = pack(replace(made, right_score=made.data.score(process)))
    ids = [json.loads(b[4 : 4 + struct.unpack_from("<I", b)[0]])["id"] for b in (blob, other)]
    assert ids[0] != ids[1]


def test_the_log_window_holds_the_noise_in_both_directions():
    sampled = particle_runs()
    data, settings = sampled.data, ToySettings(steps=6, particles=50)
    noised = [add_noise(data, name, settings) for name in FORWARD]
    forward = replace(sampled, samplers=tuple(FORWARD), paths=tuple(noised))
    for runs, wide in ((sampled, sampled.paths[0].x[0]), (forward, noised[0].x[-1])):
        low, high = unpack(pack(runs))[0]["windows"]["log"]
        inside = (np.log(wide) > low) & (np.log(wide) < high)
        assert inside.mean() > 0.95
        assert high - low < 2 * np.ptp(np.log(wide))


def test_first_crossing_is_the_first_frame():
    crossings = np.array([[0, 0, 0], [0, 1, 0], [2, 1, 0]])
    paths = Paths(np.arange(3), np.linspace(1, 0, 3), np.ones((3, 3, 2)), crossings, 3)
    assert first_crossing(paths).tolist() == [2, 1, 3]


def test_identity_follows_the_run():
    made = particle_runs()
    ids = [
        unpack(pack(f))[0]["id"]
        for f in (made, particle_runs(), particle_runs(right="bridge"), replace(made, sigma=2.0))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(("steps", "most"), [(25, 250_000), (100, 850_000)])
def test_a_thousand_particles_are_small(steps, most):
    assert len(pack(particle_runs(steps, 1000, "bridge"))) < most
