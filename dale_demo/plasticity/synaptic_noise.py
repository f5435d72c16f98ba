"""Noise on synapses: every step of a rule also multiplies each weight by a random factor.

    w ← w ∘ exp(ς z − ς²/2),  z ~ N(0, I)

This is geometric Brownian motion without drift, the forward process of the generative model, with
the weights as its state and a step as its unit of time. The factor has mean 1 and is positive, so
that noise moves no weight on average and through zero never.

With exponentiated gradient the dual variable moves by the gradient and normal noise of one size,

    ln|w| ← ln|w| − η sign(w) d − ς²/2 + ς z,

an Euler–Maruyama step, of length η, of Langevin dynamics in mirror space at temperature ς²/(2η).
As in EG itself the gradient is that in w, where Langevin dynamics of ln|w| has that in ln|w|; so
what the weights are drawn from is not exp(−loss/temperature). Noise of this form serves learning
in Nishida et al. (2025), and synapses that sample are the subject of Kappel et al. (2015).
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from dale_demo.noise import Noise
from dale_demo.process import GeometricBrownianMotion

PARAMETERS = 2**20
"""Random streams of one step: more than a network has parameters."""


def diffuse(w: Tensor, z: Tensor, noise: float) -> None:
    """w ← w ∘ exp(ς z − ς²/2), in place; |w| stays within the normal numbers of its type.

    Args:
        w: Weights, any shape and signs; one that is zero stays zero.
        z: Standard normals of that shape.
        noise: ς in [10⁻⁶, 10³].
    """
    motion, kind = GeometricBrownianMotion(0.0, noise), torch.finfo(w.dtype)
    moved = motion.forward(w.abs(), w.new_ones(()), z)
    w.copy_(w.sign() * moved.clamp(kind.tiny, kind.max))


def normals(
    seed: int, step: int, positions: Sequence[int], weights: Sequence[Tensor]
) -> Iterator[Tensor]:
    """Draw z for each of `weights`, from one generator for each parameter and step.

    So a weight gets the same noise whatever else is trained, after a restart, and on any device.

    Args:
        seed: Of the run, not negative.
        step: How many steps went before.
        positions: Place of each parameter among all of an optimiser, below `PARAMETERS`.
        weights: Give the shapes, types and devices.
    """
    for position, w in zip(positions, weights, strict=True):
        stream = step * PARAMETERS + position
        yield Noise(seed, [stream], w.shape, w.device)()[0].to(w.dtype)
