"""A small network that learns the score of two-dimensional data, to stand beside the exact one.

It is trained as the networks for images are: by M-DSM with the EDM weight, on data drawn from the
distribution, multiplied by noise. Everything random comes from generators of one seed, so the same
seed gives the same network.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from dale_demo.checks import check_float, check_int
from dale_demo.noise import seeds_of
from dale_demo.objectives import m_dsm, m_esm
from dale_demo.preconditioning import Preconditioning
from dale_demo.process import DEFAULT_MIN_NOISE_LEVEL, GeometricBrownianMotion, expand_as
from dale_demo.score import Score, from_denoiser
from dale_demo.toy import ToyData

WIDTH, HIDDEN_LAYERS = 128, 2
FREQUENCIES = 3
"""Frequencies of the sines and cosines of the input, an octave apart, that tell nearby points apart
sooner than the input itself."""
MIN_NOISE_LEVEL, MAX_NOISE_LEVEL = DEFAULT_MIN_NOISE_LEVEL, 3.0
"""The range of noise levels that the network is trained for."""
PROCESS = GeometricBrownianMotion.median_preserving(MAX_NOISE_LEVEL)
"""The process of the training. Only s matters to a denoiser, so the network serves every other."""
MEASURED = 2000
"""Draws behind a measured error."""


@dataclass(frozen=True)
class ToyTraining:
    """Settings of a training run.

    Args:
        steps: Updates of the weights, in [1, 100,000].
        batch_size: Pairs of a clean and a noised value in each, in [1, 100,000].
        learning_rate: Peak of Adam's rate, in (0, 1]: a short linear rise, then a half cosine to 0.
        seed: Seed of the first weights and of all draws, not negative.

    Raises:
        ValueError: A number is outside its range.
    """

    steps: int = 1500
    batch_size: int = 256
    learning_rate: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        check_int("steps", self.steps, 1, 100_000)
        check_int("batch_size", self.batch_size, 1, 100_000)
        check_float("learning_rate", self.learning_rate, 1e-12, 1)
        check_int("seed", self.seed, 0, 2**63 - 1)

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        rise = min(1.0, (step + 1) / 50)
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


class ToyDenoiser(nn.Module):
    """D(u, s) = E[ln X₀ | X_t] with u = ln x − m(t); see `Preconditioning`.

    F is a perceptron of c_in (u − ȳ), its sines and cosines, and ¼ ln s. The last layer starts at
    zero, so that D, untrained, is the exact denoiser of log-normal data with the means ȳ and the
    spread s_d.

    Args:
        data: The distribution, whose log moments are ȳ [2] and s_d.
        generator: Draws the first weights.
    """

    log_mean: Tensor

    def __init__(self, data: ToyData, generator: torch.Generator):
        super().__init__()
        mean, std = data.log_moments()
        self.register_buffer("log_mean", mean)
        self.log_std = std.square().mean().sqrt().item()
        sizes = [3 + 4 * FREQUENCIES, *[WIDTH] * HIDDEN_LAYERS]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [_linear(inputs, outputs, generator), nn.SiLU()]
        last = _linear(WIDTH, 2, generator)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, u: Tensor, noise_level: Tensor) -> Tensor:
        """Estimate ln x₀ [B, 2] from `u` [B, 2] and s [B]."""
        s = expand_as(noise_level, u).clamp(MIN_NOISE_LEVEL, MAX_NOISE_LEVEL)
        around = Preconditioning(self.log_mean, self.log_std)
        answer = self.layers(_features(around.scaled(u, s), s.log() / 4).float())
        return around.estimate(answer, u, s)

    @property
    def weights(self) -> int:
        """Number of learned weights."""
        return sum(parameter.numel() for parameter in self.parameters())

    def score(self, process: GeometricBrownianMotion) -> Score:
        """The network's score under `process`."""
        return from_denoiser(self, process)


def _features(x: Tensor, noise: Tensor) -> Tensor:
    """`x` [B, 2], sines and cosines of it, and `noise` [B, 1] → [B, 3 + 4 `FREQUENCIES`]."""
    waves = [x * (2**k * math.pi / 2) for k in range(FREQUENCIES)]
    return torch.cat([x, noise, *(f(wave) for wave in waves for f in (torch.sin, torch.cos))], 1)


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """PyTorch's own distribution of first weights, but not from its global generator."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -(inputs**-0.5), inputs**-0.5, generator=generator)
    return layer


@dataclass(frozen=True, eq=False)
class ToyTrainingStep:
    """Where a training is.

    Args:
        done: Steps so far.
        loss: M-DSM of the last batch, with the EDM weight.
        network: The network, which goes on learning if the next step is asked for.
    """

    done: int
    loss: float
    network: ToyDenoiser


def train(data: ToyData, training: ToyTraining = ToyTraining()) -> Iterator[ToyTrainingStep]:
    """Train a network on draws of `data`; yield after every step."""
    weights, draws = (torch.Generator().manual_seed(s) for s in seeds_of(training.seed, range(2)))
    network = ToyDenoiser(data, weights)
    score = network.score(PROCESS)
    optimiser = torch.optim.Adam(network.parameters())
    for step in range(training.steps):
        x0, t, z = _batch(data, training.batch_size, draws)
        loss = m_dsm(score, PROCESS, x0, t, z, "preconditioned", network.log_std).mean()
        optimiser.zero_grad()
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = training.rate(step)
        optimiser.step()
        yield ToyTrainingStep(step + 1, loss.item(), network)


def _batch(data: ToyData, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw x₀ [count, 2], t [count] and z [count, 2]; ln s is uniform over the range."""
    x0 = data.draw(count, generator)
    low, high = math.log(MIN_NOISE_LEVEL), math.log(MAX_NOISE_LEVEL)
    share = torch.rand(count, generator=generator, dtype=torch.float64)
    t = PROCESS.time(torch.exp(low + (high - low) * share))
    return x0, t, torch.randn((count, 2), generator=generator, dtype=torch.float64)


@torch.no_grad()
def relative_error(network: ToyDenoiser, data: ToyData, noise_level: float, seed: int) -> float:
    """√(M-ESM / E‖s² (1 + h)‖²): how far the network's score is from the exact one.

    1 + h is the exact score in ln x. So 0 is the exact score, and 1 is as far off as a score of 0
    in ln x, a network that takes the noised value for the clean one.

    Args:
        noise_level: s in (0, `MAX_NOISE_LEVEL`].
        seed: Seed of the `MEASURED` draws of x_t.
    """
    generator = torch.Generator().manual_seed(seeds_of(seed, [2])[0])
    x0 = data.draw(MEASURED, generator)
    z = torch.randn((MEASURED, 2), generator=generator, dtype=torch.float64)
    t = PROCESS.time(torch.full((MEASURED,), noise_level, dtype=torch.float64))
    exact = data.score(PROCESS)
    error = m_esm(network.score(PROCESS), exact, PROCESS, x0, t, z).mean()
    nothing = m_esm(lambda x, _: -torch.ones_like(x), exact, PROCESS, x0, t, z).mean()
    return (error / nothing).sqrt().item()
