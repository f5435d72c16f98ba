"""Learning rules that never change a weight's sign, as PyTorch optimisers.

With d the gradient (or what momentum or Adam make of it), η the learning rate and λ the decay:

    ExponentiatedGradient   w ← w ∘ exp(clip(−η sign(w) ∘ d) − ηλ)
    ExponentiatedAdam       the same, with Adam's direction for d
    SignConstrainedSGD      w ← w exp(−ηλ) − η d, held at a tiny value of the old sign

All three keep |w| between a smallest and the largest number of its type, so that no gradient,
however large, takes a weight through zero, to zero or to infinity. A weight that is zero stays so.
The first two can add noise to the synapses: see `synaptic_noise`. The formulas are in `updates`.
Weights in float16 or bfloat16 are moved in float32, with their state in float32, and rounded once a
step.
"""

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from dale_demo.plasticity.sign_preserving import SignPreserving
from dale_demo.plasticity.updates import ADAM, MOMENTUM, MULTIPLY, SUBTRACT, Group, State, wide_type

EXPONENT_LIMIT = 10.0
"""One step multiplies a weight by a factor between exp(−10) and exp(10), unless told otherwise.

No useful step comes near it: e¹⁰ is 22,000. It keeps exp from overflowing on an outlier gradient,
and a weight that was sent far down by one can come back within a few steps.
"""


class ExponentiatedGradient(SignPreserving):
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
        noise: ς, 0 or in [10⁻⁶, 1]; each step also multiplies w by exp(ς z − ς²/2), see
            `synaptic_noise`.
        seed: Of the noise, a whole number, not negative.
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
        noise: float = 0.0,
        seed: int = 0,
        foreach: bool | None = None,
    ):
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            weight_decay=weight_decay,
            exponent_limit=exponent_limit,
            total=total,
            noise=noise,
            seed=seed,
            foreach=foreach,
        )


class ExponentiatedAdam(SignPreserving):
    """Exponentiated gradient along Adam's direction d = m̂ / (√v̂ + eps).

    m and v are Adam's running means of the gradient and its square, m̂ and v̂ corrected for their
    start at zero. As |d| is about one, η is about the relative change of a weight in a step.

    Args:
        params, lr, weight_decay, exponent_limit, noise, seed, foreach: As in
            `ExponentiatedGradient`.
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
        noise: float = 0.0,
        seed: int = 0,
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
            noise=noise,
            seed=seed,
            foreach=foreach,
        )

    def _state_of(self, p: Tensor, group: Group) -> State:
        state = self.state[p]
        if not state:
            state["step"] = torch.zeros((), device=p.device)
            state["exp_avg"] = torch.zeros_like(p, dtype=wide_type(p))
            state["exp_avg_sq"] = torch.zeros_like(p, dtype=wide_type(p))
        return state


class SignConstrainedSGD(SignPreserving):
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
