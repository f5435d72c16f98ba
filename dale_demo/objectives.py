"""Objectives of multiplicative score matching.

All return one number per sample [B] and leave the reduction over samples to the caller. M-DSM and
M-ESM are means over coordinates, CM takes a norm, NNSM is a sum. h* is the conditional and h the
marginal Hyvärinen score, and s = s(t):

    M-DSM   E‖s² (h_θ − h*)‖²  — equals E‖D_θ − ln x₀‖², the error of predicting ln x₀;
    M-ESM   E‖s² (h_θ − h )‖²  — differs from M-DSM by a constant in θ;
    CM      E √(‖D_θ(u, s) − D_θ⁻(u_r, r)‖² + c²) − c, with u_r on the flow from u to r < s;
    NNSM    E Σ_i [2 x_i ψ_i + x_i² ∂_i ψ_i + ½ x_i² ψ_i²]   (Hyvärinen 2007), ψ = ∇ ln p_θ.
"""

from typing import Literal

import torch
from torch import Tensor

from dale_demo.process import GeometricBrownianMotion, expand_as
from dale_demo.score import LogDenoiser, Score, conditional_target

Weighting = Literal["paper", "preconditioned"]

HUBER = 0.006
"""c of the consistency loss, which is quadratic below it and linear above."""
WEIGHT_FLOOR = 0.02
"""Noise level below which the weight 1/√s of the consistency loss stays the same."""


def m_dsm(
    score: Score,
    process: GeometricBrownianMotion,
    x0: Tensor,
    t: Tensor,
    z: Tensor,
    weighting: Weighting = "paper",
    data_log_std: float = 1.0,
) -> Tensor:
    """Multiplicative denoising score matching, ‖s² (h_θ(x_t, t) − h*)‖² → [B].

    Args:
        score: h_θ, differentiable in its parameters.
        x0: Positive data [B, …].
        t: Times [B] in (0, T].
        z: Standard normals [B, …] that make x_t.
        weighting: "paper" as above; "preconditioned" multiplies by the EDM weight
            (s² + s_d²) / (s s_d)², with which every noise level counts equally.
        data_log_std: s_d, the standard deviation of ln x₀; used by "preconditioned".
    """
    x = process.forward(x0, t, z)
    target = conditional_target(process, x0, x, t)
    return _score_error(score(x, t), target, process.noise_level(t), weighting, data_log_std)


def m_esm(
    score: Score,
    exact: Score,
    process: GeometricBrownianMotion,
    x0: Tensor,
    t: Tensor,
    z: Tensor,
    weighting: Weighting = "paper",
    data_log_std: float = 1.0,
) -> Tensor:
    """Multiplicative explicit score matching, ‖s² (h_θ(x_t, t) − h(x_t, t))‖² → [B].

    Args:
        exact: h, the marginal score, or the score of a network to learn from.

    The other arguments are those of `m_dsm`.
    """
    x = process.forward(x0, t, z)
    return _score_error(score(x, t), exact(x, t), process.noise_level(t), weighting, data_log_std)


def consistency(
    student: LogDenoiser,
    teacher: LogDenoiser,
    *,
    y0: Tensor,
    s: Tensor,
    z: Tensor,
    gap: float,
    data_log_std: float,
) -> Tensor:
    """Consistency along a teacher's probability flow (Song et al. 2023; Geng et al. 2024) → [B].

    From u = y₀ + s z the flow is followed by one Euler step, u_r = u + (r − s) (u − D_T(u, s))/s,
    to the level r = s max(0, 1 − d (1 + 8/(1 + exp(s/2s_d)))), and the student's estimates at both
    ends are brought together. At r = 0 the estimate is the state: there the student learns the
    teacher's. Its minimum maps every state to the end of its trajectory, at any s.

    Args:
        student: D_θ, differentiable in its parameters; no gradient runs through its estimate at r.
        teacher: D_T, an estimate of the posterior mean.
        y0: ln x₀ [B, …].
        s: Noise levels [B] > 0.
        z: Standard normals [B, …].
        gap: d in (0, 1): the smaller, the closer r to s.
        data_log_std: s_d.
    """
    s_pixel = expand_as(s, y0)
    u = y0 + s_pixel * z
    r = s * (1 - gap * (1 + 8 * torch.sigmoid(-s / (2 * data_log_std)))).clamp_min(0)
    with torch.no_grad():
        r_pixel = expand_as(r, y0)
        u_r = u + (r_pixel - s_pixel) * (u - teacher(u, s)) / s_pixel
        target = torch.where(r_pixel > 0, student(u_r, r), u_r)
    distance = (student(u, s) - target).flatten(1).square().sum(1)
    return ((distance + HUBER**2).sqrt() - HUBER) / s.clamp_min(WEIGHT_FLOOR).sqrt()


def loss_weight(noise_level: Tensor, weighting: Weighting, data_log_std: float) -> Tensor:
    """The factor on ‖D_θ − ln x₀‖² at `noise_level` [B]; see `m_dsm`.

    Raises:
        ValueError: `weighting` is unknown.
    """
    if weighting == "paper":
        return torch.ones_like(noise_level)
    if weighting == "preconditioned":
        return (noise_level**2 + data_log_std**2) / (noise_level * data_log_std) ** 2
    raise ValueError(f"Unknown weighting {weighting!r}; choose paper or preconditioned.")


def non_negative_score_matching(stein: Score, x: Tensor) -> Tensor:
    """Hyvärinen's objective for data on the positive orthant, `x` [B, d] → [B], summed over d.

    Needs no knowledge of the data's score: integrating ½E‖x∘(ψ − ∇ln p)‖² by parts leaves no
    boundary term, since x² p(x) vanishes at 0.

    Args:
        stein: ψ, called as `stein(x, t)` with t = 0; differentiable in x and parameters.
        x: Positive data [B, d]. The diagonal of the Jacobian takes d backward passes.
    """
    x = x.detach().requires_grad_()
    psi = stein(x, x.new_zeros(len(x)))
    diagonal = torch.stack(
        [
            torch.autograd.grad(psi[:, i].sum(), x, create_graph=True)[0][:, i]
            for i in range(x.shape[1])
        ],
        dim=1,
    )
    return (2 * x * psi + x**2 * diagonal + 0.5 * x**2 * psi**2).sum(1)


def _score_error(
    h: Tensor, target: Tensor, noise_level: Tensor, weighting: Weighting, data_log_std: float
) -> Tensor:
    error = (h - target).flatten(1) * noise_level.reshape(-1, 1) ** 2
    return error.square().mean(1) * loss_weight(noise_level, weighting, data_log_std)
