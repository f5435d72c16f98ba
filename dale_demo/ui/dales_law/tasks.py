"""The tasks that a visitor can choose: what they are, their sizes, and the rates given with them.

Plain values: the page draws them without importing PyTorch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ONLINE = ("sparse", "dense")
"""Tasks whose rules learn one example at a time."""
SCORE = "score"
"""The task whose networks draw images."""


@dataclass(frozen=True)
class Size:
    """A setting of a task: a whole number or a word.

    Args:
        name: Of the task's argument.
        label, help: Of the widget.
        default: Value before the visitor changes it.
        options: Values to choose from; None for any whole number of at least 1.
    """

    name: str
    label: str
    help: str
    default: Any
    options: Sequence[Any] | None = None


EPOCHS = "Passes over all training examples."
DRAWN_ONCE = "The rules learn one example at a time, so this is also the number of updates."
SIGNS = "By **columns** a whole neuron has one sign, by **random** each weight its own."
TASKS: dict[str, tuple[str, tuple[Size, ...]]] = {
    "r-of-k": (
        "Are at least half of the k relevant inputs on? The n − k other inputs do not matter. "
        "After Cornford et al. (2024), but with exact labels: theirs are noisy in training, the "
        "number of relevant inputs one too high or one too low, 5 % of the time each.",
        (
            Size(
                "inputs", "Inputs n", "Synapses of the neuron.", 2000, (200, 500, 1000, 2000, 5000)
            ),
            Size("relevant", "Relevant inputs k", "How many inputs matter.", 20),
            Size("epochs", "Epochs", EPOCHS, 20, (5, 10, 20, 30, 40)),
        ),
    ),
    "sparse": (
        "Linear regression in which k of N inputs matter (Kivinen and Warmuth, 1997). A weight is "
        "a pair w⁺ + w⁻, so that EG can reach both signs: EG±.",
        (
            Size("inputs", "Inputs N", "Numbers in an example.", 500, (100, 200, 500, 1000, 2000)),
            Size("relevant", "Relevant inputs k", "How many inputs matter.", 3),
            Size("trials", "Examples", DRAWN_ONCE, 2000, (500, 1000, 2000, 5000)),
        ),
    ),
    "dense": (
        "Linear regression in which every input matters; a weight is a pair w⁺ + w⁻.",
        (
            Size("inputs", "Inputs N", "All of them matter.", 100, (20, 50, 100, 200)),
            Size("trials", "Examples", DRAWN_ONCE, 2000, (500, 1000, 2000, 5000)),
        ),
    ),
    "correlated": (
        "Fit a few random targets with very many weights: which solution does each rule find? "
        "After Pogodin et al. (2024); Cornford et al. have no such task.",
        (
            Size("inputs", "Weights D", "Far more than examples.", 10_000, (1000, 3000, 10_000)),
            Size("examples", "Examples N", "Random targets to fit.", 100, (20, 50, 100, 200)),
            Size(
                "start",
                "First weights",
                "Distribution that the weights are drawn from, with the same variance.",
                "log-normal",
                ("log-normal", "normal"),
            ),
            Size("epochs", "Epochs", EPOCHS, 500, (100, 200, 500, 1000)),
        ),
    ),
    "digits": (
        "Classify handwritten digits with two layers of neurons, trained on 1,800 images of MNIST.",
        (
            Size(
                "hidden",
                "Hidden units",
                "Neurons between pixels and classes.",
                100,
                (20, 50, 100, 200),
            ),
            Size("signs", "Signs at the start", SIGNS, "columns", ("columns", "random")),
            Size("epochs", "Epochs", EPOCHS, 10, (2, 5, 10, 20)),
        ),
    ),
    SCORE: (
        "A score network, small: take multiplicative noise off 1,800 digits of 14 × 14 pixels, and "
        "draw digits with what was learned. Add Adam and EG-Adam under **Rules**.",
        (
            Size("hidden", "Hidden units", "Neurons in each of two layers.", 256, (64, 128, 256)),
            Size("signs", "Signs at the start", SIGNS, "random", ("columns", "random")),
            Size("epochs", "Epochs", EPOCHS, 100, (10, 20, 50, 100, 200)),
        ),
    ),
}
GIVEN_RATES: Mapping[str, Mapping[str, float]] = {
    SCORE: {"gd": 0.4, "sign-constrained": 0.4, "eg": 4.0, "adam": 0.002, "eg-adam": 0.03}
}
"""Tasks that would take minutes to search, with a rate for each rule: the library's first guess."""
MOMENTUM = 0.9
"""Of the rules without Adam's moments, on the task `SCORE`: they would learn little without it."""
