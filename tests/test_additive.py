"""With x = e^pixel everything is additive diffusion of pixels, checked against its own formulas."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch

from dale_demo.checkpoint.card import model_card
from dale_demo.checkpoint.folder import Checkpoint, find_checkpoint, load_checkpoint, load_config
from dale_demo.data import PositiveMap
from dale_demo.datasets import MNIST
from dale_demo.noise import Noise
from dale_demo.paper import PROCESS
from dale_demo.process import LogNormal
from dale_demo.restoration import RestorationSettings, fill, restore
from dale_demo.sampling import SamplingSettings, sample_images
from dale_demo.training.batches import global_batch
from dale_demo.training.config import TrainingConfig
from dale_demo.training.initial import initial_model
from dale_demo.training.run import train
from tests.tiny_network import save_tiny

LABELS = (0, 2, 1, -1)
STEPS = 6


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("additive")
    return load_checkpoint(save_tiny(folder, positive_map=PositiveMap.EXP))


def edm_denoiser(network, x, sigma):
    """D(x; σ) of Karras et al. (2022, eq. 7) for pixels x, around their mean."""
    config = network.model.config
    mean, data = config.log_mean, config.log_std
    norm = (sigma**2 + data**2) ** 0.5
    labels = torch.tensor([k if k >= 0 else network.model.null_label for k in LABELS])
    noise = torch.full((len(x),), np.log(sigma) / 4, dtype=torch.float32)
    residual = network.model.unet(((x - mean) / norm).float(), noise, labels)
    return mean + data**2 / norm**2 * (x - mean) + sigma * data / norm * residual.double()


def sigmas(top: float) -> list[float]:
    """Karras et al. (2022, eq. 5), with ρ = 7 and a last level of 0."""
    low, rho = 0.005, 7
    ramp = np.linspace(0, 1, STEPS)
    return [*(top ** (1 / rho) + ramp * (low ** (1 / rho) - top ** (1 / rho))) ** rho, 0.0]


def edm_heun(network, x, levels, noise):
    """Algorithm 1 of Karras et al. (2022), without churn."""
    for now, later in pairwise(levels):
        slope = (x - edm_denoiser(network, x, now)) / now
        euler = x + (later - now) * slope
        if later == 0:
            return euler
        slope = (slope + (euler - edm_denoiser(network, euler, later)) / later) / 2
        x = x + (later - now) * slope
    return x


def dpm_solver(network, x, levels, noise, stochastic=False):
    """DPM-Solver++(2M) or SDE-DPM-Solver++(2M) of Lu et al. (2022) with α = 1, and D at last."""
    before, h_before = None, None
    for now, later in pairwise(levels):
        d = edm_denoiser(network, x, now)
        if later == 0:
            return d
        h = np.log(now / later)
        mixed = d if before is None else d + h / (2 * h_before) * (d - before)
        if stochastic:
            new = -np.expm1(-2 * h)
            x = later / now * np.exp(-h) * x + new * mixed + later * new**0.5 * noise()
        else:
            x = later / now * x - np.expm1(-h) * mixed
        before, h_before = d, h
    return x


@torch.inference_mode()
@pytest.mark.parametrize(
    ("sampler", "additive"),
    [
        ("probability-flow", edm_heun),
        ("multistep", dpm_solver),
        ("multistep-bridge", partial(dpm_solver, stochastic=True)),
    ],
)
def test_samplers_are_those_of_additive_diffusion(network, sampler, additive):
    settings = SamplingSettings(sampler=sampler, steps=STEPS, labels=LABELS, seed=3)
    images = sample_images(network, settings, batch_size=4)
    model, levels = network.model, sigmas(settings.noise_level)
    noise = Noise(3, range(4), (1, 8, 8))
    z = noise()
    rows = list(LABELS)  # the last moments are those of the null label
    spread = torch.hypot(model.log_stds[rows].double(), torch.tensor(levels[0]))
    start = model.log_means[rows].double() + spread * z
    pixels = additive(network, start, levels, noise).clamp(0, 1) * 255
    expected = pixels.permute(0, 2, 3, 1).numpy()
    assert np.ptp(expected) > 100
    np.testing.assert_allclose(images, expected, atol=0.51)
    shift = replace(network, config=replace(network.config, positive_map=PositiveMap.SHIFT))
    others = sample_images(shift, settings, batch_size=4)
    assert np.abs(others - expected).max() > 5, "another map gives other images"


def test_training_is_that_of_additive_diffusion(halves, tmp_path):
    """Loss of the first step: EDM's weight on the error of raw pixels, noised additively."""
    data = replace(halves, positive_map=PositiveMap.EXP)
    config = TrainingConfig(images=16, batch_size=16, width=16, multipliers=(1,), seed=4)
    (progress,) = train(data, tmp_path / "net", config, cpu=True)
    x0, labels, t, z = global_batch(data, config, 0)
    model = initial_model(config, data).train()
    clean, sigma = x0.log(), PROCESS.noise_level(t)
    raw = {tuple(image.flatten().tolist()) for image in halves.images}
    assert {tuple(p.flatten().tolist()) for p in (255 * clean).round().long()} <= raw
    noised = clean + sigma.reshape(-1, 1, 1, 1) * z
    error = (model(noised, sigma, labels) - clean).square().flatten(1).mean(1)
    s_d = (halves.images / 255).double().std(correction=0)
    weight = (sigma**2 + s_d**2) / (sigma * s_d) ** 2
    assert progress.loss == pytest.approx((weight * error).mean().item(), rel=1e-4)

    loaded = load_checkpoint(tmp_path / "net").config
    assert loaded.positive_map is PositiveMap.EXP
    assert loaded.data_distribution.log_mean == pytest.approx((halves.images / 255).mean().item())


def test_the_bundled_baseline_differs_from_ours_in_the_map_only():
    """And its card names it as additive diffusion."""
    folder = find_checkpoint("mnist").parent / "baselines" / "mnist"
    baseline, ours = load_config(folder), load_config(find_checkpoint("mnist"))
    assert baseline.positive_map is PositiveMap.EXP
    moments = {
        "log_mean": ours.data_distribution.log_mean,
        "log_std": ours.data_distribution.log_std,
    }
    assert replace(baseline.network, **moments) == ours.network
    same, other = ours.runs[0]["command"].split(), baseline.training["command"].split()
    assert [word for word in other if word not in same] == [
        "--map",
        "exp",
        "checkpoints/baselines/mnist",
    ]
    assert (folder / "README.md").read_text() == model_card(baseline)
    assert "# Additive diffusion on MNIST" in model_card(baseline)
    assert "# Multiplicative diffusion on MNIST" in model_card(ours)


def test_the_papers_start_is_only_for_the_papers_map(halves):
    from dale_demo import paper

    named = replace(halves, name="mnist")
    assert paper.start(named) == LogNormal(*MNIST.fitted_start)
    additive = replace(named, positive_map=PositiveMap.EXP)
    assert paper.start(additive) == LogNormal.terminal(PROCESS, additive.fit_log_normal())


def test_restoration_refuses_a_network_of_another_map(network):
    x0 = torch.ones(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"1 \+ pixel; this network was trained on e\^pixel"):
        restore(network, x0, RestorationSettings(steps=1))
    with pytest.raises(ValueError, match="trained on"):
        fill(network, x0[0], torch.ones(8, 8).bool(), steps=1, answers=1, seed=0)
