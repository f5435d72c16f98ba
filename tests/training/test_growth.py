"""Widening: the same function in more channels, which are then no longer the same."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close

from dale_demo import growth
from dale_demo.growth import originals, widen
from dale_demo.network import Denoiser, UNetConfig

NARROW = UNetConfig(image_size=8, num_classes=3, patch=2, width=32, multipliers=(1, 2))


@pytest.fixture
def narrow():
    """No branch is silent, and what is said varies smoothly with the noise level."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = Denoiser(NARROW).eval()
        for parameter in model.parameters():
            if not parameter.any():
                parameter.data.normal_(0, 0.1)
    embed = model.unet.embed
    embed.hidden.weight.data /= embed.frequencies.repeat(2)
    return model


def widened(narrow, width, seed=0):
    wide = Denoiser(dataclasses.replace(narrow.config, width=width)).eval()
    widen(narrow.unet, wide.unet, torch.Generator().manual_seed(seed))
    return wide


@torch.no_grad()
def said(model):
    """What it predicts of 60 states at all noise levels and of all labels."""
    generator = torch.Generator().manual_seed(5)
    u = torch.randn((60, 1, 8, 8), generator=generator)
    s = torch.exp(torch.linspace(-6, 3, 60))
    return model(u, s, torch.arange(60) % 5 - 1)


def rms(values):
    return values.square().mean().sqrt().item()


@pytest.mark.parametrize("times", [2, 3])
def test_a_multiple_of_the_width_says_the_same(times, narrow):
    wide = widened(narrow, times * narrow.config.width)
    assert rms(said(wide) - said(narrow)) < 0.01 * rms(said(narrow) - said(Denoiser(NARROW)))


def test_another_width_says_roughly_the_same(narrow):
    fresh = Denoiser(dataclasses.replace(NARROW, width=48)).eval()
    errors = [rms(said(wide) - said(narrow)) for wide in (widened(narrow, 48), fresh)]
    assert errors[0] < 0.6 * errors[1]


def test_copies_that_do_not_share_out_say_more(narrow, monkeypatch):
    monkeypatch.setattr(growth, "_shared_out", lambda weight, columns, _: weight[:, columns])
    assert rms(said(widened(narrow, 64)) - said(narrow)) > 0.5 * rms(
        said(narrow) - said(Denoiser(NARROW))
    )


@pytest.mark.parametrize(("spread", "alike"), [(growth.SPREAD, False), (0.0, True)])
def test_copies_learn_different_things(spread, alike, narrow, monkeypatch):
    """With equal shares they would get the same gradient for ever."""
    monkeypatch.setattr(growth, "SPREAD", spread)
    wide = widened(narrow, 64)
    said_with_gradient = wide(torch.ones(4, 1, 8, 8), torch.tensor(0.3), torch.arange(4) % 3)
    said_with_gradient.square().sum().backward()
    gradient = wide.unet.down[0].conv1.weight.grad.sum(1)
    first, copy = (gradient[originals(32, 64, 16).eq(0)][i] for i in (0, 1))
    assert torch.allclose(first, copy, rtol=1e-3) == alike


def test_channels_are_copied_within_their_piece():
    assert originals(4, 8, 2).tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    assert originals(4, 6, 2).tolist() == [0, 1, 0, 2, 3, 2]
    assert originals(6, 12, 1).tolist() == [*range(6), *range(6)]
    assert originals(4, 4, 16).tolist() == [0, 1, 2, 3], "an axis that does not grow"


def test_widening_follows_its_seed_alone(narrow):
    one, again, other = (dict(widened(narrow, 64, seed).named_parameters()) for seed in (0, 0, 1))
    assert_close(one, again, rtol=0, atol=0)
    assert not torch.equal(one["unet.down.1.conv1.weight"], other["unet.down.1.conv1.weight"])
