"""Settings of the page Dale's law: widgets, their keys in the address, and the request they make.

Each widget's key is its query parameter. A size has one key for each task, because its default and
range are the task's. PyTorch is imported only when a request is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from dale_demo.ui.dales_law.record import NAMES
from dale_demo.ui.dales_law.tasks import GIVEN_RATES, MOMENTUM, ONLINE, SCORE, TASKS, Size
from dale_demo.ui.shared.widgets import seed

if TYPE_CHECKING:
    from dale_demo.plasticity import Rule
    from dale_demo.plasticity.tasks import Task

RULES = {
    "gd": "GD",
    "sign-constrained": "sign-constrained",
    "eg": "EG",
    "adam": "Adam",
    "eg-adam": "EG-Adam",
}
FIRST_RULES = ("gd", "sign-constrained", "eg")
"""Those that run unless a visitor chooses others."""
EXPONENTIATED = ("eg", "eg-adam")
"""Those that noise on synapses belongs to."""
ADAPTIVE = ("adam", "eg-adam")
MOST_NOISE = 0.5
"""Largest ς of the widget: one step then changes a weight by half of itself."""


@dataclass(frozen=True)
class LearningRequest:
    """A run that a visitor asks for, in plain values.

    Args:
        task: A key of `TASKS`.
        sizes: By the name of the task's argument.
        rates: η of each rule that runs; None where it is searched.
        seed: Of data, start, order and noise.
        noise: ς of the noise on synapses, for the rules that it belongs to.
    """

    task: str
    sizes: Mapping[str, Any]
    rates: Mapping[str, float | None]
    seed: int
    noise: float = 0.0

    def described(self) -> dict[str, Any]:
        """Return everything but the rules, as `LearningRecord.task` keeps it."""
        noise = {"noise": self.noise} if self.noise else {}
        return {"name": self.task, **self.sizes, **noise, "seed": self.seed}

    def build(self) -> tuple["Task", dict[str, "Rule"]]:
        """Make the task and the rules, by name.

        Raises:
            ValueError: The sizes do not go together, or no rule is chosen.
        """
        from dale_demo.plasticity import Rule

        if not self.rates:
            raise ValueError("No rule is chosen; choose at least one.")
        task = _task(self.task, self.sizes)
        rules = {
            name: Rule(name, rate, self._options(name, task))  # type: ignore[arg-type]
            for name, rate in self.rates.items()
        }
        return task, rules

    def _options(self, name: str, task: "Task") -> dict[str, Any]:
        """Return the settings of a rule besides its rate."""
        options: dict[str, Any] = {}
        if self.task in ONLINE and name == "eg":
            # EG± is normalised: Σ|w| stays what it was at the start.
            options["total"] = float(task.relevant)  # type: ignore[attr-defined]
        if self.task == SCORE and name not in ADAPTIVE:
            options["momentum"] = MOMENTUM
        if self.noise and name in EXPONENTIATED:
            options |= {"noise": self.noise, "seed": self.seed}
        return options


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
        case "digits":
            return plasticity.Digits(**sizes)
        case _:
            return plasticity.ScoreNetwork(**sizes)


def default_request() -> LearningRequest:
    """Return the request of untouched widgets."""
    name = next(iter(TASKS))
    sizes = {size.name: size.default for size in TASKS[name][1]}
    return LearningRequest(name, sizes, dict.fromkeys(FIRST_RULES), seed=0)


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
    noise = _noise()
    drawn = seed(0, key="draw", help="Of data, start and order: the same seed gives the same run.")
    with st.expander("Learning rates η"):
        rates = {name: _rate(name, GIVEN_RATES.get(task, {}).get(name)) for name in rules}
    return LearningRequest(task, chosen, rates, drawn, noise)


def show(request: LearningRequest) -> None:
    """Set the widgets to a request, in a callback: before they are drawn."""
    given, state = GIVEN_RATES.get(request.task, {}), st.session_state
    state["task"], state["draw"], state["synaptic-noise"] = (
        request.task,
        request.seed,
        request.noise,
    )
    for name, value in request.sizes.items():
        state[key_of(request.task, name)] = value
    state["rules"] = [RULES[name] for name in request.rates]
    for name, rate in request.rates.items():
        state[f"eta-{name}"] = None if rate == given.get(name) else rate


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
        default=[RULES[name] for name in FIRST_RULES],
        key="rules",
        bind="query-params",
        help="Which rules run: **GD** is gradient descent, **EG** exponentiated gradient, "
        "**sign-constrained** is GD that stops at zero, and **EG-Adam** is EG along Adam’s "
        "direction.",
    )
    return [name for name, label in RULES.items() if label in chosen]


def _noise() -> float:
    return st.number_input(
        "Noise on synapses ς",
        0.0,
        MOST_NOISE,
        0.0,
        step=0.01,
        format="%.4g",
        key="synaptic-noise",
        bind="query-params",
        help="Each step of **EG** and **EG-Adam** also multiplies every weight by a random factor "
        "exp(ς z − ς²/2), of mean 1, with z standard normal.",
    )


def _rate(name: str, given: float | None) -> float | None:
    """Read η of a rule; `given` or, without one, None for a search where the field is empty."""
    rate = st.number_input(
        RULES[name],
        1e-6,
        1e3,
        None,
        format="%.4g",
        key=f"eta-{name}",
        bind="query-params",
        placeholder=f"{given:g}" if given else "best of search",
        help=f"Learning rate of {NAMES[name]}; if empty, the best on validation examples.",
    )
    return rate or given
