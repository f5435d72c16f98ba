"""Layers: moments and signs of log-normal starts, split parameters, Dale columns."""

import math

import pytest
import torch
from torch.testing import assert_close

from dale_demo.plasticity import (
    DaleLinear,
    ExponentiatedGradient,
    Split,
    SplitLinear,
    log_normal_,
)
from dale_demo.plasticity.layers import log_normal_parameters


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_log_std_at_the_papers_ratio():
    """σ_ln = √ln(1 + 1/1.5²) = .606."""
    _, log_std = log_normal_parameters(100)
    assert log_std == pytest.approx(0.606, abs=5e-4)


@pytest.mark.parametrize("ratio", [0.5, 1.5, 4.0])
def test_moments_of_the_start(ratio):
    w = log_normal_(torch.empty(400, 500), gain=2.0, ratio=ratio, generator=generator())
    magnitude = w.abs().double()
    assert (magnitude.mean() / magnitude.std()).item() == pytest.approx(ratio, rel=0.02)
    assert w.square().mean().item() == pytest.approx(2.0**2 / 500, rel=0.05)
    assert (w > 0).float().mean().item() == pytest.approx(0.5, abs=0.01)


def test_signs_of_the_start():
    columns = log_normal_(torch.empty(30, 40), signs="columns", generator=generator()).sign()
    assert_close(columns, columns[:1].expand(30, 40))
    assert columns[0].unique().tolist() == [-1, 1]
    scattered = log_normal_(torch.empty(30, 40), signs="random", generator=generator()).sign()
    assert (scattered != scattered[:1]).any(0).all()


def test_a_split_bias_crosses_zero_though_its_parts_do_not():
    bias = Split((3,), 0.1)
    assert_close(bias().detach(), torch.zeros(3))
    optimizer = ExponentiatedGradient(bias.parameters(), lr=0.5)
    target = torch.tensor([1.0, -1.0, 0.0])
    crossed = []
    for goal in (target, -target):
        for _ in range(200):
            optimizer.zero_grad()
            (bias() - goal).square().sum().backward()
            optimizer.step()
        crossed.append(bias().detach())
    assert_close(torch.stack(crossed), torch.stack([target, -target]), atol=0.01, rtol=0)
    assert (bias.parts[0] > 0).all()
    assert (bias.parts[1] < 0).all()


def test_descent_on_a_split_weight_is_descent_at_twice_the_rate():
    x, y = torch.randn(20, 5, generator=generator()), torch.randn(20, generator=generator(1))
    split, w = SplitLinear(5, 0.3), torch.zeros(5, requires_grad=True)
    optimizers = torch.optim.SGD(split.parameters(), lr=0.01), torch.optim.SGD([w], lr=0.02)
    for _ in range(10):
        for optimizer, output in zip(optimizers, (split(x), x @ w), strict=True):
            optimizer.zero_grad()
            (output - y).square().mean().backward()
            optimizer.step()
    assert_close(split.weight().detach(), w.detach())


@pytest.mark.parametrize(
    ("build", "keeps"), [(ExponentiatedGradient, True), (torch.optim.SGD, False)]
)
def test_columns_keep_their_sign_under_eg_and_not_under_descent(build, keeps):
    layer = DaleLinear(20, 10, generator=generator())
    start = layer.weight.detach().sign()
    optimizer = build(layer.parameters(), lr=1.0)
    x, y = torch.rand(50, 20, generator=generator(1)), torch.randn(50, 10, generator=generator(2))
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.huber_loss(layer(x), y, reduction="sum").backward()
        optimizer.step()
    assert torch.equal(layer.weight.sign(), start) == keeps
    one_sign = (layer.weight.sign() == layer.weight.sign()[:1]).all()
    assert bool(one_sign) == keeps


@pytest.mark.parametrize(
    "build",
    [
        lambda: DaleLinear(0, 3),
        lambda: DaleLinear(3, 0),
        lambda: DaleLinear(3, 3, ratio=0.0),
        lambda: DaleLinear(3, 3, gain=math.nan),
        lambda: DaleLinear(3, 3, signs="rows"),
        lambda: log_normal_(torch.empty(3)),
        lambda: Split((0,), 0.1),
        lambda: Split((3,), 0.0),
        lambda: log_normal_parameters(0),
    ],
)
def test_mistakes_are_explained(build):
    with pytest.raises(ValueError, match="got"):
        build()
