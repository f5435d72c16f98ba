"""Learning rules that never change a weight's sign, as PyTorch optimisers.

With d the gradient (or what momentum or Adam make of it), η the learning rate and λ the decay:

    ExponentiatedGradient   w ← w ∘ exp(clip(−η sign(w) ∘ d) − ηλ)
    ExponentiatedAdam       the same, with Adam's direction for d
    SignConstrainedSGD      w ← w exp(−ηλ) − η d, held at a tiny value of the old sign

All three keep |w| between a smallest and the largest number of its type, so that no gradient,
however large, takes a weight through zero, to zero or to infinity. A weight that is zero stays so.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.optimizer import Optimizer, ParamsT

EXPONENT_LIMIT = 10.0
"""One step multiplies a weight by a factor between exp(−10) and exp(10), unless told otherwise."""

Tensors = list[Tensor]


class NonFiniteGradientError(ValueError):
    """A gradient holds NaN or infinity; no weight has been touched."""


class _SignPreserving(Optimizer, ABC):
    """Skeleton of the rules: gradients → directions d → weights.

    Each half exists twice, on lists of tensors (`foreach`) and on one tensor, the reference.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        options = {**self.defaults, **param_group}
        for name, (valid, expected) in _DOMAINS.items():
            if name in options and not valid(options[name]):
                raise ValueError(f"{name} must be {expected}, got {options[name]}.")
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if not p.is_floating_point() or p.numel() == 0:
                raise ValueError(
                    "Every parameter must hold at least one real floating-point weight, "
                    f"got shape {tuple(p.shape)} of {p.dtype}."
                )

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every weight that has a gradient; return the loss of `closure`, if given.

        Raises:
            NonFiniteGradientError: A gradient is NaN or infinite. All weights are as before.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        trained = [[p for p in g["params"] if p.grad is not None] for g in self.param_groups]
        _require_finite([p.grad for params in trained for p in params])
        for group, params in zip(self.param_groups, trained, strict=True):
            self._update(group, params, [p.grad for p in params])
        return loss

    def _update(self, group: dict[str, Any], params: Tensors, grads: Tensors) -> None:
        states = [self._state_of(p, group) for p in params]
        if params and _use_foreach(group["foreach"], params):
            self._foreach_step(group, params, grads, states)
        else:
            for p, grad, state in zip(params, grads, states, strict=True):
                self._single_step(group, p, grad, state)

    def _state_of(self, p: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        state = self.state[p]
        if not state and group["momentum"]:
            state["momentum_buffer"] = torch.zeros_like(p)
        return state

    @abstractmethod
    def _single_step(self, group: dict, w: Tensor, grad: Tensor, state: dict[str, Tensor]) -> None:
        """Update one weight tensor in place."""

    @abstractmethod
    def _foreach_step(self, group: dict, ws: Tensors, grads: Tensors, states: list[dict]) -> None:
        """Update a list of weight tensors in place."""


class ExponentiatedGradient(_SignPreserving):
    """Exponentiated gradient: w ← w ∘ exp(clip(−η sign(w) ∘ d, ±exponent_limit) − ηλ).

    Mirror descent with φ(w) = Σ|w| ln|w|: the step is plain gradient descent on the dual variable
    ∇φ(w) = sign(w)(ln|w| + 1). No weight changes sign, so an excitatory synapse stays excitatory
    (Dale's law), and a weight that is exactly zero stays zero for ever: initialise away from it.
    |w| is kept within the normal numbers of its type, for a float32 from 1.2e-38 to 3.4e38.

    Args:
        params: Parameters or parameter groups, real, not empty.
        lr: η > 0, a float, or a tensor if it is to change under `torch.compile`. Because each
            step is relative, EG wants a rate about 1/|w| times that of gradient descent.
        momentum: In [0, 1); d is the buffer b ← momentum·b + gradient.
        weight_decay: λ ≥ 0; each step multiplies w by exp(−ηλ).
        exponent_limit: Largest |η d| that acts in one step, > 0: the factor of a step, decay
            apart, lies between exp(−exponent_limit) and exp(exponent_limit).
        total: If given, every parameter's Σ|w| is brought to this value after each step: the
            normalised EG± of Kivinen and Warmuth (1997). Left out, theirs without normalisation.
        foreach: Update lists of tensors at once; where left out, on CUDA.

    Raises:
        ValueError: A setting is outside its domain, or a parameter is empty or not real.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        exponent_limit: float = EXPONENT_LIMIT,
        total: float | None = None,
        foreach: bool | None = None,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "weight_decay": weight_decay,
                "exponent_limit": exponent_limit,
                "total": total,
                "foreach": foreach,
            },
        )

    def _single_step(self, group: dict, w: Tensor, grad: Tensor, state: dict[str, Tensor]) -> None:
        _multiply(w, _momentum(grad, state, group["momentum"]), group)

    def _foreach_step(self, group: dict, ws: Tensors, grads: Tensors, states: list[dict]) -> None:
        _foreach_multiply(ws, _foreach_momentum(grads, states, group["momentum"]), group)


class ExponentiatedAdam(_SignPreserving):
    """Exponentiated gradient along Adam's direction d = m̂ / (√v̂ + eps).

    m and v are Adam's running means of the gradient and its square, m̂ and v̂ corrected for their
    start at zero. As |d| is about one, η is about the relative change of a weight in a step.

    Args:
        params, lr, weight_decay, exponent_limit, foreach: As in `ExponentiatedGradient`.
        betas: Decay of the two running means, each in [0, 1).
        eps: > 0.

    Raises:
        ValueError: As in `ExponentiatedGradient`.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        exponent_limit: float = EXPONENT_LIMIT,
        foreach: bool | None = None,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "exponent_limit": exponent_limit,
                "total": None,
                "foreach": foreach,
            },
        )

    def _state_of(self, p: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros((), device=p.device)
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        return state

    def _single_step(self, group: dict, w: Tensor, grad: Tensor, state: dict[str, Tensor]) -> None:
        _multiply(w, _adam(grad, state, group["betas"], group["eps"]), group)

    def _foreach_step(self, group: dict, ws: Tensors, grads: Tensors, states: list[dict]) -> None:
        _foreach_multiply(ws, _foreach_adam(grads, states, group["betas"], group["eps"]), group)


class SignConstrainedSGD(_SignPreserving):
    """Gradient descent that may not cross zero: w ← sign(w) max(|w|exp(−ηλ) − η sign(w) d, floor).

    The additive control for `ExponentiatedGradient`: it too keeps every sign, by projection. A
    weight that is exactly zero has no sign to keep and stays zero.

    Args:
        params, momentum, foreach: As in `ExponentiatedGradient`.
        lr: η > 0.
        weight_decay: λ ≥ 0; each step multiplies w by exp(−ηλ).
        floor: > 0, the magnitude given to a weight that would have crossed zero.

    Raises:
        ValueError: As in `ExponentiatedGradient`.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        floor: float = 1e-8,
        foreach: bool | None = None,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "weight_decay": weight_decay,
                "floor": floor,
                "foreach": foreach,
            },
        )

    def _single_step(self, group: dict, w: Tensor, grad: Tensor, state: dict[str, Tensor]) -> None:
        _subtract(w, _momentum(grad, state, group["momentum"]), group)

    def _foreach_step(self, group: dict, ws: Tensors, grads: Tensors, states: list[dict]) -> None:
        _foreach_subtract(ws, _foreach_momentum(grads, states, group["momentum"]), group)


def _positive(value: float | Tensor) -> bool:
    return math.isfinite(value) and bool(value > 0)


_DOMAINS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "lr": (_positive, "a positive finite number"),
    "momentum": (lambda value: 0 <= value < 1, "in [0, 1)"),
    "weight_decay": (lambda value: math.isfinite(value) and value >= 0, "finite and at least 0"),
    "exponent_limit": (_positive, "a positive finite number"),
    "total": (lambda value: value is None or _positive(value), "left out, or positive and finite"),
    "betas": (lambda value: len(value) == 2 and all(0 <= b < 1 for b in value), "two in [0, 1)"),
    "eps": (_positive, "a positive finite number"),
    "floor": (_positive, "a positive finite number"),
}


@torch.compiler.disable
def _require_finite(grads: Iterable[Tensor]) -> None:
    """Look at all gradients at once; one wait for the device."""
    grads = list(grads)
    if any(grad.layout != torch.strided for grad in grads):
        raise ValueError(
            "Gradients must be dense, got a sparse one; set sparse=False in its layer."
        )
    largest = get_total_norm(grads, norm_type=math.inf).item()
    if not math.isfinite(largest):
        raise NonFiniteGradientError(
            f"The gradients must be finite, their largest is {largest}; lower the learning rate or "
            "look for the operation that makes it. No weight was changed."
        )


def _use_foreach(wanted: bool | None, params: Tensors) -> bool:
    return all(p.is_cuda for p in params) if wanted is None else wanted


# One tensor at a time: the reference. ---------------------------------------------------------


def _momentum(grad: Tensor, state: dict[str, Tensor], momentum: float) -> Tensor:
    """b ← momentum·b + gradient, held finite: 0·∞ in the update would make zero weights NaN."""
    if not momentum:
        return grad
    limit = torch.finfo(grad.dtype).max
    return state["momentum_buffer"].mul_(momentum).add_(grad).clamp_(-limit, limit)


def _adam(grad: Tensor, state: dict[str, Tensor], betas: tuple[float, float], eps: float) -> Tensor:
    beta1, beta2 = betas
    step = state["step"].add_(1)
    mean = state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
    square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    square.clamp_(max=torch.finfo(grad.dtype).max)
    root = (square.sqrt() / (1 - beta2**step).sqrt()).add_(eps)
    return mean / (1 - beta1**step) / root


def _multiply(w: Tensor, d: Tensor, group: dict[str, Any]) -> None:
    lr, limit, kind = group["lr"], group["exponent_limit"], torch.finfo(w.dtype)
    sign = w.sign()
    exponent = (sign * d * -lr).clamp(-limit, limit) - lr * group["weight_decay"]
    magnitude = (w.abs() * exponent.exp()).clamp(max=kind.max)
    if group["total"] is not None:
        magnitude *= group["total"] / magnitude.sum().clamp(kind.tiny, kind.max)
    w.copy_(sign * magnitude.clamp(min=kind.tiny))


def _subtract(w: Tensor, d: Tensor, group: dict[str, Any]) -> None:
    lr, sign = group["lr"], w.sign()
    magnitude = w.abs() * _decay(group) - sign * d * lr
    w.copy_(sign * magnitude.clamp(group["floor"], torch.finfo(w.dtype).max))


def _decay(group: dict[str, Any]) -> float | Tensor:
    exponent = -group["lr"] * group["weight_decay"]
    return exponent.exp() if isinstance(exponent, Tensor) else math.exp(exponent)


# The same on lists of tensors. ----------------------------------------------------------------


def _foreach_momentum(grads: Tensors, states: list[dict], momentum: float) -> Tensors:
    if not momentum:
        return grads
    buffers = [state["momentum_buffer"] for state in states]
    torch._foreach_mul_(buffers, momentum)
    torch._foreach_add_(buffers, grads)
    limits = [torch.finfo(b.dtype).max for b in buffers]
    torch._foreach_clamp_max_(buffers, limits)
    torch._foreach_clamp_min_(buffers, [-limit for limit in limits])
    return buffers


def _foreach_adam(
    grads: Tensors, states: list[dict], betas: tuple[float, float], eps: float
) -> Tensors:
    beta1, beta2 = betas
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
    torch._foreach_add_(roots, eps)
    directions = list(torch._foreach_div(means, [1 - beta1**step for step in steps]))
    torch._foreach_div_(directions, roots)
    return directions


def _foreach_multiply(ws: Tensors, ds: Tensors, group: dict[str, Any]) -> None:
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


def _foreach_subtract(ws: Tensors, ds: Tensors, group: dict[str, Any]) -> None:
    signs = torch._foreach_sign(ws)
    changes = torch._foreach_mul(signs, ds)
    torch._foreach_mul_(changes, group["lr"])
    torch._foreach_abs_(ws)
    torch._foreach_mul_(ws, _decay(group))
    torch._foreach_sub_(ws, changes)
    torch._foreach_clamp_min_(ws, group["floor"])
    torch._foreach_clamp_max_(ws, [torch.finfo(w.dtype).max for w in ws])
    torch._foreach_mul_(ws, signs)
