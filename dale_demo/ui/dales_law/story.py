"""Text and tables of the page Dale's law: what its numbers mean, why it works, and its limits."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from dale_demo.drawing.markdown import table
from dale_demo.ui.dales_law.fits import dual, fits, quantile_plot
from dale_demo.ui.dales_law.limits import limits
from dale_demo.ui.dales_law.parts import chart
from dale_demo.ui.dales_law.player import measure
from dale_demo.ui.dales_law.record import (
    NAMES,
    SHARES,
    LearningRecord,
    RuleRecord,
    end_of,
)
from dale_demo.ui.dales_law.settings import RULES
from dale_demo.ui.dales_law.tasks import MOMENTUM, SCORE, TASKS
from dale_demo.ui.dales_law.together import together

if TYPE_CHECKING:
    from dale_demo.plasticity import Trial

TAGLINE = (
    "A synapse is excitatory or inhibitory and stays so; its strength changes by factors. Gradient "
    "descent does neither. **Exponentiated gradient** does both, and its weights are log-normal."
)
WHAT_YOU_SEE = (
    "The same network learns the same examples in the same order from the same start, once by each "
    "rule. **Bars** show the weights by size, on a log axis: excitatory weights above the line, "
    "inhibitory weights below it; a weight that changes its sign moves to the other side. "
    "**Paths** follow single weights, on log axes above and below zero; the task *score* adds the "
    "**images** that each network draws. Press play or drag; the "
    "sidebar (**»** on a phone) changes the task, and the page’s address keeps it."
)
SONG = (
    "**Song et al. 2005** adds the distribution of synaptic strengths measured between pyramidal "
    "cells of layer 5: ln w is normal with standard deviation 0.94. Its width can be compared, its "
    "position cannot: theirs is in millivolts (median 0.50 mV) and a network’s weight has no unit, "
    "so the curve is centred on each rule’s own weights. Those cells are excitatory only."
)
ABOUT_PRUNING = (
    "The smallest weights of the trained network are set to zero, and it is tested again without "
    "further training. A network that relies on a few large weights keeps its accuracy."
)
ABOUT_SEARCH = (
    "EG’s steps are relative, so it needs a far larger rate than GD; a comparison at one rate, or "
    "with an untuned rule, would say nothing. Every rule is tried at rates a factor of two "
    "apart until the best is not at the edge, and compared on validation examples only."
)
ABOUT_GIVEN = (
    "On the task *score* a search would take minutes: a field that is left empty takes the best "
    "rate of a search made beforehand, at seed 0. There the rules without Adam’s moments have "
    f"momentum {MOMENTUM}."
)
TRIAL_HEAD = ("rule", "η", "validation loss", "validation accuracy")
MIRROR = r"""
Gradient descent adds its step to the weight. With a **mirror map** ∇φ, the step is added to ∇φ(w)
instead. Learning and sampling in this project share one potential, the entropy

$$
\varphi(w) = \sum |w|\,\ln|w|,
$$

$$
\nabla\varphi(w) = \operatorname{sign}(w)\,(\ln|w| + 1).
$$

Adding to ∇φ(w) is adding to ln|w|, and so multiplying w by an exponential, which is positive: the
sign stays, at any step size. Random steps that add up in ln|w| make it normal, and w log-normal.
"""
EG_STEP = r"w \leftarrow w \circ \exp(-\eta\,\operatorname{sign}(w) \circ d)"
LANGEVIN_STEP = (
    r"x \leftarrow x \circ \exp\big(\sigma^2\delta\, h - (\mu - \tfrac32\sigma^2)\,\delta"
    r" + a\,\sigma\sqrt\delta\, z\big)"
)
COMPARISON = (
    ("", "exponentiated gradient", "Dale–Langevin"),
    ("moves", "a weight w ≠ 0, over training", "a pixel x > 0, from noise to image"),
    ("adds to", r"$\operatorname{sign}(w)\,(\ln\lvert w\rvert + 1)$", r"$\ln x + 1$"),
    ("step size", r"$\eta$", r"$\sigma^2\delta$"),
    ("gradient", r"$-d = -\nabla_w L$", r"$1 + h = \nabla_{\ln x} \ln p$"),
    ("drift", "none", r"$-(\mu - \tfrac12\sigma^2)\,\delta$"),
    ("noise", r"none, or $\varsigma z$", r"$a\,\sigma\sqrt\delta\,z$"),
    ("never", "takes w through zero", "takes x to zero"),
)
DIFFERENCE = r"""
They **share the mirror map; they are not the same method**. EG puts the gradient in w into the
dual step, Langevin the gradient in ln x, which is x times that in x. So to first order the gradient
moves a weight by $|w| \circ d$ and a pixel by $x^2 \circ \nabla\ln p$: one factor more. And EG
descends to a minimum, while Langevin dynamics with its noise samples from a distribution.
"""


def draw(record: LearningRecord, show: Callable[[str], None]) -> None:
    """Draw everything below the player; `show` shows a stored training in it, by its name."""
    st.markdown(WHAT_YOU_SEE)
    st.markdown(SONG)
    st.header("Which distribution do the weights have?", divider="gray")
    fits(record)
    quantile_plot(record)
    st.header("Which geometry does each rule have?", divider="gray")
    dual(record)
    st.header("How much can be pruned?", divider="gray")
    _pruning(record)
    st.header("Is the comparison fair?", divider="gray")
    _search(record)
    st.header("Why it works", divider="gray")
    st.markdown(MIRROR)
    for equation in (EG_STEP, LANGEVIN_STEP):
        st.latex(equation)
    st.markdown(table(COMPARISON[0], COMPARISON[1:]))
    st.markdown(DIFFERENCE)
    together(show)
    st.header("Limits", divider="gray")
    limits()


def describe(record: LearningRecord, running: bool = False) -> str:
    """Describe in one line how a training was made, or is being made."""
    sizes = dict(record.task)
    name, seed, noise = sizes.pop("name"), sizes.pop("seed"), sizes.pop("noise", None)
    labels = {size.name: size.label for size in TASKS[name][1]}
    settings = ", ".join(f"{labels[key]} {value}" for key, value in sizes.items())
    noisy = f", noise on synapses ς {noise:g}" if noise else ""
    return f"{_origin(record, running)} the task *{name}*: {settings}{noisy}, seed {seed}."


def _origin(record: LearningRecord, running: bool) -> str:
    step = int(record.steps[-1])
    if running:
        return "In training on"
    if record.stopped:
        return f"Training **stopped at update {step:,}** of {record.planned:,} on"
    if record.seconds is None:
        return f"Stored training, {step:,} updates on"
    return f"Trained in {record.seconds:.1f} s, {step:,} updates on"


def trials_so_far(trials: Mapping[str, Sequence["Trial"]]) -> None:
    """Draw the search during a run, one line for each rule."""
    for name, tried in trials.items():
        text = ", ".join(
            f"{t.learning_rate:.3g} → "
            + (f"{t.loss:.3g}" if t.accuracy is None else f"{t.accuracy:.1%}")
            for t in sorted(tried, key=lambda t: t.learning_rate)
        )
        st.caption(f"**{RULES[name]}** · η → on validation examples: {text}")


@st.fragment
def _pruning(record: LearningRecord) -> None:
    st.markdown(ABOUT_PRUNING)
    share = st.select_slider(
        "Weights pruned",
        SHARES,
        0.9,
        format_func=_percent,
        key="pruned",
        help="Share of all weights set to zero, the smallest first.",
    )
    columns = st.columns(len(record.rules))
    for column, (name, rule) in zip(columns, record.rules.items(), strict=True):
        left, whole = (_score(record, end_of(rule).pruned[i]) for i in (SHARES.index(share), 0))
        column.metric(NAMES[name], left, f"{whole} unpruned", delta_color="off", delta_arrow="off")
    with st.expander("The whole curve", key="pruning-curve", on_change="rerun") as panel:
        if panel.open:
            from dale_demo.ui.dales_law.figures import pruning

            chart(pruning(record, share), "pruning")


def _score(record: LearningRecord, merit: float) -> str:
    """Format a test accuracy, or a loss from its negative."""
    return _percent(merit) if measure(record)["kind"] == "share" else f"loss {-merit:.3g}"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace(".0%", "%")


@st.fragment
def _search(record: LearningRecord) -> None:
    st.markdown(ABOUT_SEARCH)
    if record.task["name"] == SCORE:
        st.markdown(ABOUT_GIVEN)
    rates = (f"{NAMES[name]} η = {_rate(rule)}" for name, rule in record.rules.items())
    st.markdown(f"Used here: {', '.join(rates)}.")
    if not any(rule.searched for rule in record.rules.values()):
        return
    with st.expander("Every trial", key="search-table", on_change="rerun") as panel:
        if panel.open:
            from dale_demo.ui.dales_law.figures import trials

            chart(trials(record), "trials")
            st.markdown(table(TRIAL_HEAD, _trial_rows(record)))


def _rate(rule: RuleRecord) -> str:
    origin = f"best of {len(rule.trials)}" if rule.searched else "given"
    return f"{rule.learning_rate:.3g} ({origin})"


def _trial_rows(record: LearningRecord) -> list[tuple[str, ...]]:
    return [
        (
            RULES[name],
            f"**{rate:.3g}**" if rate == rule.learning_rate else f"{rate:.3g}",
            f"{loss:.4g}",
            "" if math.isnan(accuracy) else f"{accuracy:.1%}",
        )
        for name, rule in record.rules.items()
        for rate, loss, accuracy in rule.trials
    ]
