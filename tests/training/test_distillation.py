"""Distillation: a student of its teacher's trajectories, which needs few evaluations."""

import dataclasses

import pytest
from torch.testing import assert_close

from dale_demo.checkpoint.card import model_card
from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.sampling import SamplingSettings, run
from dale_demo.training.config import TrainingConfig
from dale_demo.training.continuation import continued
from dale_demo.training.run import train

LEARNT = TrainingConfig(
    images=16 * 60, batch_size=16, warmup=32, ema=0.9, width=16, multipliers=(1,), seed=4
)
LEARNT = dataclasses.replace(LEARNT, learning_rate=1e-2)
LEVELS = ((2.0, 0.4), (2.0,))
DISTILLED = dataclasses.replace(
    LEARNT, images=16 * 100, learning_rate=5e-3, recipe="consistency", levels=LEVELS
)


def trained(data, out, config, reports=None, **options):
    """Train on the CPU, to the end or for `reports` reports of ten steps; losses and network."""
    losses, progress = [], train(data, out, config, report_every=10, cpu=True, **options)
    for report in progress:
        losses.append(report.loss)
        if len(losses) == reports:
            progress.close()
    return losses, load_checkpoint(out)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, halves):
    return trained(halves, tmp_path_factory.mktemp("teacher"), LEARNT)[1]


def test_a_student_learns_consistency_and_its_levels(teacher, halves, tmp_path):
    record = {"command": "distill"}
    losses, student = trained(
        halves, tmp_path / "net", DISTILLED, initial=teacher, teacher=teacher, record=record
    )
    still = dataclasses.replace(DISTILLED, learning_rate=1e-9)
    unmoved, _ = trained(halves, tmp_path / "still", still, initial=teacher, teacher=teacher)
    # The gap closes on the way, so that the loss falls by itself; it must fall further.
    assert sum(losses[5:]) < 0.85 * sum(unmoved[5:])
    assert student.config.levels == LEVELS
    assert student.config.runs == [teacher.config.training, student.config.training]
    for steps in (1, 2):
        *_, last = run(student, SamplingSettings(sampler="leap", steps=steps, labels=(0, 1)))
        assert last.score_evaluations == steps
    card = model_card(student.config)
    assert "This network needs few evaluations" in card
    assert "| Noise levels of 2 leaps | 2, 0.4 |" in card
    assert "distilled a teacher" in card
    assert "few evaluations" not in model_card(teacher.config)


def test_it_resumes_exactly_under_the_same_teacher_alone(teacher, halves, tmp_path):
    networks = {"initial": teacher, "teacher": teacher}
    _, whole = trained(halves, tmp_path / "one", DISTILLED, **networks)
    trained(halves, tmp_path / "two", DISTILLED, reports=2, **networks)
    other = trained(halves, tmp_path / "other", dataclasses.replace(LEARNT, images=32))[1]
    with pytest.raises(CheckpointError, match="another teacher"):
        trained(halves, tmp_path / "two", DISTILLED, initial=teacher, teacher=other)
    _, resumed = trained(halves, tmp_path / "two", DISTILLED, **networks)
    assert_close(resumed.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)


def test_what_cannot_be_distilled_is_refused(teacher, halves, tmp_path):
    few_step = dataclasses.replace(
        teacher, config=dataclasses.replace(teacher.config, levels=LEVELS)
    )
    with pytest.raises(ValueError, match="distillation needs a network that"):
        train(halves, tmp_path / "net", DISTILLED, teacher=few_step)
    for options in ({}, {"teacher": teacher, "weaker": teacher}):
        with pytest.raises(ValueError, match="takes one teacher"):
            train(halves, tmp_path / "net", DISTILLED, **options)
    for settings in ({"recipe": "edm"}, {"levels": ()}):
        with pytest.raises(ValueError, match="levels are what distillation is for"):
            dataclasses.replace(DISTILLED, **settings)


def test_a_few_step_network_is_not_trained_further(teacher, halves, tmp_path):
    short = dataclasses.replace(DISTILLED, images=16)
    trained(halves, tmp_path, short, initial=teacher, teacher=teacher)
    with pytest.raises(ValueError, match="further training needs a network that"):
        continued(tmp_path, 10_000, {})
