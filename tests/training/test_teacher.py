"""The teacher: a network guided away from a weaker one, at the noise levels that were asked for."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close

from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.data import PositiveMap
from dale_demo.paper import PROCESS
from dale_demo.score import denoise
from dale_demo.training.teacher import Teacher
from tests.tiny_network import save_tiny


@pytest.fixture
def teacher(tmp_path):
    return load_checkpoint(save_tiny(tmp_path / "teacher"))


@pytest.fixture
def weaker(tmp_path):
    """The same network with half of each weight."""
    network = load_checkpoint(save_tiny(tmp_path / "weaker"))
    with torch.no_grad():
        for parameter in network.model.parameters():
            parameter /= 2
    return network


@pytest.fixture
def noised(generator):
    """x and t of four images, and labels of which the last is none."""
    x = torch.randn(4, 1, 8, 8, generator=generator, dtype=torch.float64).exp()
    t = torch.tensor([0.01, 0.3, 1.0, 20.0], dtype=torch.float64)
    return x, t, torch.tensor([0, 1, 2, -1])


def estimates(network, x, t, labels):
    """D by the network itself, without the detour over scores."""
    u = x.log() - PROCESS.log_drift(t).reshape(-1, 1, 1, 1)
    return network.model(u, PROCESS.noise_level(t), labels)


@pytest.mark.parametrize("w", [0.0, 1.0, 2.5])
def test_its_estimate_is_led_away_from_the_weaker_networks(w, teacher, weaker, noised):
    x, t, labels = noised
    guided = denoise(Teacher(teacher, weaker, w).score(PROCESS, labels), PROCESS, x, t)
    strong, weak = (estimates(network, x, t, labels).double() for network in (teacher, weaker))
    assert_close(guided, weak + w * (strong - weak), rtol=0, atol=1e-5)
    assert (strong - weak).abs().amax((1, 2, 3)).min() > 0.01  # else any w would do


def test_above_its_level_there_is_no_guidance(teacher, weaker, noised):
    x, t, labels = noised  # noise levels on both sides of 1
    limited, alone, guided = (
        score(x, t)
        for score in (
            Teacher(teacher, weaker, 2.5, guidance_below=1.0).score(PROCESS, labels),
            teacher.model.score(PROCESS, labels),
            Teacher(teacher, weaker, 2.5).score(PROCESS, labels),
        )
    )
    above = PROCESS.noise_level(t) > 1
    assert 0 < above.sum() < len(t)
    assert_close(limited[above], alone[above], rtol=0, atol=1e-6)
    assert torch.equal(limited[~above], guided[~above])
    assert (limited - guided)[above].abs().max() > 1e-3


def test_no_gradient_reaches_its_networks(teacher, weaker, noised):
    x, t, labels = noised
    for network in (teacher, weaker):
        network.model.requires_grad_()
    h = Teacher(teacher, weaker, 2.0).score(PROCESS, labels)(x, t)
    assert not h.requires_grad
    assert teacher.model.score(PROCESS, labels)(x, t).requires_grad


def test_its_fingerprint_is_that_of_its_networks_and_the_guidance(teacher, weaker):
    teachers = [
        Teacher(teacher, weaker, 2.0),
        Teacher(teacher, weaker, 1.5),
        Teacher(teacher, teacher, 2.0),
        Teacher(weaker, weaker, 2.0),
        Teacher(weaker, teacher, 2.0),
        Teacher(teacher, weaker, 2.0, guidance_below=1.0),
    ]
    assert len({teacher.fingerprint for teacher in teachers}) == len(teachers)
    assert Teacher(teacher, weaker, 2.0).fingerprint == teachers[0].fingerprint


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": "letters"}, "network of tiny cannot be guided away from one of letters"),
        ({"class_names": ("c", "b", "a")}, "cannot be guided away from one of tiny"),
        ({"positive_map": PositiveMap.EXP}, "another --map"),
        ({"levels": ((8.0, 1.0),)}, "guidance needs a network that estimates the posterior mean"),
    ],
)
def test_a_network_of_something_else_is_refused(change, reason, teacher, weaker):
    other = dataclasses.replace(weaker, config=dataclasses.replace(weaker.config, **change))
    with pytest.raises(ValueError, match=reason):
        Teacher(teacher, other, 2.0)
