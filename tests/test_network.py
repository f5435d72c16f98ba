"""The network: its preconditioning, labels, shapes and conversions."""

import dataclasses
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from dale_demo.network import (
    MAX_NOISE_LEVEL,
    MAX_SIZE,
    MIN_NOISE_LEVEL,
    Denoiser,
    UNetConfig,
    outline,
)
from dale_demo.process import GeometricBrownianMotion, LogNormal
from dale_demo.score import denoise, log_normal_score

ROOT = Path(__file__).resolve().parents[1]
PROCESS = GeometricBrownianMotion(mu=0.3, sigma=1.2, horizon=2.0)


class Constant(nn.Module):
    """In place of the U-Net: returns 0.7 and keeps its arguments."""

    def forward(self, x, noise, labels):
        self.x, self.noise, self.labels = x, noise, labels
        return torch.full_like(x, 0.7)


def images(generator, n, config):
    return torch.randn((n, *config.image_shape), generator=generator, dtype=torch.float64)


def test_an_untrained_network_is_the_exact_score_of_log_normal_data(tiny_config, generator):
    """F = 0 at the start, and c_skip is then the posterior mean of N(ȳ, s_d²)."""
    model = Denoiser(tiny_config).eval()
    data = LogNormal(tiny_config.log_mean, tiny_config.log_std)
    x, t = images(generator, 4, tiny_config).exp(), torch.tensor([0.01, 0.1, 1.0, 2.0]).double()
    with torch.inference_mode():
        ours = denoise(model.score(PROCESS), PROCESS, x, t)
    assert_close(ours, denoise(log_normal_score(PROCESS, data), PROCESS, x, t), rtol=0, atol=1e-6)
    other = LogNormal(tiny_config.log_mean, 2 * tiny_config.log_std)
    assert (denoise(log_normal_score(PROCESS, other), PROCESS, x, t) - ours).abs().max() > 0.05


@pytest.mark.parametrize("s", [0.002, 0.2, 20.0])
def test_preconditioning_follows_its_equation(s, tiny_config, generator):
    model, mean, s_d = Denoiser(tiny_config), tiny_config.log_mean, tiny_config.log_std
    model.unet = unet = Constant()
    y0 = mean + s_d * images(generator, 500, tiny_config)
    u = y0 + s * images(generator, 500, tiny_config)
    d = model(u, torch.tensor(s, dtype=torch.float64))
    expected = mean + s_d**2 / (s**2 + s_d**2) * (u - mean) + s * s_d * 0.7 / math.hypot(s, s_d)
    assert_close(d, expected.float(), rtol=0, atol=1e-5)
    assert unet.x.std().item() == pytest.approx(1, abs=0.02)
    assert unet.x.mean().item() == pytest.approx(0, abs=0.02)
    assert_close(unet.noise, torch.full((500,), math.log(s) / 4))


def test_preconditioning_at_both_ends(tiny_config, generator):
    model = Denoiser(tiny_config)
    model.unet = Constant()
    u = images(generator, 2, tiny_config)
    quiet, loud = (model(u, torch.tensor(s)) for s in (MIN_NOISE_LEVEL, MAX_NOISE_LEVEL))
    assert_close(quiet, u.float(), rtol=0, atol=3 * MIN_NOISE_LEVEL)
    plateau = torch.full_like(loud, tiny_config.log_mean + 0.7 * tiny_config.log_std)
    assert_close(loud, plateau, rtol=0, atol=1e-3)
    assert torch.equal(model(u, torch.tensor(0.0)), quiet)  # s → 0 and s → ∞ are clamped
    assert torch.equal(model(u, torch.tensor(1e6)), loud)
    assert not torch.allclose(model(u, torch.tensor(0.2)), quiet, atol=0.1)


def test_extreme_states_stay_finite(tiny_denoiser, tiny_config):
    u = torch.tensor([-700.0, 700.0], dtype=torch.float64).reshape(2, 1, 1, 1)
    u = u.expand(2, *tiny_config.image_shape)
    for s in (MIN_NOISE_LEVEL, MAX_NOISE_LEVEL):
        assert tiny_denoiser(u, torch.tensor(s)).isfinite().all()


def test_null_label_minus_one_and_none_are_the_same(tiny_denoiser, tiny_config, generator):
    u, s = images(generator, 2, tiny_config), torch.tensor([0.1, 1.0])
    none = tiny_denoiser(u, s)
    assert tiny_denoiser.null_label == 3
    assert torch.equal(tiny_denoiser(u, s, torch.tensor([-1, -1])), none)
    assert torch.equal(tiny_denoiser(u, s, torch.tensor([3, 3])), none)
    for label in range(3):
        assert not torch.allclose(tiny_denoiser(u, s, torch.tensor([label] * 2)), none, atol=1e-4)
    mixed = tiny_denoiser(u, s, torch.tensor([-1, 1]))
    assert_close(mixed[0], none[0])
    assert not torch.allclose(mixed[1], none[1], atol=1e-4)


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("multipliers", [(1,), (1, 2), (1, 7)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_patch_and_number_of_levels_keeps_the_shape(patch, multipliers, channels, generator):
    config = UNetConfig(
        image_size=8, image_channels=channels, patch=patch, width=16, multipliers=multipliers
    )
    model, u = Denoiser(config).eval(), images(generator, 2, config)
    d = model(u, torch.tensor([0.1, 1.0]), torch.tensor([0, -1]))
    assert d.shape == u.shape
    assert d.dtype == torch.float32
    assert model.class_averages.shape == (10, channels, 8, 8)


def test_every_parameter_is_used(tiny_denoiser, tiny_config, generator):
    tiny_denoiser.requires_grad_(True)
    u = images(generator, 4, tiny_config)
    labels = torch.tensor([0, 1, 2, -1])
    tiny_denoiser(u, torch.tensor(0.3), labels).square().sum().backward()
    for name, parameter in tiny_denoiser.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_network_score_and_denoiser_round_trip(tiny_denoiser, tiny_config, generator):
    labels = torch.tensor([0, -1, 2])
    x = images(generator, 3, tiny_config).exp()
    t = PROCESS.time(torch.tensor([MIN_NOISE_LEVEL, 0.3, 1.6], dtype=torch.float64))
    s = PROCESS.noise_level(t)
    d = denoise(tiny_denoiser.score(PROCESS, labels), PROCESS, x, t)
    u = x.log() - (0.3 - 0.72) * t.reshape(-1, 1, 1, 1)
    assert_close(d, tiny_denoiser(u, s, labels).double(), rtol=0, atol=1e-6)
    assert (d - tiny_denoiser(x.log(), s, labels)).abs().max() > 0.01  # the drift matters


def test_guidance_combines_conditional_and_unconditional(tiny_denoiser, tiny_config, generator):
    labels, x = torch.tensor([0, 2]), images(generator, 2, tiny_config).exp()
    t = torch.tensor([0.1, 1.0], dtype=torch.float64)
    conditional = tiny_denoiser.score(PROCESS, labels)(x, t)
    plain = tiny_denoiser.score(PROCESS)(x, t)
    guided = tiny_denoiser.score(PROCESS, labels, guidance=3.0)(x, t)
    assert_close(guided, plain + 3 * (conditional - plain))
    assert not torch.allclose(guided, conditional)
    assert torch.equal(tiny_denoiser.score(PROCESS, None, guidance=3.0)(x, t), plain)


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": 9},
        {"image_size": 0},
        {"image_size": 8.0},
        {"image_channels": True},
        {"num_classes": -1},
        {"patch": 16},
        {"width": 24},
        {"width": MAX_SIZE + 16},
        {"multipliers": ()},
        {"multipliers": (1, 0)},
        {"multipliers": (1, 2, 2, 2)},
        {"multipliers": (1,) * 9},
        {"multipliers": 2},
        {"image_size": 1, "patch": 1, "multipliers": (1,)},
        {"image_size": 8, "patch": 8, "multipliers": (1,)},
        {"image_channels": 2},
        {"image_channels": 4},
        {"log_std": 5e-324},
        {"log_std": 1e200},
        {"log_std": True},
        {"log_mean": 10**309},
        {"log_mean": "0"},
        {"log_std": 0.0},
        {"log_std": math.nan},
        {"log_mean": math.inf},
        {"dropout": 1.0},
        {"dropout": -0.1},
    ],
)
def test_configurations_that_describe_no_network_raise(change, tiny_config):
    with pytest.raises(ValueError, match=r"must be|needs|divisible"):
        dataclasses.replace(tiny_config, **change)


def test_levels_given_as_a_list_are_the_same_configuration(tiny_config):
    assert dataclasses.replace(tiny_config, multipliers=[1, 2]) == tiny_config


def test_an_outline_has_shapes_and_no_memory(tiny_config):
    """And making one does not import PyTorch's compiler, which takes seconds."""
    whole, outlined = Denoiser(tiny_config).state_dict(), outline(tiny_config).state_dict()
    assert {k: (v.shape, v.dtype) for k, v in outlined.items()} == {
        k: (v.shape, v.dtype) for k, v in whole.items()
    }
    assert all(tensor.is_meta for tensor in outlined.values())
    code = (
        "import sys; from dale_demo.network import UNetConfig, outline; "
        "outline(UNetConfig()); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
