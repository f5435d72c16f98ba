"""The teacher: the better network, led away from the weaker, and a student that learns from it."""

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
def better(tmp_path):
    return load_checkpoint(save_tiny(tmp_path / "better"))


@pytest.fixture
def weaker(tmp_path):
    """The same network with half of each weight."""
    network = load_checkpoint(save_tiny(tmp_path / "weaker"))
    with torch.no_grad():
        for parameter in network.model.parameters():
            parameter /= 2
    return network


@pytest.fixture
def towards(tmp_path):
    """The same network with each weight in another place."""
    network = load_checkpoint(save_tiny(tmp_path / "towards"))
    with torch.no_grad():
        for parameter in network.model.parameters():
            parameter.copy_(parameter.flip(0))
    return network


@pytest.fixture
def noised(generator):
    """x and t of four pictures, and labels of which the last is none."""
    x = torch.randn(4, 1, 8, 8, generator=generator, dtype=torch.float64).exp()
    t = torch.tensor([0.01, 0.3, 1.0, 20.0], dtype=torch.float64)
    return x, t, torch.tensor([0, 1, 2, -1])


def estimates(network, x, t, labels):
    """D by the network itself, without the detour over scores."""
    u = x.log() - PROCESS.log_drift(t).reshape(-1, 1, 1, 1)
    return network.model(u, PROCESS.noise_level(t), labels)


@pytest.mark.parametrize("w", [0.0, 1.0, 2.5])
def test_it_says_the_better_estimate_led_away_from_the_weaker(w, better, weaker, noised):
    x, t, labels = noised
    said = denoise(Teacher(better, weaker, w).score(PROCESS, labels), PROCESS, x, t)
    strong, weak = (estimates(network, x, t, labels).double() for network in (better, weaker))
    assert_close(said, weak + w * (strong - weak), rtol=0, atol=1e-5)
    assert (strong - weak).abs().amax((1, 2, 3)).min() > 0.01  # else any w would do


def test_it_may_be_led_along_the_way_between_two_others(better, weaker, towards, noised):
    x, t, labels = noised
    teacher = Teacher(better, weaker, 1.75, 1.0, towards=towards)
    said = denoise(teacher.score(PROCESS, labels), PROCESS, x, t)
    strong, weak, goal = (
        estimates(network, x, t, labels).double() for network in (better, weaker, towards)
    )
    below = (PROCESS.noise_level(t) <= 1).double().reshape(-1, 1, 1, 1)
    assert 0 < below.sum() < len(t)
    assert_close(said, strong + 0.75 * below * (goal - weak), rtol=0, atol=1e-5)
    assert (goal - strong).abs().amax((1, 2, 3)).min() > 0.01  # else `towards` would be idle


def test_above_its_level_the_better_network_speaks_alone(better, weaker, noised):
    x, t, labels = noised  # noise levels on both sides of 1
    said, alone, led = (
        score(x, t)
        for score in (
            Teacher(better, weaker, 2.5, guidance_below=1.0).score(PROCESS, labels),
            better.model.score(PROCESS, labels),
            Teacher(better, weaker, 2.5).score(PROCESS, labels),
        )
    )
    above = PROCESS.noise_level(t) > 1
    assert 0 < above.sum() < len(t)
    assert_close(said[above], alone[above], rtol=0, atol=1e-6)
    assert torch.equal(said[~above], led[~above])
    assert (said - led)[above].abs().max() > 1e-3


def test_at_the_lowest_levels_it_has_a_guidance_of_its_own(better, weaker, noised):
    x, t, labels = noised  # noise levels on both sides of 0.2 and of 1
    fine, led, back = (
        teacher.score(PROCESS, labels)(x, t)
        for teacher in (
            Teacher(better, weaker, 2.5, 1.0, fine_guidance=0.5, fine_guidance_below=0.2),
            Teacher(better, weaker, 2.5, 1.0),
            Teacher(better, weaker, 0.5),
        )
    )
    lowest = PROCESS.noise_level(t) <= 0.2
    assert 0 < lowest.sum() < (PROCESS.noise_level(t) <= 1).sum() < len(t)
    assert torch.equal(fine[lowest], back[lowest])
    assert torch.equal(fine[~lowest], led[~lowest])
    assert (fine - led)[lowest].abs().max() > 1e-3


def test_no_gradient_reaches_its_networks(better, weaker, noised):
    x, t, labels = noised
    for network in (better, weaker):
        network.model.requires_grad_()
    h = Teacher(better, weaker, 2.0).score(PROCESS, labels)(x, t)
    assert not h.requires_grad
    assert better.model.score(PROCESS, labels)(x, t).requires_grad


def test_its_fingerprint_is_that_of_its_networks_and_the_guidance(better, weaker, towards):
    teachers = [
        Teacher(better, weaker, 2.0),
        Teacher(better, weaker, 1.5),
        Teacher(better, better, 2.0),
        Teacher(weaker, weaker, 2.0),
        Teacher(better, weaker, 2.0, guidance_below=1.0),
        Teacher(better, weaker, 2.0, fine_guidance_below=0.2),
        Teacher(better, weaker, 2.0, fine_guidance=0.5, fine_guidance_below=0.2),
        Teacher(better, weaker, 2.0, towards=towards),
        Teacher(better, towards, 2.0, towards=weaker),
    ]
    assert len({teacher.fingerprint for teacher in teachers}) == 9
    assert Teacher(better, weaker, 2.0).fingerprint == teachers[0].fingerprint


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": "letters"}, "network of tiny cannot be led away from one of letters"),
        ({"class_names": ("c", "b", "a")}, "cannot be led away from one of tiny"),
        ({"positive_map": PositiveMap.EXP}, "another --map"),
    ],
)
def test_a_network_of_something_else_is_refused(change, reason, better, weaker):
    other = dataclasses.replace(weaker, config=dataclasses.replace(weaker.config, **change))
    with pytest.raises(ValueError, match=reason):
        Teacher(better, other, 2.0)
    with pytest.raises(ValueError, match=reason.replace("away from", "towards")):
        Teacher(better, weaker, 2.0, towards=other)
