"""The network that learns a score in the plane, against exact scores."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from dale_demo.process import GeometricBrownianMotion
from dale_demo.score import LogNormalMixtureScore
from dale_demo.toy import SHAPES, ToySettings, distance, samples, score_field, simulate
from dale_demo.toy_network import (
    MAX_NOISE_LEVEL,
    MIN_NOISE_LEVEL,
    ToyDenoiser,
    ToyTraining,
    relative_error,
    train,
)
from tests.distributions import normals

DATA = SHAPES["log-normal mixture"]()
SHORT = ToyTraining(steps=150, batch_size=128)


def untrained() -> ToyDenoiser:
    return ToyDenoiser(DATA, torch.Generator().manual_seed(0))


def trained(training: ToyTraining = SHORT) -> ToyDenoiser:
    *_, step = train(DATA, training)
    return step.network


@pytest.fixture(scope="module")
def network() -> ToyDenoiser:
    return trained()


class Exact:
    """Stands in for a network without error."""

    def __init__(self, factor: float = 1.0):
        self.factor = factor

    def score(self, process):
        exact = DATA.score(process)
        return lambda x, t: self.factor * (1 + exact(x, t)) - 1


def test_an_untrained_network_is_the_score_of_one_log_normal_distribution(generator):
    process = GeometricBrownianMotion(mu=0.3, sigma=0.9)
    mean = DATA.log_means.mean(0)
    std = (DATA.log_means.var(0, correction=0) + DATA.log_std**2).mean().sqrt()
    x, t = normals(generator, 50, 2).exp(), torch.linspace(0.01, 1, 50, dtype=torch.float64)
    expected = LogNormalMixtureScore(process, mean[None], std)(x, t)
    with torch.no_grad():
        assert_close(untrained().score(process)(x, t), expected)


def test_training_brings_the_score_nearer_to_the_exact_one(network):
    for level in (0.1, 0.3):
        before, after = (relative_error(n, DATA, level, 0) for n in (untrained(), network))
        assert after < 0.7 * before, level


def test_particles_under_the_learned_score_end_nearer_than_under_the_untrained(network):
    settings = ToySettings(particles=300)
    reference = samples(DATA, settings)[0]
    ends = []
    for score in (None, network.score(settings.process), untrained().score(settings.process)):
        run = simulate(DATA, "bridge", settings, max_frames=2, score=score)
        assert (run.x > 0).all()
        ends.append(distance(torch.from_numpy(run.x[-1]), reference))
    exact, learned, start = ends
    assert exact < learned < 0.7 * start


@pytest.mark.parametrize("level", [0.03, 1.0])
def test_the_error_of_known_scores(level):
    assert relative_error(Exact(), DATA, level, 0) == pytest.approx(0, abs=1e-9)
    assert relative_error(Exact(0.0), DATA, level, 0) == pytest.approx(1)
    assert relative_error(Exact(0.7), DATA, level, 0) == pytest.approx(0.3)


def test_a_seed_determines_the_network_and_nothing_global_is_touched():
    training = ToyTraining(steps=3, batch_size=8)
    state = torch.get_rng_state()
    first, again = (trained(training).state_dict() for _ in range(2))
    other = trained(ToyTraining(steps=3, batch_size=8, seed=1)).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    for name, weight in first.items():
        assert torch.equal(again[name], weight), name
    assert not torch.equal(other["layers.0.weight"], first["layers.0.weight"])


def test_every_step_is_told_and_the_loss_falls():
    steps = list(train(DATA, SHORT))
    assert [step.done for step in steps] == list(range(1, 151))
    losses = [step.loss for step in steps]
    assert np.mean(losses[-50:]) < 0.95 * np.mean(losses[:50])


def test_the_rate_rises_and_falls_to_nothing():
    rates = [SHORT.rate(step) for step in range(SHORT.steps)]
    assert rates[0] < rates[20] < max(rates) < SHORT.learning_rate
    assert rates[-1] < 0.01 * SHORT.learning_rate


def test_the_score_is_finite_beyond_the_range_of_training(network):
    process = GeometricBrownianMotion.median_preserving(2 * MAX_NOISE_LEVEL)
    x = torch.tensor([[1e-6, 1e6], [1.0, 2.0]], dtype=torch.float64)
    field = score_field(network.score(process), process, np.array([1.0, 0.0]), x)
    assert np.isfinite(field).all()
    below = network(x.log(), x.new_full((2,), MIN_NOISE_LEVEL / 9))
    assert_close(below, network(x.log(), x.new_full((2,), MIN_NOISE_LEVEL)))


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"seed": -1}]
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        ToyTraining(**bad)
