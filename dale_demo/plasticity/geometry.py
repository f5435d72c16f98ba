"""Mirror maps of the learning rules: w ↦ ∇φ(w), the variable to which a rule adds its step.

Mirror descent moves the dual variable by plain steps, ∇φ(w') = ∇φ(w) − η d. Gradient descent is the
case φ = ½w² and exponentiated gradient the case φ = |w| ln|w|. Pogodin et al. (2024) use the
converse: the φ for which the *change* of ∇φ(w) is Gaussian identifies the rule that trained w.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

PotentialName = Literal["2-norm", "3-norm", "entropy"]

MIRROR_MAPS: dict[PotentialName, Callable[[Tensor], Tensor]] = {
    "2-norm": lambda w: w,
    "3-norm": lambda w: w * w.abs(),
    "entropy": lambda w: w.sign() * (w.abs().log() + 1),
}
"""∇φ, elementwise on any shape, of φ(w) = ½w², ⅓|w|³ and |w| ln|w|."""


def dual_change(start: Tensor, end: Tensor, potential: PotentialName) -> Tensor:
    """Compute ∇φ(end) − ∇φ(start), elementwise, any shape; "entropy" needs weights other than 0.

    Raises:
        ValueError: The shapes differ, or the potential is unknown.
    """
    if start.shape != end.shape:
        raise ValueError(f"Two equal shapes expected, got {start.shape} and {end.shape}.")
    if potential not in MIRROR_MAPS:
        raise ValueError(f"Unknown potential {potential!r}; use one of {', '.join(MIRROR_MAPS)}.")
    mirror_map = MIRROR_MAPS[potential]
    return mirror_map(end) - mirror_map(start)
