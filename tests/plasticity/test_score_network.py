"""The task whose networks draw: its loss is M-DSM, its images are fixed by seed and network."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from dale_demo.noise import seeds_of
from dale_demo.objectives import m_dsm
from dale_demo.plasticity import Digits, Experiment, Rule, ScoreNetwork
from dale_demo.plasticity.learner import batches
from dale_demo.plasticity.tasks import score_network, weight_parameters
from dale_demo.plasticity.tasks.score_network import Denoising
from dale_demo.preconditioning import Preconditioning
from dale_demo.process import GeometricBrownianMotion, LogNormal
from dale_demo.score import from_denoiser, log_normal_score

SMALL = ScoreNetwork(hidden=16, epochs=4)
PROCESS = GeometricBrownianMotion.median_preserving(3.0)
MOMENTS = LogNormal(0.1, 0.25)
DENOISING = Denoising(Preconditioning(MOMENTS.log_mean, MOMENTS.log_std))


@pytest.fixture(scope="module")
def problem():
    return SMALL.build(0)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_loss_is_m_dsm_with_the_weight_of_edm(problem):
    """The objective of the other networks, on the same noise, through the score."""
    clean = problem.train[:20]
    moments = train_moments()
    denoising = Denoising(Preconditioning(moments.log_mean, moments.log_std))
    shown = denoising.corrupt(clean, generator(5))
    losses = problem.losses(problem.start(shown.inputs), shown.targets)
    z = torch.randn((20, 197), generator=generator(5)).double()
    t = PROCESS.time(torch.exp(-1.0 + 1.3 * z[:, 0]))
    score = from_denoiser(denoising.denoiser(problem.start, clean.targets), PROCESS)
    expected = m_dsm(
        *(score, PROCESS, clean.inputs.double(), t, z[:, 1:]),
        "preconditioned",
        moments.log_std,
    )
    assert_close(losses.double(), expected, rtol=1e-4, atol=0)


def train_moments() -> LogNormal:
    data = score_network._reduced(score_network.stored_digits()[0])
    rows = torch.randperm(2000, generator=generator(seeds_of(0, [1])[0]))
    return data[rows[200:]].fit_log_normal()


def test_around_a_network_that_answers_nothing_is_the_score_of_log_normal_data():
    silent = nn.Linear(207, 196)
    nn.init.zeros_(silent.weight)
    nn.init.zeros_(silent.bias)
    x = torch.exp(torch.randn((7, 196), generator=generator(0), dtype=torch.float64))
    t = PROCESS.time(torch.tensor([0.01, 0.1, 0.5, 1, 2, 3, 3], dtype=torch.float64))
    score = from_denoiser(DENOISING.denoiser(silent, torch.arange(7)), PROCESS)
    assert_close(score(x, t), log_normal_score(PROCESS, MOMENTS)(x, t))


def test_images_are_averages_of_four_pixels_and_splits_are_apart(problem):
    assert [len(e) for e in (problem.train, problem.validation, problem.test)] == [1800, 400, 1000]
    assert 1 <= problem.train.inputs.min() < problem.train.inputs.max() <= 2
    whole = Digits(hidden=5).build(0).train
    pooled = whole.inputs.reshape(-1, 14, 2, 14, 2).mean((2, 4)).flatten(1)
    assert_close(problem.train.inputs - 1, pooled, atol=1 / 500, rtol=0)
    assert torch.equal(problem.train.targets, whole.targets)
    assert problem.validation.inputs.shape == (400, 196 + 1 + 10)


def test_noise_is_drawn_anew_for_each_batch_and_is_the_same_for_every_rule(problem):
    task = ScoreNetwork(hidden=16, epochs=2, batch_size=1800)
    first, second = batches(problem, problem.train, task, 0)
    assert not torch.allclose(first.inputs.sort(0).values, second.inputs.sort(0).values, atol=0.1)
    again = next(batches(problem, problem.train, task, 0))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, next(batches(problem, problem.train, task, 1)).inputs)


def test_it_has_about_160_000_weights():
    start = ScoreNetwork().build(0).start
    assert sum(p.numel() for p in weight_parameters(start).values()) == 168_704


@pytest.mark.parametrize("signs", ["columns", "random"])
def test_units_have_one_sign_where_asked(signs):
    (first, *_) = weight_parameters(ScoreNetwork(hidden=16, signs=signs).build(0).start).values()
    one_sign = (first.sign() == first.sign()[:1]).all(0)
    assert one_sign.all() if signs == "columns" else not one_sign.any()


def test_a_network_draws_one_image_of_each_digit(problem):
    images = problem.draw(problem.start)
    assert images.shape == (10, 14, 14)
    assert images.dtype == torch.uint8
    assert torch.equal(images, problem.draw(problem.start))
    assert not torch.equal(images, SMALL.build(1).draw(problem.start)), "other noise"
    assert not torch.equal(images, problem.draw(SMALL.build(1).start)), "another network"


@pytest.fixture(scope="module")
def learned():
    rules = {"EG-Adam": Rule("eg-adam", 0.05), "Adam": Rule("adam", 0.005)}
    return list(Experiment(ScoreNetwork(hidden=32, epochs=12), rules).snapshots(2))


def test_both_learn_and_only_adam_changes_signs(learned):
    first, last = (snapshot.states for snapshot in learned)
    for rule in ("EG-Adam", "Adam"):
        assert last[rule].test_loss < 0.8 < 1.0 < first[rule].test_loss
        assert last[rule].train_loss == pytest.approx(last[rule].test_loss, rel=0.1)
        assert last[rule].test_accuracy is None
    assert last["EG-Adam"].flips == 0 == last["EG-Adam"].flipped
    assert last["Adam"].flipped > 0.1


def test_snapshots_have_the_images_and_they_get_nearer_to_digits(learned):
    """Their distance from the mean image of the class, which noise does not share."""
    data = score_network._reduced(score_network.stored_digits()[0])
    means = np.stack([data.images[data.labels == k].float().mean((0, 1)) for k in range(10)])
    for rule in ("EG-Adam", "Adam"):
        before, after = (
            np.abs(snapshot.states[rule].images - means).mean() for snapshot in learned
        )
        assert after < 0.8 * before
