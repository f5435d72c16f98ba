"""Measurements that check the theory, each computed in milliseconds with the library's own code.

One function for each section of the page Theory takes a seed and returns claims (`claims.py`). The
references are independent of what they check: closed forms, quadrature, autograd, brute force.
Each list has a control, a plausible mistake in the formula, which the same measurement must find.

The data are the mixture of `mixture.py`, whose score is known exactly. All numbers are float64, so
that rounding stays far below the statistical errors and equalities can be checked to 1e-12.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor
from torch import distributions as dist

from dale_demo.objectives import m_dsm, m_esm, non_negative_score_matching
from dale_demo.plasticity.geometry import dual_change
from dale_demo.plasticity.rules import ExponentiatedGradient
from dale_demo.process import GeometricBrownianMotion, LogNormal, karras_grid
from dale_demo.samplers import (
    LangevinOptions,
    dale_langevin,
    probability_flow,
    unconstrained,
)
from dale_demo.score import Score, denoise, log_normal_score
from dale_demo.theory.claims import Claim, equal, follows, mean_of
from dale_demo.theory.mixture import (
    LOG_MEANS,
    LOG_STDS,
    PROCESS,
    WEIGHTS,
    log_moments_of,
    mixture_score,
)

DRAWS = 4000
"""Samples of a measurement: errors of one or two per cent, in milliseconds."""

RATE = 2.5
"""Rate λ of the exponential data of `non_negative`."""


def motion(seed: int) -> list[Claim]:
    """Geometric Brownian motion: its paths end log-normal, and its density obeys Fokker–Planck."""
    t = PROCESS.horizon
    times = torch.linspace(0, t, 9, dtype=torch.float64)[1:]
    x = PROCESS.path(_ones(DRAWS), times, _generator(seed))[-1]
    m, s = log_moments_of(t)
    residual, misplaced, scale = _fokker_planck()
    return [
        follows(
            "KS distance of X_T to its log-normal distribution",
            x,
            stats.lognorm(s, scale=math.exp(m)).cdf,
        ),
        follows(
            "the same, to the distribution without −σ²/2",
            x,
            stats.lognorm(s, scale=math.exp(PROCESS.mu * t)).cdf,
            control=True,
        ),
        mean_of("mean of X_T / X₀, against exp(μT)", x, math.exp(PROCESS.mu * t)),
        equal("residual of the Fokker–Planck equation, relative", residual / scale),
        equal("the same, σ²x² outside the derivatives", misplaced / scale, control=True),
    ]


def _fokker_planck() -> tuple[Tensor, Tensor, Tensor]:
    """Residuals of ∂ₜp = −∂ₓ(μxp) + ½∂ₓₓ(σ²x²p) and of its misreading; the largest |∂ₜp|."""
    x = torch.linspace(0.2, 4, 80, dtype=torch.float64).requires_grad_()
    t = torch.full_like(x, 0.3).requires_grad_()
    p = mixture_score().log_density(x[:, None], t).exp()

    def slope(values: Tensor, at: Tensor) -> Tensor:
        return torch.autograd.grad(values.sum(), at, create_graph=True)[0]

    rate, drift, variance = slope(p, t), slope(PROCESS.mu * x * p, x), PROCESS.sigma**2 * x**2
    residual = rate + drift - slope(slope(variance * p, x), x) / 2
    misplaced = rate + drift - variance * slope(slope(p, x), x) / 2
    return residual.detach(), misplaced.detach(), rate.detach().abs().max()


def score(seed: int) -> list[Claim]:
    """The Hyvärinen score against autograd, and its mean."""
    x, t = _noised(_generator(seed), 0.4)
    h = mixture_score()(x[:, None], t)[:, 0]
    stein = _gradient(lambda x: _reference(x, 0.4, dist.LogNormal), x)
    log_score = _gradient(lambda y: _reference(y, 0.4, dist.Normal), x.log())
    return [
        equal("largest |h − x ∂ₓ ln p(x)|, by autograd", h - x * stein),
        equal("largest |1 + h − ∂ᵧ ln p_Y(y)|, by autograd", 1 + h - log_score),
        equal("the same without the 1", h - log_score, control=True),
        mean_of("mean of the log-space score 1 + h", 1 + h, 0.0),
        mean_of("mean of h itself, against 0", h, 0.0, control=True),
    ]


def _reference(at: Tensor, t: float, family: type) -> Tensor:
    """ln p_t by torch.distributions: `family` LogNormal in x, Normal in y."""
    a, b, w = (torch.tensor(v, dtype=torch.float64) for v in (LOG_MEANS, LOG_STDS, WEIGHTS))
    m, s = log_moments_of(t)
    components = family(a + m, (b**2 + s**2).sqrt())
    return dist.MixtureSameFamily(dist.Categorical(probs=w), components).log_prob(at)


def reverse(seed: int) -> list[Claim]:
    """One reverse step from T, by both discretisations with the same noise."""
    generator = _generator(seed)
    x, z = _noised(generator, PROCESS.horizon)[0], _normals(generator, DRAWS)
    additive, dale = (one_step(s, x, 0.9, z) for s in (unconstrained, dale_langevin))
    share = crossing_probability(x, 0.9)
    error = (share * (1 - share)).sum().sqrt().item() / len(x)
    crossed = (additive < 0).double().mean().item()
    return [
        _slope_of_one_draw(x, generator),
        _slope_of_the_mean(),
        Claim(
            "share below zero after δ = 0.9, Euler–Maruyama, against Φ(−(1 + drift)/(σ√δ))",
            crossed,
            share.mean().item(),
            error,
        ),
        Claim("the same, Dale–Langevin", (dale <= 0).double().mean().item(), 0.0, error),
        Claim("Euler–Maruyama against none", crossed, 0.0, error, control=True),
    ]


def one_step(sampler: Callable, x: Tensor, delta: float, z: Tensor) -> Tensor:
    """Take one step of `sampler` from T to T − δ, `x`, `z` [N] → [N]."""
    grid = torch.tensor([PROCESS.horizon, PROCESS.horizon - delta, 0.0], dtype=torch.float64)
    steps = sampler(
        mixture_score(),
        x[:, None],
        PROCESS,
        grid,
        noise=lambda: z[:, None],
        options=LangevinOptions(tweedie=False),
    )
    next(steps)
    return next(steps).x[:, 0]


def crossing_probability(x: Tensor, delta: float) -> Tensor:
    """The exact chance that the Euler–Maruyama step takes each x [N] below zero."""
    h = mixture_score()(x[:, None], torch.full_like(x, PROCESS.horizon))[:, 0]
    mu, sigma = PROCESS.mu, PROCESS.sigma
    drift = (2 * sigma**2 - mu + sigma**2 * h) * delta
    return torch.special.ndtr(-(1 + drift) / (sigma * math.sqrt(delta)))


def _slope_of_one_draw(x: Tensor, generator: torch.Generator) -> Claim:
    """The steps differ by ½σ²δ(z² − 1) + …: root mean square of first order in δ."""
    # So small that terms of higher order do not bend the line in the log-log plot.
    deltas = 2.0 ** -np.arange(10, 15)
    logs, errors = [], []
    for delta in deltas:
        z = _normals(generator, len(x))
        gap = (one_step(dale_langevin, x, delta, z) - one_step(unconstrained, x, delta, z)) / x
        square = gap.square()
        logs.append(square.mean().log().item() / 2)
        errors.append((square.std() / square.mean()).item() / 2 / math.sqrt(len(x)))
    slope, error = _fit_slope(np.log(deltas), np.array(logs), np.array(errors))
    return Claim("order in δ of the difference, one draw", slope, 1.0, error)


def _slope_of_the_mean() -> Claim:
    """The means differ by ½(Bδ)² + …, where Bδ is the drift: second order; by quadrature in z."""
    deltas = 2.0 ** -np.arange(10, 13)
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    z, w = torch.from_numpy(nodes), torch.from_numpy(weights / weights.sum())
    x = 1.3 * _ones(len(z))
    gaps = [
        (w * (one_step(dale_langevin, x, d, z) - one_step(unconstrained, x, d, z)))
        .sum()
        .abs()
        .item()
        for d in deltas
    ]
    slope, _ = _fit_slope(np.log(deltas), np.log(gaps), np.ones(len(gaps)))
    return Claim("order in δ of the difference of the means", slope, 2.0, 0.002, random=False)


def lamperti(seed: int) -> list[Claim]:
    """Itô's correction, from small additive steps in x, without logarithms in the steps."""
    steps, delta = 64, PROCESS.horizon / 64
    z = _normals(_generator(seed), steps, DRAWS)
    growth = (1 + PROCESS.mu * delta + PROCESS.sigma * math.sqrt(delta) * z).log().sum(0)
    end, mu = torch.tensor(PROCESS.horizon, dtype=torch.float64), PROCESS.mu * PROCESS.horizon
    m, variance = PROCESS.log_drift(end).item(), PROCESS.noise_level(end).item() ** 2
    return [
        mean_of("mean of ln(X_T / X₀), against (μ − σ²/2)T", growth, m),
        mean_of("the same against μT", growth, mu, control=True),
        mean_of("mean of X_T / X₀, against exp(μT)", growth.exp(), math.exp(mu)),
        mean_of("variance of ln X_T, against σ²T", (growth - growth.mean()).square(), variance),
    ]


def tweedie(seed: int) -> list[Claim]:
    """Tweedie's estimate against the posterior mean by brute force."""
    t, generator = 0.3, _generator(seed)
    y0 = draw_data(generator, 5 * DRAWS).log()
    m, s = log_moments_of(t)
    claims = []
    for x in (0.5, 1.0, 2.0):
        weight = (-0.5 * ((math.log(x) - y0 - m) / s) ** 2).exp()
        mean = (weight * y0).sum() / weight.sum()
        error = (weight * (y0 - mean)).square().sum().sqrt() / weight.sum()
        d = denoise(mixture_score(), PROCESS, torch.tensor([[x]]).double(), torch.tensor([t]))
        claims.append(
            Claim(
                f"E[ln X₀ | X_t = {x:g}] by brute force, against D",
                mean.item(),
                d.item(),
                error.item(),
            )
        )
    last = claims[-1]
    wrong = last.expected - s**2
    return [
        *claims,
        Claim("the last against y − m + s²h", last.measured, wrong, last.error, control=True),
    ]


def objectives(seed: int) -> list[Claim]:
    """M-DSM less M-ESM for two different scores, on the same draws."""
    generator, t = _generator(seed), torch.full((2 * DRAWS,), 0.3, dtype=torch.float64)
    x0, z = draw_data(generator, len(t))[:, None], _normals(generator, len(t), 1)
    exact, (first, second) = mixture_score(), _two_models()

    def gap(model: Score, target: Score = exact) -> Tensor:
        return m_dsm(model, PROCESS, x0, t, z) - m_esm(model, target, PROCESS, x0, t, z)

    constant, x = posterior_variance(0.3), PROCESS.forward(x0, t, z)
    error = (denoise(first, PROCESS, x, t) - x0.log()).square()[:, 0]
    return [
        mean_of("M-DSM − M-ESM of one score, against E Var[ln X₀ | X_t]", gap(first), constant),
        mean_of("M-DSM − M-ESM of another", gap(second), constant),
        mean_of("the one less the other, draw by draw", gap(first) - gap(second), 0.0),
        mean_of(
            "the same, M-ESM against a wrong score", gap(first, second), constant, control=True
        ),
        equal(
            "largest |M-DSM − (D − ln x₀)²|, draw by draw", m_dsm(first, PROCESS, x0, t, z) - error
        ),
    ]


def _two_models() -> tuple[Score, Score]:
    """Two scores that are not that of the data."""
    first, second = LogNormal(0.0, 0.3), LogNormal(0.4, 0.8)
    return log_normal_score(PROCESS, first), log_normal_score(PROCESS, second)


def posterior_variance(t: float) -> float:
    """E Var[ln X₀ | X_t] = E[(ln X₀)²] − E[D²], the latter by quadrature."""
    a, b, w = map(np.array, (LOG_MEANS, LOG_STDS, WEIGHTS))
    square = _mean_at(t, lambda x, t: denoise(mixture_score(), PROCESS, x, t) ** 2)
    return float((w * (a**2 + b**2)).sum()) - square


def half_score_power(t: float) -> float:
    """½E h_t(x_t)² of the exact score, by quadrature."""
    return _mean_at(t, lambda x, t: mixture_score()(x, t) ** 2) / 2


def _mean_at(t: float, function: Score) -> float:
    """The mean of `function` over x_t, by the trapezoidal rule in y."""
    y = torch.linspace(-6, 6, 2001, dtype=torch.float64)
    times, x = torch.full_like(y, t), y.exp()[:, None]
    density = (mixture_score().log_density(x, times) + y).exp()
    return torch.trapezoid(density * function(x, times)[:, 0], y).item()


def non_negative(seed: int) -> list[Claim]:
    """Hyvärinen's objective recovers the rate of exponential data; with noise it is M-ESM."""
    generator = _generator(seed)
    x = -_uniform(generator, DRAWS)[:, None].log() / RATE
    rate, error = exponential_rate(x)

    def stein(x: Tensor, t: Tensor) -> Tensor:
        return (x.log() - 0.3).sin() / x - 1

    nnsm, log_space = non_negative_score_matching(stein, x).detach(), _score_matching_in_y(stein, x)
    return [
        Claim(f"rate found, data of rate {RATE:g}", rate, RATE, error),
        Claim(
            "the same against 0, what plain score matching finds", rate, 0.0, error, control=True
        ),
        equal("largest |objective − (score matching in ln x − ½)|", nnsm - log_space + 0.5),
        equal("the same without the ½", nnsm - log_space, control=True),
        *with_noise(generator),
    ]


def with_noise(generator: torch.Generator) -> list[Claim]:
    """Hyvärinen's objective of x_t less M-ESM / 2s⁴: the same for every model."""
    t = torch.full((DRAWS,), 0.3, dtype=torch.float64)
    x0, z = draw_data(generator, DRAWS)[:, None], _normals(generator, DRAWS, 1)
    exact, (first, second) = mixture_score(), _two_models()
    x, s = PROCESS.forward(x0, t, z), PROCESS.noise_level(t)

    def gap(model: Score, factor: float = 0.5) -> Tensor:
        nnsm = non_negative_score_matching(lambda x, _: model(x, t) / x, x).detach()
        return nnsm - factor * m_esm(model, exact, PROCESS, x0, t, z) / s**4

    constant = -half_score_power(0.3)
    return [
        mean_of("J of x_t − M-ESM / 2s⁴ for one score, against −½E h²", gap(first), constant),
        mean_of("J of x_t − M-ESM / 2s⁴ for another", gap(second), constant),
        mean_of("the one less the other, draw by draw", gap(first) - gap(second), 0.0),
        mean_of("J of x_t − M-ESM / s⁴", gap(first, 1.0), constant, control=True),
    ]


def exponential_rate(x: Tensor) -> tuple[float, float]:
    """Minimise the objective over ψ = −λ on data `x` [N, 1]; λ and its standard error.

    The objective is a parabola in λ, so its vertex follows from three values. It lies at
    2 Σx / Σx², whose error is that of a ratio of means.
    """
    losses = [
        non_negative_score_matching(lambda x, t, rate=rate: -rate + 0 * x, x).mean().item()
        for rate in (0.0, 1.0, 2.0)
    ]
    a, b, c = losses
    rate = (3 * a - 4 * b + c) / (2 * (a - 2 * b + c))
    influence = (2 * x - rate * x**2) / (x**2).mean()
    return rate, influence.std().item() / math.sqrt(len(x))


def _score_matching_in_y(stein: Score, x: Tensor) -> Tensor:
    """Hyvärinen's first objective (2005), ½g² + ∂ᵧg, for the score g = 1 + xψ of y = ln x."""
    y = x.log().requires_grad_()
    g = 1 + y.exp() * stein(y.exp(), torch.zeros(len(y)))
    (divergence,) = torch.autograd.grad(g.sum(), y)
    return (g**2 / 2 + divergence).sum(1).detach()


def flow(seed: int) -> list[Claim]:
    """The probability flow: its marginals, and the order of Heun's method."""
    x, grid = _noised(_generator(seed), PROCESS.horizon)[0][::2, None], karras_grid(PROCESS, 20)
    end = _flow(mixture_score(), x, grid)[-1]

    def doubled(x: Tensor, t: Tensor) -> Tensor:
        return 1 + 2 * mixture_score()(x, t)

    wrong = _flow(doubled, x, grid)[-1]
    order, tolerance = _order_of_heun()
    return [
        follows("KS distance of the end to the data", end, _data_cdf),
        follows("the same with σ² in place of ½σ²", wrong, _data_cdf, control=True),
        Claim("order of Heun’s method", order, 2.0, tolerance, random=False),
    ]


def _flow(score: Score, x: Tensor, grid: Tensor) -> list[Tensor]:
    """ln x [N] at every time of the grid."""
    steps = probability_flow(score, x, PROCESS, grid, noise=lambda: x)
    return [step.x.log()[:, 0] for step in steps]


def _data_cdf(y: NDArray) -> NDArray:
    """Distribution function of ln X₀."""
    return stats.norm.cdf(y[:, None], LOG_MEANS, LOG_STDS) @ np.array(WEIGHTS)


def _order_of_heun() -> tuple[float, float]:
    """Slope of ln error against ln steps for log-normal data, whose flow has a closed form.

    u − a shrinks as √(b² + s²); compared at the smallest noise level above zero. The tolerance is
    how much the slope still changes between the first and the last pair of grids.
    """
    a, b, x = 0.3, 0.25, torch.tensor([[4.0]], dtype=torch.float64)
    u = math.log(4.0) - PROCESS.log_drift(torch.tensor(PROCESS.horizon, dtype=torch.float64)).item()
    counts, errors = np.array([20, 40, 80]), []
    for count in counts:
        grid = karras_grid(PROCESS, int(count) + 1)
        y = _flow(log_normal_score(PROCESS, LogNormal(a, b)), x, grid)[-2].item()
        s, m = (f(grid[-2]).item() for f in (PROCESS.noise_level, PROCESS.log_drift))
        exact = a + (u - a) * math.hypot(b, s) / math.hypot(b, PROCESS.max_noise_level)
        errors.append(abs(y - m - exact))
    slopes = -np.diff(np.log(errors)) / np.diff(np.log(counts))
    return float(slopes[-1]), float(abs(np.diff(slopes)[0]))


def mirror(seed: int) -> list[Claim]:
    """One step of exponentiated gradient and one of Dale–Langevin, in the dual variable."""
    generator, eta = _generator(seed), 0.1
    w, d = _normals(generator, DRAWS), _normals(generator, DRAWS)
    moved = eg_step(w, d, eta)
    x, t = _noised(generator, PROCESS.horizon)
    still = one_step(dale_langevin, x, 0.1, torch.zeros_like(x))
    pull = PROCESS.sigma**2 * (1 + mixture_score()(x[:, None], t)[:, 0])
    drift = PROCESS.mu - PROCESS.sigma**2 / 2
    powers = _powers()
    return [
        equal("EG: largest |Δ∇φ(w) + ηd|", dual_change(w, moved, "entropy") + eta * d),
        equal("the same in w itself, |Δw + ηd|", moved - w + eta * d, control=True),
        equal(
            "Dale–Langevin without noise: largest |Δ∇φ(x) − δ(σ²(1 + h) − μ + σ²/2)|",
            dual_change(x, still, "entropy") - 0.1 * (pull - drift),
        ),
        Claim("EG: power of |w| by which a gradient moves w", powers[0], 1.0, 1e-4, random=False),
        Claim("Langevin: power of x by which it moves x", powers[1], 2.0, 1e-4, random=False),
        Claim("the same against 1", powers[1], 1.0, 1e-4, random=False, control=True),
    ]


def eg_step(w: Tensor, d: Tensor, eta: float) -> Tensor:
    """`w` after one step of exponentiated gradient along the gradient `d`, both [N]."""
    weights = torch.nn.Parameter(w.clone())
    weights.grad = d
    ExponentiatedGradient([weights], eta).step()
    return weights.detach()


def _powers() -> tuple[float, float]:
    """Slopes of ln|Δ| against ln x for one gradient, −λ, everywhere (that of exponential data)."""
    x, delta = torch.logspace(-1, 1, 5, dtype=torch.float64), 1e-7
    process = GeometricBrownianMotion(0.0, 1.0)

    def step(rate: float) -> Tensor:
        grid = torch.tensor([1.0, 1.0 - delta, 0.0], dtype=torch.float64)
        options = LangevinOptions(tweedie=False)
        steps = dale_langevin(
            lambda x, t: -rate * x,
            x[:, None],
            process,
            grid,
            noise=lambda: x[:, None] * 0,
            options=options,
        )
        next(steps)
        return next(steps).x[:, 0]

    moves = x - eg_step(x, torch.full_like(x, RATE), delta), step(0.0) - step(RATE)
    at = np.log(x.numpy())
    first, second = (_fit_slope(at, np.log(move.numpy()), np.ones(len(x)))[0] for move in moves)
    return first, second


MEASUREMENTS: dict[str, Callable[[int], list[Claim]]] = {
    f.__name__: f
    for f in (motion, score, reverse, lamperti, tweedie, objectives, non_negative, flow, mirror)
}


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _normals(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _uniform(generator: torch.Generator, count: int) -> Tensor:
    """In (0, 1], so that a logarithm can follow."""
    return 1 - torch.rand(count, generator=generator, dtype=torch.float64)


def _ones(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.float64)


def draw_data(generator: torch.Generator, count: int) -> Tensor:
    """Draw x₀ [N] from the mixture."""
    second = (_uniform(generator, count) <= WEIGHTS[1]).long()
    a, b = (torch.tensor(v, dtype=torch.float64)[second] for v in (LOG_MEANS, LOG_STDS))
    return (a + b * _normals(generator, count)).exp()


def _noised(generator: torch.Generator, t: float) -> tuple[Tensor, Tensor]:
    """Draw x_t [N] and repeat t [N]."""
    times = t * _ones(DRAWS)
    return PROCESS.forward(draw_data(generator, DRAWS), times, _normals(generator, DRAWS)), times


def _gradient(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.detach().requires_grad_()
    return torch.autograd.grad(function(at).sum(), at)[0]


def _fit_slope(x: NDArray, y: NDArray, errors: NDArray) -> tuple[float, float]:
    """Least-squares slope of y over x, and its error from those of y, all [N]."""
    lever = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    return float((lever * y).sum()), float(np.sqrt((lever**2 * errors**2).sum()))
