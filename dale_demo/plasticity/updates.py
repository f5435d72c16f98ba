"""Update formulas of the learning rules, on one tensor and on lists of tensors.

A rule first makes a direction d of the gradient (`MOMENTUM`, `ADAM`) and then moves the weights
along it (`MULTIPLY`, `SUBTRACT`). Each formula exists twice. The version for one tensor is the
reference, written to be read; the version for lists runs a few fused kernels for all parameters of
a model, which on a GPU is many times faster. Both must give the same numbers.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Tensors = list[Tensor]
State = dict[str, Tensor]
Group = dict[str, Any]
"""A parameter group of an optimiser, with its settings by name."""


NARROW = (torch.float16, torch.bfloat16)
"""Types in which a rule would lose its sums, its small numbers and so its signs."""


def wide_type(tensor: Tensor) -> torch.dtype:
    """The type to compute in: float32 in place of a narrow type."""
    return torch.float32 if tensor.dtype in NARROW else tensor.dtype


def widened(tensor: Tensor) -> Tensor:
    """The tensor itself, or a float32 copy of one in a narrow type."""
    return tensor.to(wide_type(tensor))


def narrow(w: Tensor, target: Tensor) -> None:
    """Round w into `target`, of a narrow type; what is not zero stays so, with its sign, finite."""
    kind = torch.finfo(target.dtype)
    # Below its normal numbers float16 has those that float32 holds as normal ones: 6e-8 and up.
    least = kind.tiny * kind.eps if target.dtype == torch.float16 else kind.tiny
    target.copy_(w.sign() * w.abs().clamp(least, kind.max))


def momentum(grad: Tensor, state: State, group: Group) -> Tensor:
    """b ← momentum·b + gradient; without momentum the gradient itself."""
    if not group["momentum"]:
        return grad
    # Held finite, because 0·∞ in the update would turn weights of zero into NaN.
    limit = torch.finfo(grad.dtype).max
    return state["momentum_buffer"].mul_(group["momentum"]).add_(grad).clamp_(-limit, limit)


def adam(grad: Tensor, state: State, group: Group) -> Tensor:
    """m̂ / (√v̂ + eps), with the running means m of the gradient and v of its square."""
    beta1, beta2 = group["betas"]
    step = state["step"].add_(1)
    mean = state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
    square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    square.clamp_(max=torch.finfo(grad.dtype).max)  # ∞ would stop this weight for ever
    root = (square.sqrt() / (1 - beta2**step).sqrt()).add_(group["eps"])
    return mean / (1 - beta1**step) / root


def multiply(w: Tensor, d: Tensor, group: Group) -> None:
    """w ← w ∘ exp(clip(−η sign(w) ∘ d) − ηλ), in place."""
    lr, limit, kind = group["lr"], group["exponent_limit"], torch.finfo(w.dtype)
    sign = w.sign()
    # The clip comes before the decay, so that a huge gradient cannot switch the decay off.
    exponent = (sign * d * -lr).clamp(-limit, limit) - lr * group["weight_decay"]
    magnitude = (w.abs() * exponent.exp()).clamp(max=kind.max)
    if group["total"] is not None:
        magnitude *= group["total"] / magnitude.sum().clamp(kind.tiny, kind.max)
    # sign(0) = 0, so a weight of zero stays zero although its magnitude is raised to `tiny`.
    w.copy_(sign * magnitude.clamp(min=kind.tiny))


def subtract(w: Tensor, d: Tensor, group: Group) -> None:
    """w ← w exp(−ηλ) − η d, stopped at the floor on the old side of zero, in place."""
    lr, sign = group["lr"], w.sign()
    magnitude = w.abs() * _decay(group) - sign * d * lr
    w.copy_(sign * magnitude.clamp(group["floor"], torch.finfo(w.dtype).max))


def _decay(group: Group) -> float | Tensor:
    exponent = -group["lr"] * group["weight_decay"]
    return exponent.exp() if isinstance(exponent, Tensor) else math.exp(exponent)


def foreach_momentum(grads: Tensors, states: list[State], group: Group) -> Tensors:
    """`momentum` on lists of tensors."""
    if not group["momentum"]:
        return grads
    buffers = [state["momentum_buffer"] for state in states]
    torch._foreach_mul_(buffers, group["momentum"])
    torch._foreach_add_(buffers, grads)
    limits = [torch.finfo(b.dtype).max for b in buffers]
    torch._foreach_clamp_max_(buffers, limits)
    torch._foreach_clamp_min_(buffers, [-limit for limit in limits])
    return buffers


def foreach_adam(grads: Tensors, states: list[State], group: Group) -> Tensors:
    """`adam` on lists of tensors."""
    beta1, beta2 = group["betas"]
    steps, means, squares = (
        [state[name] for state in states] for name in ("step", "exp_avg", "exp_avg_sq")
    )
    torch._foreach_add_(steps, 1)
    torch._foreach_mul_(means, beta1)
    torch._foreach_add_(means, grads, alpha=1 - beta1)
    torch._foreach_mul_(squares, beta2)
    torch._foreach_addcmul_(squares, grads, grads, value=1 - beta2)
    torch._foreach_clamp_max_(squares, [torch.finfo(s.dtype).max for s in squares])
    roots = torch._foreach_sqrt(squares)
    torch._foreach_div_(roots, [(1 - beta2**step).sqrt() for step in steps])
    torch._foreach_add_(roots, group["eps"])
    directions = list(torch._foreach_div(means, [1 - beta1**step for step in steps]))
    torch._foreach_div_(directions, roots)
    return directions


def foreach_multiply(ws: Tensors, ds: Tensors, group: Group) -> None:
    """`multiply` on lists of tensors."""
    lr, limit = group["lr"], group["exponent_limit"]
    kinds = [torch.finfo(w.dtype) for w in ws]
    signs = torch._foreach_sign(ws)
    exponents = torch._foreach_mul(signs, ds)
    torch._foreach_mul_(exponents, -lr)
    torch._foreach_clamp_min_(exponents, -limit)
    torch._foreach_clamp_max_(exponents, limit)
    torch._foreach_add_(exponents, -lr * group["weight_decay"])
    torch._foreach_exp_(exponents)
    torch._foreach_abs_(ws)
    torch._foreach_mul_(ws, exponents)
    torch._foreach_clamp_max_(ws, [kind.max for kind in kinds])
    if group["total"] is not None:
        sums = torch._foreach_norm(ws, 1)
        scales = [s.clamp(k.tiny, k.max).reciprocal() for s, k in zip(sums, kinds, strict=True)]
        torch._foreach_mul_(ws, torch._foreach_mul(scales, group["total"]))
    torch._foreach_clamp_min_(ws, [kind.tiny for kind in kinds])
    torch._foreach_mul_(ws, signs)


def foreach_subtract(ws: Tensors, ds: Tensors, group: Group) -> None:
    """`subtract` on lists of tensors."""
    signs = torch._foreach_sign(ws)
    changes = torch._foreach_mul(signs, ds)
    torch._foreach_mul_(changes, group["lr"])
    torch._foreach_abs_(ws)
    torch._foreach_mul_(ws, _decay(group))
    torch._foreach_sub_(ws, changes)
    torch._foreach_clamp_min_(ws, group["floor"])
    torch._foreach_clamp_max_(ws, [torch.finfo(w.dtype).max for w in ws])
    torch._foreach_mul_(ws, signs)


class Direction(NamedTuple):
    """A direction of descent: (grad, state, group) → d, and the same on lists."""

    single: Callable[[Tensor, State, Group], Tensor]
    foreach: Callable[[Tensors, list[State], Group], Tensors]


class Change(NamedTuple):
    """A change of weights in place: (w, d, group), and the same on lists."""

    single: Callable[[Tensor, Tensor, Group], None]
    foreach: Callable[[Tensors, Tensors, Group], None]


MOMENTUM = Direction(momentum, foreach_momentum)
ADAM = Direction(adam, foreach_adam)
MULTIPLY = Change(multiply, foreach_multiply)
SUBTRACT = Change(subtract, foreach_subtract)
