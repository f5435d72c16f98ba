"""Settings of the page Dale's law: widgets, their keys in the address, and the request they make.

Each widget's key is its query parameter. A size has one key for each task, because its default and
range are the task's. PyTorch is imported only when a request is built.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from dale_demo.ui.dales_law.record import NAMES
from dale_demo.ui.shared.widgets import seed

if TYPE_CHECKING:
    from dale_demo.plasticity import Rule
    from dale_demo.plasticity.tasks import Task

RULES = {"gd": "GD", "sign-constrained": "sign-constrained", "eg": "EG"}
ONLINE = ("sparse", "dense")


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
TASKS: dict[str, tuple[str, tuple[Size, ...]]] = {
    "r-of-k": (
        "Are at least half of the k relevant inputs on? The n − k other inputs do not matter.",
        (
            Size(
                "inputs", "Inputs n", "Synapses of the neuron.", 2000, (200, 500, 1000, 2000, 5000)
            ),
            Size("relevant", "Relevant inputs k", "How many inputs matter.", 20),
            Size("epochs", "Epochs", EPOCHS, 20, (5, 10, 20, 30, 40)),
        ),
    ),
    "sparse": (
        "Linear regression in which k of N inputs matter. A weight is a pair w⁺ + w⁻, so that EG "
        "can reach both signs: EG±.",
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
        "Fit a few random targets with very many weights: which solution does each rule find?",
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
            Size(
                "signs",
                "Signs at the start",
                "By **columns** a whole neuron has one sign, by **random** each weight its own.",
                "columns",
                ("columns", "random"),
            ),
            Size("epochs", "Epochs", EPOCHS, 10, (2, 5, 10, 20)),
        ),
    ),
}


@dataclass(frozen=True)
class LearningRequest:
    """A run that a visitor asks for, in plain values.

    Args:
        task: A key of `TASKS`.
        sizes: By the name of the task's argument.
        rates: η of each rule that runs; None where it is searched.
        seed: Of data, start and order.
    """

    task: str
    sizes: Mapping[str, Any]
    rates: Mapping[str, float | None]
    seed: int

    def described(self) -> dict[str, Any]:
        """Return everything but the rules, as `LearningRecord.task` keeps it."""
        return {"name": self.task, **self.sizes, "seed": self.seed}

    def build(self) -> tuple["Task", dict[str, "Rule"]]:
        """Make the task and the rules, by name.

        Raises:
            ValueError: The sizes do not go together, or no rule is chosen.
        """
        from dale_demo.plasticity import Rule

        if not self.rates:
            raise ValueError("No rule is chosen; choose at least one.")
        task = _task(self.task, self.sizes)
        # EG± is normalised: Σ|w| stays what it was at the start.
        options = {"eg": {"total": float(task.relevant)}} if self.task in ONLINE else {}  # type: ignore[attr-defined]
        rules = {
            name: Rule(name, rate, options.get(name, {}))  # type: ignore[arg-type]
            for name, rate in self.rates.items()
        }
        return task, rules


def _task(name: str, sizes: Mapping[str, Any]) -> "Task":
    from dale_demo import plasticity

    match name:
        case "r-of-k":
            half = max(1, sizes["relevant"] // 2)
            return plasticity.RelevantInputs(**sizes, threshold=half)
        case "sparse":
            return plasticity.OnlineRegression(**sizes)
        case "dense":
            return plasticity.OnlineRegression(**sizes, relevant=sizes["inputs"])
        case "correlated":
            return plasticity.CorrelatedRegression(**sizes)
        case _:
            return plasticity.Digits(**sizes)


def default_request() -> LearningRequest:
    """Return the request of untouched widgets."""
    name = next(iter(TASKS))
    sizes = {size.name: size.default for size in TASKS[name][1]}
    return LearningRequest(name, sizes, dict.fromkeys(RULES), seed=0)


def controls() -> LearningRequest:
    """Draw the widgets and read them."""
    task = st.selectbox(
        "Task",
        list(TASKS),
        key="task",
        bind="query-params",
        help="What the rules learn, side by side, from the same data, order and start.",
    )
    about, sizes = TASKS[task]
    st.caption(about)
    chosen = {size.name: _size(task, size) for size in sizes}
    rules = _rules()
    drawn = seed(0, key="draw", help="Of data, start and order: the same seed gives the same run.")
    with st.expander("Learning rates η"):
        rates = {name: _rate(name) for name in rules}
    return LearningRequest(task, chosen, rates, drawn)


def key_of(task: str, name: str) -> str:
    """Return the key of a size, which is its query parameter."""
    return f"{task}-{name}"


def _size(task: str, size: Size) -> Any:
    common: dict[str, Any] = {
        "key": key_of(task, size.name),
        "bind": "query-params",
        "help": size.help,
    }
    if size.options is None:
        return st.number_input(size.label, 1, 100_000, size.default, **common)
    if isinstance(size.default, str):
        options = list(size.options)
        return st.selectbox(size.label, options, index=options.index(size.default), **common)
    return st.select_slider(size.label, size.options, size.default, **common)


def _rules() -> list[str]:
    chosen = st.pills(
        "Rules",
        list(RULES.values()),
        selection_mode="multi",
        default=list(RULES.values()),
        key="rules",
        bind="query-params",
        help="Which rules run: **GD** is gradient descent, **EG** exponentiated gradient, and "
        "**sign-constrained** is GD that stops at zero.",
    )
    return [name for name, label in RULES.items() if label in chosen]


def _rate(name: str) -> float | None:
    return st.number_input(
        RULES[name],
        1e-6,
        1e3,
        None,
        format="%.4g",
        key=f"eta-{name}",
        bind="query-params",
        placeholder="best of search",
        help=f"Learning rate of {NAMES[name]}; if empty, the best on validation examples.",
    )
