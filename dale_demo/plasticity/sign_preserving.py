"""Skeleton of the learning rules as PyTorch optimisers: gradients → directions → weights.

Settings are checked when they come, gradients before they move anything.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, overload

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.optimizer import Optimizer, ParamsT

from dale_demo.plasticity.synaptic_noise import diffuse, normals
from dale_demo.plasticity.updates import (
    NARROW,
    Change,
    Direction,
    Group,
    State,
    Tensors,
    narrow,
    wide_type,
    widened,
)


class NonFiniteGradientError(ValueError):
    """A gradient holds NaN or infinity; no weight has been touched."""


class SignPreserving(Optimizer):
    """A rule is a subclass that names its direction and its change, and passes its settings on."""

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
        if group.get("noise"):  # a state that was saved before there was noise has none
            self._diffuse(group, params, ws)
        if params and _use_foreach(group["foreach"], params):
            self.change.foreach(ws, self.direction.foreach(ds, states, group), group)
        else:
            for w, d, state in zip(ws, ds, states, strict=True):
                self.change.single(w, self.direction.single(d, state, group), group)
        for p, w in zip(params, ws, strict=True):
            if w is not p:
                narrow(w, p)

    def _diffuse(self, group: Group, params: Tensors, ws: Tensors) -> None:
        """Before the step of the rule, so that a total which it keeps is kept."""
        everything = [p for each in self.param_groups for p in each["params"]]
        places = {p: place for place, p in enumerate(everything)}
        step = group.setdefault("noisy_steps", 0)
        zs = normals(group["seed"], step, [places[p] for p in params], ws)
        for w, z in zip(ws, zs, strict=True):
            diffuse(w, z, group["noise"])
        group["noisy_steps"] = step + 1

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
    "noise": (lambda value: value == 0 or 1e-6 <= value <= 1, "0, or from 1e-6 to 1"),
    "seed": (lambda value: isinstance(value, int) and value >= 0, "a whole number, not negative"),
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
