"""Learning rules that never change a weight's sign, as PyTorch optimisers.

With d the gradient (or what momentum or Adam make of it), η the learning rate and λ the decay:

    ExponentiatedGradient   w ← w ∘ exp(clip(−η sign(w) ∘ d) − ηλ)
    ExponentiatedAdam       the same, with Adam's direction for d
    SignConstrainedSGD      w ← w exp(−ηλ) − η d, held at a tiny value of the old sign

All three keep |w| between a smallest and the largest number of its type, so that no gradient,
however large, takes a weight through zero, to zero or to infinity. A weight that is zero stays so.
The formulas are in `updates`. Weights in float16 or bfloat16 are moved in float32, with their state
in float32, and rounded once a step.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, overload

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.optimizer import Optimizer, ParamsT

from dale_demo.plasticity.updates import (
    ADAM,
    MOMENTUM,
    MULTIPLY,
    NARROW,
    SUBTRACT,
    Change,
    Direction,
    Group,
    State,
    Tensors,
    narrow,
    wide_type,
    widened,
)

EXPONENT_LIMIT = 10.0
"""One step multiplies a weight by a factor between exp(−10) and exp(10), unless told otherwise.

No useful step comes near it: e¹⁰ is 22,000. It keeps exp from overflowing on an outlier gradient,
and a weight that was sent far down by one can come back within a few steps.
"""


class NonFiniteGradientError(ValueError):
    """A gradient holds NaN or infinity; no weight has been touched."""


class _SignPreserving(Optimizer):
    """Skeleton of the rules: gradients → directions d → weights."""

    direction: ClassVar[Direction]
    change: ClassVar[Change]

    def __init__(self, params: ParamsT, **settings: Any):
        super().__init__(params, settings)

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

    def _update(self, group: Group, params: Tensors, grads: Tensors) -> None:
        states = [self._state_of(p, group) for p in params]
        ws, ds = ([widened(tensor) for tensor in tensors] for tensors in (params, grads))
        if params and _use_foreach(group["foreach"], params):
            self.change.foreach(ws, self.direction.foreach(ds, states, group), group)
        else:
            for w, d, state in zip(ws, ds, states, strict=True):
                self.change.single(w, self.direction.single(d, state, group), group)
        for p, w in zip(params, ws, strict=True):
            if w is not p:
                narrow(w, p)

    def _state_of(self, p: Tensor, group: Group) -> State:
        state = self.state[p]
        if not state and group["momentum"]:
            state["momentum_buffer"] = torch.zeros_like(p, dtype=wide_type(p))
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict` returned: PyTorch's own, but a state stays as wide as it was."""
        super().load_state_dict(state_dict)
        indices = [i for group in state_dict["param_groups"] for i in group["params"]]
        params = [p for group in self.param_groups for p in group["params"]]
        for i, p in zip(indices, params, strict=True):
            if p.dtype in NARROW:
                for name, value in state_dict["state"].get(i, {}).items():
                    self.state[p][name] = value.to(p.device, torch.float32, copy=True)


class ExponentiatedGradient(_SignPreserving):
    """Exponentiated gradient: w ← w ∘ exp(clip(−η sign(w) ∘ d, ±exponent_limit) − ηλ).

    Mirror descent with φ(w) = Σ|w| ln|w|: the step is plain gradient descent on the dual variable
    ∇φ(w) = sign(w)(ln|w| + 1). No weight changes sign, so an excitatory synapse stays excitatory
    (Dale's law), and a weight that is exactly zero stays zero for ever: initialise away from it.
    |w| is kept within the normal numbers of its type, for a float32 from 1.2e-38 to 3.4e38; in
    float16 also within the numbers below those, from 6.0e-8 to 65,504.

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

    direction, change = MOMENTUM, MULTIPLY

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
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            exponent_limit=exponent_limit,
            total=total,
            foreach=foreach,
        )


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

    direction, change = ADAM, MULTIPLY

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
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            exponent_limit=exponent_limit,
            total=None,
            foreach=foreach,
        )

    def _state_of(self, p: Tensor, group: Group) -> State:
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros((), device=p.device)
            state["exp_avg"] = torch.zeros_like(p, dtype=wide_type(p))
            state["exp_avg_sq"] = torch.zeros_like(p, dtype=wide_type(p))
        return state


class SignConstrainedSGD(_SignPreserving):
    """Gradient descent that may not cross zero: w ← sign(w) max(|w|exp(−ηλ) − η sign(w) d, floor).

    The additive control for `ExponentiatedGradient`: it too keeps every sign, by projection. A
    weight that is exactly zero has no sign to keep and stays zero.

    Args:
        params, momentum, foreach: As in `ExponentiatedGradient`.
        lr: η > 0.
        weight_decay: λ ≥ 0; each step multiplies w by exp(−ηλ).
        floor: > 0, the magnitude given to a weight that would have crossed zero; in a type that has
            no number so small, its smallest.

    Raises:
        ValueError: As in `ExponentiatedGradient`.
    """

    direction, change = MOMENTUM, SUBTRACT

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
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            floor=floor,
            foreach=foreach,
        )


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
