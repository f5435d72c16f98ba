"""Mirror maps: what a learning rule adds to is ∇φ(w), and the geometry is that of φ.

Mirror descent moves the dual variable by plain steps, ∇φ(w') = ∇φ(w) − η d. Gradient descent is the
case φ = ½w² and exponentiated gradient the case φ = |w| ln|w|. Pogodin et al. (2024) turn this
round: the φ for which the *change* of ∇φ(w) is Gaussian tells which rule has been at work.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

PotentialName = Literal["2-norm", "3-norm", "entropy"]


@dataclass(frozen=True)
class Potential:
    """A convex φ, applied to each weight.

    Args:
        formula: φ(w), to be read.
        dual: w ↦ ∇φ(w), elementwise, any shape.
    """

    formula: str
    dual: Callable[[Tensor], Tensor]


POTENTIALS: dict[PotentialName, Potential] = {
    "2-norm": Potential("½ w²", lambda w: w),
    "3-norm": Potential("⅓ |w|³", lambda w: w * w.abs()),
    "entropy": Potential("|w| ln|w|", lambda w: w.sign() * (w.abs().log() + 1)),
}


def dual_change(start: Tensor, end: Tensor, potential: PotentialName) -> Tensor:
    """∇φ(end) − ∇φ(start), elementwise, any shape; "entropy" asks for weights other than 0.

    Raises:
        ValueError: The shapes differ, or the potential is unknown.
    """
    if start.shape != end.shape:
        raise ValueError(f"Two equal shapes expected, got {start.shape} and {end.shape}.")
    if potential not in POTENTIALS:
        raise ValueError(f"Unknown potential {potential!r}; use one of {', '.join(POTENTIALS)}.")
    dual = POTENTIALS[potential].dual
    return dual(end) - dual(start)
