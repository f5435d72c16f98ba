"""Sampling settings, presets, runs and their starts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from dale_demo.checkpoint.folder import Checkpoint, load_checkpoint
from dale_demo.samplers import SAMPLERS
from dale_demo.sampling import (
    PRESETS,
    SamplingSettings,
    check,
    cycle_labels,
    paper_annealed,
    resolved,
    run,
    sample_images,
)
from tests.tiny_network import save_tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return load_checkpoint(save_tiny(tmp_path_factory.mktemp("tiny")))


def last(checkpoint: Checkpoint, settings: SamplingSettings, **options: object) -> torch.Tensor:
    *_, step = run(checkpoint, settings, **options)
    return step.x


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_slice_of_a_run_is_the_run(checkpoint, sampler):
    settings = SamplingSettings(sampler=sampler, steps=4, labels=(0, -1, 2, 1, 0), guidance=1.5)
    whole = last(checkpoint, settings)
    part = last(checkpoint, settings, indices=[3, 1])
    torch.testing.assert_close(part, whole[[3, 1]], rtol=1e-5, atol=0)


def test_a_run_uses_the_min_noise_level_of_its_network(checkpoint):
    early = replace(checkpoint, config=replace(checkpoint.config, min_noise_level=0.02))
    settings = SamplingSettings(steps=4, labels=(0, 1))
    for network, level in ((checkpoint, 0.005), (early, 0.02)):
        *_, before, end = run(network, settings)
        t = torch.tensor(before.t, dtype=torch.float64)
        assert settings.process.noise_level(t).item() == pytest.approx(level)
        assert end.t == 0
    uniform = replace(settings, grid="uniform")
    assert torch.equal(last(early, uniform), last(checkpoint, uniform))


def test_seed_and_label_and_position_matter(checkpoint):
    settings = SamplingSettings(steps=3, labels=(0, 0))
    x = last(checkpoint, settings)
    assert not torch.allclose(x[0], x[1])
    assert not torch.allclose(x, last(checkpoint, replace(settings, seed=1)))
    assert not torch.allclose(x, last(checkpoint, replace(settings, labels=(1, 1))))


def test_guidance_does_not_change_unconditional_images(checkpoint):
    settings = SamplingSettings(steps=3, labels=(2, -1))
    plain, strong = (last(checkpoint, replace(settings, guidance=w)) for w in (1.0, 3.0))
    torch.testing.assert_close(strong[1], plain[1], rtol=1e-5, atol=0)
    assert not torch.allclose(strong[0], plain[0])


@pytest.mark.parametrize(
    ("settings", "drift"),
    [
        (SamplingSettings(noise_level=0.3), 0.0),
        (SamplingSettings(noise_level=2.0, mu=3.5), 1.5),
    ],
)
@pytest.mark.parametrize("label", [-1, 1])
def test_the_exact_start_has_the_noised_moments_at_each_pixel(checkpoint, settings, drift, label):
    first = next(run(checkpoint, replace(settings, labels=(label,) * 100)))
    model, s = checkpoint.model, torch.tensor(settings.noise_level, dtype=torch.float64)
    mean, std = model.log_means[label].double(), model.log_stds[label].double()
    scores = (first.x.log() - mean - drift) / torch.hypot(std, s)
    assert kstest(scores.flatten(), "norm").pvalue > 0.01
    wrong = (first.x.log() - model.log_means[0].double() - drift) / s
    assert kstest(wrong.flatten(), "norm").pvalue < 1e-3


def test_the_fitted_start_is_the_stored_distribution(checkpoint):
    first = next(run(checkpoint, replace(PRESETS["paper"], labels=(-1,) * 100)))
    scores = (first.x.log() - 0.2) / 0.9
    assert kstest(scores.flatten(), "norm").pvalue > 0.01


def test_class_averaged_start_is_the_noised_average(checkpoint):
    settings = replace(PRESETS["paper"], start="class-averaged", noise_level=0.002)
    x = next(run(checkpoint, replace(settings, labels=(2, 0, -1, -1)))).x
    expected = checkpoint.model.class_averages[[2, 0, 2, 0]].double()
    torch.testing.assert_close(x, expected, rtol=0.02, atol=0)


def levels_of(steps, process):
    """Noise levels at which the network was evaluated."""
    times = torch.tensor([step.t for step in steps], dtype=torch.float64)
    return process.noise_level(times)[:-1].tolist()


LEVELS = ((8.0, 0.5), (8.0, 1.5, 0.6, 0.25), (1.1,))


@pytest.fixture(scope="module")
def few_step(checkpoint):
    return replace(checkpoint, config=replace(checkpoint.config, levels=LEVELS))


@pytest.mark.parametrize("levels", LEVELS)
def test_a_few_step_network_leaps_between_its_own_levels(few_step, levels):
    settings = SamplingSettings(sampler="leap", steps=len(levels), labels=(0, 1))
    own = resolved(few_step.config, settings)
    assert (own.levels, own.noise_level, own.steps) == (levels, levels[0], len(levels))
    assert resolved(few_step.config, own) == own
    steps = list(run(few_step, settings))
    assert levels_of(steps, own.process) == pytest.approx(levels)
    assert steps[-1].score_evaluations == len(levels)


def test_from_a_lower_level_its_levels_are_squeezed_towards_the_last(few_step):
    own = few_step.config.levels_for(4, 2.0)
    assert (own[0], own[-1]) == pytest.approx((2.0, 0.25))
    log, full = np.log(own), np.log(LEVELS[1])
    np.testing.assert_allclose(np.diff(log) / np.diff(full), np.log(8) / np.log(32))
    assert few_step.config.levels_for(4, 0.125) == pytest.approx((0.125, 3 / 128, 3 / 320, 1 / 256))
    assert few_step.config.levels_for(1, 8.0) == (1.1,), "no higher than its own"


def test_any_network_leaps_along_the_grid_or_levels_that_are_given(checkpoint):
    grid = list(run(checkpoint, SamplingSettings(sampler="leap", steps=3, labels=(0,))))
    process = SamplingSettings().process
    assert levels_of(grid, process)[-1] == pytest.approx(checkpoint.config.min_noise_level)
    settings = SamplingSettings(sampler="leap", levels=(2.0, 0.4), labels=(0,))
    assert levels_of(run(checkpoint, settings), settings.process) == pytest.approx((2.0, 0.4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "bridge"}, "bridge needs a network that estimates the posterior mean"),
        ({"sampler": "leap", "steps": 3}, "in so many steps: 1, 2, 4; not in 3"),
    ],
)
def test_what_a_few_step_network_cannot_do_is_refused(few_step, options, message):
    with pytest.raises(ValueError, match=message):
        run(few_step, SamplingSettings(labels=(0,), **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "bridge", "levels": (2.0, 1.0)}, "levels belong to the sampler leap"),
        ({"sampler": "leap", "levels": (1.0, 1.0)}, "must fall"),
        ({"sampler": "leap", "levels": ()}, "1 to 64 noise levels"),
        ({"sampler": "leap", "levels": (50.0,)}, "Each of the levels must be a number from"),
        ({"sampler": "leap", "levels": (2.0, float("nan"))}, "Each of the levels"),
    ],
)
def test_levels_that_cannot_be_leapt_between_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SamplingSettings(labels=(0,), **options)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 3])
def test_evaluations_are_those_counted(checkpoint, sampler, steps):
    settings = SamplingSettings(
        sampler=sampler, steps=steps, labels=(0,), repeats=2, tweedie_steps=4
    )
    *_, step = run(checkpoint, settings)
    assert step.score_evaluations == settings.score_evaluations == settings.network_evaluations
    assert replace(settings, guidance=2.0).network_evaluations == 2 * settings.score_evaluations
    assert (
        replace(settings, guidance=2.0, labels=(-1,)).network_evaluations
        == settings.score_evaluations
    )


@pytest.mark.parametrize("batch_size", [1, 2, 5, 9])
def test_images_do_not_depend_on_the_batch_size(checkpoint, batch_size):
    settings = SamplingSettings(sampler="bridge", steps=3, labels=cycle_labels((0, 1, 2), 5))
    seen = []
    images = sample_images(checkpoint, settings, batch_size=batch_size, watch=seen.append)
    whole = sample_images(checkpoint, settings, batch_size=5)
    assert images.shape == (5, 8, 8, 1)
    assert images.dtype == np.uint8
    np.testing.assert_allclose(images.astype(int), whole.astype(int), atol=1)
    assert len(seen) == math.ceil(5 / batch_size) * 4


def test_presets_have_their_documented_values():
    wide, paper = PRESETS["wide"], PRESETS["paper"]
    assert (wide.sampler, wide.noise_level, wide.steps) == ("multistep-bridge", 8.0, 20)
    assert wide.process.max_noise_level == 8.0
    assert paper.process.mu == pytest.approx(0.32)
    assert (paper.steps, paper.grid, paper.tweedie, paper.score_evaluations) == (
        1000,
        "uniform",
        False,
        1000,
    )


@pytest.mark.parametrize(
    ("dataset", "sampler", "start", "expected"),
    [
        ("mnist", "dale-langevin", "class-averaged", (6.17e-4, 1, 0.995)),
        ("mnist", "unconstrained", "fitted", (1.44e-4, 4, 0.995)),
        ("mnist", "unconstrained", "class-averaged", (1.44e-4, 4, 0.995)),
        ("fashion-mnist", "dale-langevin", "class-averaged", (5.86e-4, 1, 0.995)),
        ("fashion-mnist", "unconstrained", "fitted", (1.47e-3, 3, 0.9995)),
        ("fashion-mnist", "unconstrained", "class-averaged", (2.593e-4, 3, 0.9995)),
        ("kmnist", "dale-langevin", "class-averaged", (2.11e-4, 3, 0.995)),
        ("kmnist", "unconstrained", "fitted", (2.11e-4, 3, 1.0)),
        ("kmnist", "unconstrained", "class-averaged", (3.36e-4, 2, 0.995)),
        ("kmnist-7k", "unconstrained", "class-averaged", (3.36e-4, 2, 0.995)),
    ],
)
def test_annealed_constants_per_data_set_and_start(dataset, sampler, start, expected):
    """The values of the paper's research code, to three or four digits."""
    settings = paper_annealed(dataset, sampler, start)
    assert (settings.step_size, settings.repeats, settings.annealing) == expected
    assert (settings.sampler, settings.start) == (sampler, start)


def test_annealed_constants_that_the_paper_does_not_have():
    assert paper_annealed("kmnist", "unconstrained").start == PRESETS["paper"].start
    with pytest.raises(ValueError, match="no annealed constants"):
        paper_annealed("mnist", "bridge")


def test_labels_repeat_the_classes_in_turn():
    assert cycle_labels((4, 7), 5) == (4, 7, 4, 7, 4)
    assert cycle_labels((), 2) == (-1, -1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sampler": "euler"}, "Unknown sampler 'euler'; choose from dale-langevin"),
        ({"grid": "log"}, "Unknown grid"),
        ({"start": "zero"}, "Unknown start"),
        ({"noise_level": 21.0}, "noise_level must be in"),
        ({"noise_level": float("nan")}, "noise_level must be in"),
        ({"mu": float("inf")}, "mu must be"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"labels": ()}, "at least one image"),
        ({"labels": (0, -2)}, "−1 or more"),
        ({"guidance": float("nan")}, "guidance"),
        ({"seed": -1}, "seed"),
        ({"steps": 10**10}, "steps must be an integer from 1 to 100000"),
        ({"steps": 10**5000}, "an integer of about 5,000 digits"),
        ({"steps": True}, "steps must be"),
        ({"steps": 2.5}, "steps must be"),
        ({"repeats": 10**10}, "repeats must be"),
        ({"sampler": "dale-langevin", "steps": 10**5, "repeats": 99}, "score evaluations must be"),
        ({"guidance": 1e300}, "guidance must be"),
        ({"seed": 2**64}, "seed must be"),
        ({"labels": (0,) * 1_000_001}, "number of images must be"),
        ({"annealing": 1.5}, "annealing"),
        ({"repeats": 0}, "repeats"),
        ({"step_size": 0.0}, "step_size"),
        ({"tweedie_steps": -1}, "tweedie_steps"),
        ({"tweedie_steps": 10**10}, "tweedie_steps must be"),
    ],
)
def test_settings_outside_their_range(fields, message):
    with pytest.raises(ValueError, match=message):
        SamplingSettings(**fields)


def test_settings_that_do_not_fit_the_network(checkpoint):
    with pytest.raises(ValueError, match="Label 3 is not one"):
        check(checkpoint, SamplingSettings(labels=(0, 3)))
    with pytest.raises(ValueError, match=r"belongs to noise level 0\.8"):
        check(checkpoint, SamplingSettings(start="fitted"))
    for indices in ([], [-1], [16]):
        with pytest.raises(ValueError, match="positions of the run's 16 images"):
            run(checkpoint, SamplingSettings(), indices=indices)
    with pytest.raises(ValueError, match="batch_size"):
        sample_images(checkpoint, SamplingSettings(), batch_size=0)


def test_a_network_of_the_papers_recipe_is_not_asked_above_its_noise_levels(checkpoint):
    settings = {"settings": {"recipe": "paper"}}
    paper = replace(checkpoint, config=replace(checkpoint.config, training=settings))
    check(paper, SamplingSettings(noise_level=0.8))
    with pytest.raises(ValueError, match=r"up to 0\.8; 8 is above"):
        check(paper, SamplingSettings())
    check(checkpoint, SamplingSettings(noise_level=20))


def test_more_images_than_memory_holds_are_refused(monkeypatch, tmp_path):
    network = load_checkpoint(save_tiny(tmp_path))
    settings = SamplingSettings(steps=2, labels=(0,) * 10)
    check(network, settings)
    monkeypatch.setattr("dale_demo.sampling.MAX_BYTES", 10 * 64 - 1)
    with pytest.raises(ValueError, match=r"10 images of this network take .* sample fewer"):
        check(network, settings)
