"""Distribution matching: where it pushes images, against closed forms; and its runs."""

import copy
import dataclasses
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.network import Denoiser
from dale_demo.sampling import SamplingSettings, run
from dale_demo.training.batches import Batch, matching_draws
from dale_demo.training.config import TrainingConfig
from dale_demo.training.matching import LATE, FromDistribution
from dale_demo.training.run import train
from dale_demo.training.state import STATE_FILE
from tests.distributions import normals

LEVELS = (1.1, 0.4)
CONFIG = TrainingConfig(
    images=16 * 12,
    batch_size=16,
    warmup=32,
    ema=0.9,
    learning_rate=1e-3,
    width=16,
    multipliers=(1,),
    recipe="matching",
    levels=(LEVELS, (1.1,)),
    seed=4,
)
SHAPE = (64, 1, 4, 4)


def exact(mean, std):
    """A stand-in for a network: the posterior mean of ln x₀ ~ N(mean, std²) at every pixel."""

    def model(u, s, labels):
        share = std**2 / (std**2 + s.reshape(-1, 1, 1, 1) ** 2)
        return mean + share * (u - mean)

    return model


def objective(teacher, partner):
    """Data N(0.2, 0.3²) at every pixel, as the start sees it too."""
    moments = torch.full((3, *SHAPE[1:]), 0.2), torch.full((3, *SHAPE[1:]), 0.3)
    model = SimpleNamespace(null_label=2, log_means=moments[0], log_stds=moments[1])
    methods = {"__call__": staticmethod(teacher), "noised_moments": Denoiser.noised_moments}
    stand_in = type("Network", (SimpleNamespace,), methods)
    checkpoint = SimpleNamespace(model=stand_in(**vars(model)))
    return FromDistribution(checkpoint, LEVELS, partner)


def batch(generator, step=0, steps=10):
    z = normals(generator, *SHAPE)
    labels = torch.arange(len(z)) % 2
    draws = matching_draws(torch.Size(SHAPE), CONFIG, step)
    return Batch(z.exp(), labels, torch.ones(len(z)), z, step, steps, draws)


def pushed(student, teacher, partner, generator):
    """The step that each image is told to take, from the gradient of the loss [B, C, H, W]."""
    offset = torch.zeros(SHAPE, dtype=torch.float64, requires_grad=True)
    losses = objective(teacher, partner).losses(
        lambda u, s: student(u, s, None) + offset, batch(generator)
    )
    (gradient,) = torch.autograd.grad(losses.sum(), offset)
    return -gradient * torch.tensor(SHAPE[1:]).prod()


def test_images_of_the_datas_distribution_are_left_where_they_are(generator):
    data = exact(0.2, 0.3)
    assert_close(pushed(data, data, data, generator), torch.zeros(SHAPE, dtype=torch.float64))


@pytest.mark.parametrize("shift", [-0.5, 0.5])
def test_images_of_another_mean_are_pushed_back(shift, generator):
    """By (D_data − D_G), which is −shift s²/(s² + b²) everywhere, over the teacher's mean error."""
    data, own = exact(0.2, 0.3), exact(0.2 + shift, 0.3)
    moved = pushed(own, data, own, generator)
    assert (moved * shift < 0).all()
    each = moved.flatten(1)
    assert_close(each, each[:, :1].expand_as(each))  # an image moves as one
    # The negative control: with the networks exchanged it is pushed away.
    assert (pushed(own, own, data, generator) * shift > 0).all()


def test_only_the_leap_that_is_trained_has_a_gradient(generator):
    data, scale = exact(0.2, 0.3), torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    seen = []

    def student(u, s):
        seen.append((s[0].item(), torch.is_grad_enabled()))
        return scale * data(u, s, None)

    for step in (0, 1):
        objective(data, exact(0.5, 0.3)).losses(student, batch(generator, step)).sum().backward()
    assert [(round(s, 6), learned) for s, learned in seen] == [
        (1.1, True),
        (1.1, False),
        (0.4, True),
    ]


def test_late_in_a_run_images_are_compared_at_lower_levels(generator):
    """Under the same draws."""
    levels = []

    def noted(u, s, labels):
        levels.append(s)
        return exact(0.2, 0.3)(u, s, labels)

    for step in (0, 9):
        made = batch(generator, step, 10)
        made = dataclasses.replace(made, draws=matching_draws(torch.Size(SHAPE), CONFIG, 0))
        assert (made.progress >= LATE) == (step == 9)
        objective(noted, exact(0.3, 0.3)).losses(lambda u, s: u, made)
    assert levels[1].log().mean() < levels[0].log().mean() - 1


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, halves):
    """A trained network to distill."""
    settings = {"recipe": "edm", "levels": (), "images": 16 * 60, "learning_rate": 1e-2}
    return trained(
        halves, tmp_path_factory.mktemp("teacher"), dataclasses.replace(CONFIG, **settings)
    )


def trained(data, out, config, reports=None, **options):
    """Train on the CPU, to the end or for `reports` reports of three steps."""
    progress = train(data, out, config, report_every=3, cpu=True, **options)
    for number, _ in enumerate(progress, 1):
        if number == reports:
            progress.close()
    return load_checkpoint(out)


def test_a_run_resumes_exactly_with_its_partner(teacher, halves, tmp_path):
    networks = {"initial": teacher, "teacher": teacher}
    whole = trained(halves, tmp_path / "one", CONFIG, **networks)
    trained(halves, tmp_path / "two", CONFIG, reports=2, **networks)
    assert (tmp_path / "two" / STATE_FILE).exists()
    resumed = trained(halves, tmp_path / "two", CONFIG, **networks)
    assert_close(resumed.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)
    moved = [
        not torch.equal(own, before)
        for own, before in zip(whole.model.parameters(), teacher.model.parameters(), strict=True)
    ]
    assert any(moved)

    assert whole.config.levels == CONFIG.levels
    for steps in (1, 2):
        *_, last = run(whole, SamplingSettings(sampler="leap", steps=steps, labels=(0, 1)))
        assert last.score_evaluations == steps
        assert (last.x > 0).all()


def test_the_partner_learns_the_students_images(teacher, halves):
    """Which are not the data: a student that answers the mean alone has no variance to find."""
    flat = teacher.model.config.log_mean
    partner = copy.deepcopy(teacher.model).requires_grad_(True).train()
    optimizer = torch.optim.Adam(partner.parameters(), 1e-2)
    matching = FromDistribution(teacher, LEVELS, partner)
    generator, losses = torch.Generator().manual_seed(0), []
    for step in range(30):
        z = normals(generator, 16, 1, 8, 8)
        made = Batch(
            z,
            torch.arange(16) % 2,
            torch.ones(16),
            z,
            step,
            30,
            matching_draws(z.shape, CONFIG, step),
        )
        loss = matching.partner_losses(
            lambda u, s: torch.full_like(u, flat), partial(partner, labels=made.labels), made
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
