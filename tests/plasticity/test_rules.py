"""Learning rules: they keep signs, match their formulas, and behave as PyTorch optimisers."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from torch.testing import assert_close

from dale_demo.plasticity import (
    ExponentiatedAdam,
    ExponentiatedGradient,
    NonFiniteGradientError,
    SignConstrainedSGD,
)
from dale_demo.plasticity.rules import EXPONENT_LIMIT
from dale_demo.plasticity.updates import subtract

RULES = {
    "eg": lambda p, **k: ExponentiatedGradient(p, **{"lr": 0.1, **k}),
    "eg-momentum": lambda p, **k: ExponentiatedGradient(
        p, **{"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, **k}
    ),
    "eg-total": lambda p, **k: ExponentiatedGradient(p, **{"lr": 0.1, "total": 3.0, **k}),
    "eg-noise": lambda p, **k: ExponentiatedGradient(
        p, **{"lr": 0.1, "momentum": 0.9, "noise": 0.3, "seed": 1, **k}
    ),
    "eg-adam": lambda p, **k: ExponentiatedAdam(p, **{"lr": 0.1, "weight_decay": 0.01, **k}),
    "eg-adam-noise": lambda p, **k: ExponentiatedAdam(p, **{"lr": 0.1, "noise": 0.3, **k}),
    "sign-constrained": lambda p, **k: SignConstrainedSGD(
        p, **{"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, **k}
    ),
}
every_rule = pytest.mark.parametrize("rule", RULES)
gradients = st.lists(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=6, max_size=6),
    min_size=1,
    max_size=8,
)


def parameter(values) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.as_tensor(values).clone())


def weights(count: int = 6) -> torch.Tensor:
    return torch.linspace(0.1, 2, count) * (-1.0) ** torch.arange(count)


def run(optimizer, stream) -> None:
    """Feed the same gradient to every parameter, step after step."""
    for gradient in stream:
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.as_tensor(gradient).reshape(p.shape)
        optimizer.step()


@every_rule
@settings(max_examples=30, deadline=None)
@given(stream=gradients, foreach=st.booleans(), lr=st.sampled_from([1e-6, 0.1, 1e6]))
def test_no_gradient_changes_a_sign(rule, stream, foreach, lr):
    w = parameter(weights())
    before = w.detach().sign()
    run(RULES[rule]([w], lr=lr, foreach=foreach), stream)
    assert_close(w.detach().sign(), before)
    assert w.isfinite().all()


@pytest.mark.parametrize("size", [1.0, 1e10, 1e38])
def test_on_the_same_stream_gradient_descent_flips_signs(size):
    stream = [weights() * size, weights() * -size, weights() * size]
    for build in (*RULES.values(), torch.optim.SGD):
        w = parameter(weights() * 0.05)
        run(build([w], lr=0.1), stream)
        kept = bool((w.sign() == weights().sign()).all())
        assert kept == (build is not torch.optim.SGD)


@every_rule
@pytest.mark.parametrize("foreach", [False, True])
def test_a_zero_weight_stays_zero(rule, foreach):
    w = parameter([0.0, 1.0, -1.0])
    run(RULES[rule]([w], foreach=foreach), torch.tensor([[3e38, 3e38, -3e38]] * 4))
    assert w[0] == 0
    assert (w[1:] != 0).all()


def test_step_is_the_formula():
    w, d = parameter(weights()), torch.randn(6, generator=torch.Generator().manual_seed(0))
    run(ExponentiatedGradient([w], lr=0.3, weight_decay=0.5), [d])
    assert_close(w.detach(), weights() * torch.exp(-0.3 * weights().sign() * d - 0.3 * 0.5))


def test_momentum_acts_on_the_direction():
    w, first, second = parameter(weights()), torch.full((6,), 0.4), torch.full((6,), -0.1)
    run(ExponentiatedGradient([w], lr=0.2, momentum=0.9), [first, second])
    moved = first + (0.9 * first + second)
    assert_close(w.detach(), weights() * torch.exp(-0.2 * weights().sign() * moved))


def test_adam_variant_moves_ln_w_along_adams_direction():
    """Adam itself, run on a variable z, gives the direction, in which ln|w| then moves."""
    w, z = parameter(weights().double()), parameter(torch.zeros(6, dtype=torch.float64))
    generator = torch.Generator().manual_seed(1)
    stream = [torch.randn(6, generator=generator, dtype=torch.float64) for _ in range(5)]
    run(ExponentiatedAdam([w], lr=0.05), stream)
    run(torch.optim.Adam([z], lr=0.05), stream)
    start = weights().double()
    expected = start * torch.exp(start.sign() * z.detach())
    assert_close(w.detach(), expected, rtol=1e-5, atol=0)  # step counts are float32


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("limit", [EXPONENT_LIMIT, 0.5])
def test_one_step_multiplies_at_most_by_exp_of_the_limit(sign, limit):
    w = parameter([2.0])
    run(ExponentiatedGradient([w], lr=1.0, exponent_limit=limit), [[-sign * 1e30]])
    assert_close(w.item(), 2.0 * math.exp(sign * limit), rtol=1e-5, atol=0)


def test_magnitudes_stay_within_normal_numbers():
    w = parameter([1.0, 1.0])
    run(ExponentiatedGradient([w], lr=1.0), [[1e30, -1e30]] * 50)
    kind = torch.finfo(torch.float32)
    assert_close(w.detach(), torch.tensor([kind.tiny, kind.max]))


def test_total_is_kept():
    w = parameter(weights())
    run(ExponentiatedGradient([w], lr=0.5, total=3.0), torch.randn(20, 6))
    assert_close(w.detach().abs().sum(), torch.tensor(3.0))


def test_sign_constrained_step_is_sgd_where_nothing_crosses():
    start, d = torch.tensor([1.0, -1.0, 0.1]), torch.tensor([0.5, 0.5, 5.0])
    w = parameter(start)
    run(SignConstrainedSGD([w], lr=0.1, floor=1e-6), [d])
    assert_close(w.detach(), torch.tensor([0.95, -1.05, 1e-6]))


# Against independent routes. --------------------------------------------------------------------


def test_agrees_to_first_order_with_descent_scaled_by_the_magnitude():
    """|w exp(−η sign(w) d) − (w − η|w|d)| falls as η²."""
    generator = torch.Generator().manual_seed(0)
    start, d = (torch.randn(50, generator=generator, dtype=torch.float64) for _ in range(2))
    rates, errors = np.geomspace(1e-4, 1e-1, 7), []
    for rate in rates:
        w = parameter(start)
        run(ExponentiatedGradient([w], lr=rate), [d])
        errors.append((w.detach() - (start - rate * start.abs() * d)).norm().item())
    slope = np.polyfit(np.log(rates), np.log(errors), 1)[0]
    assert slope == pytest.approx(2, abs=0.05)


def entropy(w: float) -> float:
    return abs(w) * math.log(abs(w))


def slope_of_entropy(w: float) -> float:
    """∇φ by central differences, so that no formula of the package is used."""
    h = 1e-6 * abs(w)
    return (entropy(w + h) - entropy(w - h)) / (2 * h)


@pytest.mark.parametrize("w", [0.3, -0.3, 2.0, -5.0])
@pytest.mark.parametrize("d", [-2.0, 0.1, 1.5])
def test_is_mirror_descent(w, d):
    """Both forms of the mirror step, solved numerically from φ(w) = |w| ln|w| alone.

    The dual form ∇φ(w') = ∇φ(w) − ηd by root finding; the proximal form
    min ηd·v + φ(v) − φ(w) − ∇φ(w)(v − w) by minimisation.
    """
    eta, sign, slope = 0.2, math.copysign(1, w), slope_of_entropy(w)
    dual = brentq(lambda m: slope_of_entropy(sign * m) - slope + eta * d, 1e-3, 50, xtol=1e-12)

    def proximal(m: float) -> float:
        v = sign * m
        return eta * d * v + entropy(v) - entropy(w) - slope * (v - w)

    nearest = minimize_scalar(
        proximal, bounds=(1e-3, 50), method="bounded", options={"xatol": 1e-9}
    )
    p = parameter(torch.tensor([w], dtype=torch.float64))
    run(ExponentiatedGradient([p], lr=eta), [torch.tensor([d], dtype=torch.float64)])
    assert p.item() == pytest.approx(sign * dual, rel=1e-6)
    assert p.item() == pytest.approx(sign * nearest.x, rel=1e-5)


# In narrow types. -------------------------------------------------------------------------------

NARROW = {"float16": (torch.float16, 2.0**-24), "bfloat16": (torch.bfloat16, 2.0**-126)}
"""Types, each with the smallest magnitude that a weight may be given."""
narrow_types = pytest.mark.parametrize(("dtype", "least"), NARROW.values(), ids=NARROW.keys())


@every_rule
@narrow_types
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0, 1e4])
def test_a_narrow_step_is_the_float32_step_rounded(rule, dtype, least, foreach, size):
    """Each of ten steps, from the same weights, under gradients that float16 can hold."""
    narrow = parameter(weights(40).to(dtype))
    wide = parameter(narrow.detach().float())
    rules = [RULES[rule]([p], foreach=foreach) for p in (narrow, wide)]
    generator = torch.Generator().manual_seed(5)
    for _ in range(10):
        wide.data.copy_(narrow.detach())
        gradient = (torch.randn(40, generator=generator) * size).to(dtype)
        for p, optimizer in zip((narrow, wide), rules, strict=True):
            p.grad = gradient.to(p.dtype)
            optimizer.step()
        moved = wide.detach()
        expected = moved.sign() * moved.abs().clamp(least, torch.finfo(dtype).max)
        assert_close(narrow.detach(), expected.to(dtype), rtol=torch.finfo(dtype).eps, atol=0)


@every_rule
@narrow_types
@settings(max_examples=20, deadline=None)
@given(
    stream=st.lists(
        st.lists(st.floats(-60000, 60000, width=16), min_size=6, max_size=6), min_size=1, max_size=8
    ),
    foreach=st.booleans(),
    lr=st.sampled_from([1e-6, 0.1, 1e6]),
)
def test_no_gradient_changes_a_sign_in_narrow_types(rule, dtype, least, stream, foreach, lr):
    w = parameter(weights().to(dtype))
    before = w.detach().sign()
    run(RULES[rule]([w], lr=lr, foreach=foreach), torch.tensor(stream).to(dtype))
    assert_close(w.detach().sign(), before)
    assert w.isfinite().all()
    assert w.abs().min() >= least


def test_the_formula_alone_would_lose_signs_in_float16():
    """The negative control: what the rules did before they computed in float32."""
    w, gradient = weights().half(), 5 * weights().half()
    group = {"lr": 1.0, "weight_decay": 0.0, "floor": 1e-8}
    subtract(w, gradient, group)
    assert (w == 0).all()


@narrow_types
def test_the_total_of_many_narrow_weights_is_kept(dtype, least):
    """Their plain sum, 80,000, is more than float16 holds."""
    w = parameter(torch.full((40_000,), 2.0, dtype=dtype))
    run(ExponentiatedGradient([w], lr=0.1, total=40_000.0), [torch.zeros(40_000, dtype=dtype)])
    assert_close(w.detach(), torch.ones(40_000, dtype=dtype))


@every_rule
@narrow_types
def test_the_state_of_narrow_weights_is_float32_and_survives(rule, dtype, least):
    whole, part = parameter(weights().to(dtype)), parameter(weights().to(dtype))
    stream = random_stream(8, 0).to(dtype)
    run(RULES[rule]([whole]), stream)
    first = RULES[rule]([part])
    run(first, stream[:4])
    second = RULES[rule]([part], lr=123.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert {v.dtype for v in second.state[part].values()} <= {torch.float32}
    run(second, stream[4:])
    assert_close(part.detach(), whole.detach(), rtol=0, atol=0)


# As optimisers. ---------------------------------------------------------------------------------


def random_stream(steps: int, seed: int) -> torch.Tensor:
    return torch.randn(steps, 6, generator=torch.Generator().manual_seed(seed))


@every_rule
def test_foreach_is_the_single_tensor_rule(rule):
    results = []
    for foreach in (False, True):
        ps = [
            parameter(weights()),
            parameter(-weights().reshape(2, 3)),
            parameter(weights().double()),
        ]
        optimizer = RULES[rule](ps[:2], foreach=foreach)
        optimizer.add_param_group({"params": ps[2:], "lr": 0.01})
        generator = torch.Generator().manual_seed(2)
        for _ in range(5):
            for p in ps:
                p.grad = torch.randn(p.shape, generator=generator).to(p.dtype)
            optimizer.step()
        results.append([p.detach() for p in ps])
    assert_close(*results)


@every_rule
def test_state_survives_saving_and_loading(rule):
    """Stopped, saved, loaded and continued equals never stopped."""
    whole, part = parameter(weights()), parameter(weights())
    run(RULES[rule]([whole]), random_stream(8, 0))
    first = RULES[rule]([part])
    run(first, random_stream(8, 0)[:4])
    second = RULES[rule]([part], lr=123.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    run(second, random_stream(8, 0)[4:])
    assert_close(part.detach(), whole.detach(), rtol=0, atol=0)


def test_groups_have_their_own_settings_and_a_closure_is_evaluated():
    fast, slow, still = (parameter([1.0]) for _ in range(3))
    optimizer = ExponentiatedGradient(
        [{"params": [fast], "lr": 1.0}, {"params": [slow, still]}], lr=0.1
    )

    def closure():
        optimizer.zero_grad()
        loss = (fast + slow).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    values = torch.cat([fast, slow, still]).detach()
    assert_close(values, torch.tensor([math.exp(-1), math.exp(-0.1), 1.0]))


def test_a_scheduler_drives_a_tensor_rate():
    w = parameter([1.0])
    optimizer = ExponentiatedGradient([w], lr=torch.tensor(0.1), weight_decay=0.5, foreach=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(2):
        w.grad = torch.ones(1)
        optimizer.step()
        schedule.step()
    assert_close(w.item(), math.exp(-(0.1 + 0.05) * 1.5))


def test_compiles():
    """Traced ahead of time; without the C++ stage, which is slow and not ours."""
    eager, compiled = parameter(weights()), parameter(weights())
    run(RULES["eg-momentum"]([eager]), random_stream(4, 1))
    optimizer = RULES["eg-momentum"]([compiled], lr=torch.tensor(0.1), foreach=True)
    step = torch.compile(optimizer.step, backend="aot_eager")
    for gradient in random_stream(4, 1):
        compiled.grad = gradient
        step()
    assert_close(compiled, eager)
    compiled.grad = torch.full((6,), math.nan)
    with pytest.raises(NonFiniteGradientError):
        step()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every_rule
def test_cuda_agrees_with_the_cpu(rule):
    here, there = parameter(weights()), parameter(weights().cuda())
    run(RULES[rule]([here]), random_stream(5, 3))
    run(RULES[rule]([there]), random_stream(5, 3).cuda())
    assert_close(there.detach().cpu(), here.detach())


# Mistakes. --------------------------------------------------------------------------------------


@every_rule
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_gradient_that_is_not_finite_is_refused_before_any_change(rule, bad):
    ps = [parameter(weights()), parameter(weights())]
    optimizer = RULES[rule](ps)
    ps[0].grad, ps[1].grad = torch.ones(6), torch.tensor([1.0, bad, 1, 1, 1, 1])
    with pytest.raises(NonFiniteGradientError, match="finite"):
        optimizer.step()
    for p in ps:
        assert_close(p.detach(), weights(), rtol=0, atol=0)


def test_a_sparse_gradient_is_refused():
    table = torch.nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(ValueError, match="dense"):
        ExponentiatedGradient(table.parameters(), lr=0.1).step()


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (ExponentiatedGradient, {"lr": 0.0}),
        (ExponentiatedGradient, {"lr": -1.0}),
        (ExponentiatedGradient, {"lr": math.nan}),
        (ExponentiatedGradient, {"lr": 0.1, "momentum": 1.0}),
        (ExponentiatedGradient, {"lr": 0.1, "weight_decay": -0.1}),
        (ExponentiatedGradient, {"lr": 0.1, "exponent_limit": 0.0}),
        (ExponentiatedGradient, {"lr": 0.1, "total": -1.0}),
        (ExponentiatedGradient, {"lr": 0.1, "noise": -0.1}),
        (ExponentiatedGradient, {"lr": 0.1, "noise": math.nan}),
        (ExponentiatedGradient, {"lr": 0.1, "seed": -1}),
        (ExponentiatedAdam, {"lr": 0.1, "noise": 1.5}),
        (ExponentiatedAdam, {"lr": 0.1, "seed": 0.5}),
        (ExponentiatedAdam, {"lr": 0.1, "betas": (0.9, 1.0)}),
        (ExponentiatedAdam, {"lr": 0.1, "eps": 0.0}),
        (SignConstrainedSGD, {"lr": 0.1, "floor": 0.0}),
    ],
)
def test_settings_outside_their_domain_are_refused(build, options):
    name = list(options)[-1]
    with pytest.raises(ValueError, match=f"{name} must be"):
        build([parameter([1.0])], **options)
    fine = build([parameter([1.0])], lr=0.1)
    with pytest.raises(ValueError, match=f"{name} must be"):
        fine.add_param_group({"params": [parameter([1.0])], **options})


@pytest.mark.parametrize("values", [torch.empty(0, 3), torch.zeros(2, dtype=torch.complex64)])
def test_empty_and_complex_parameters_are_refused(values):
    with pytest.raises(ValueError, match="at least one real"):
        ExponentiatedGradient([torch.nn.Parameter(values)], lr=0.1)
