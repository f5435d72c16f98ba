"""Text and tables of the page Dale's law: what its numbers mean, why it works, and its limits."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from dale_demo.drawing.markdown import number, table
from dale_demo.ui.dales_law.player import measure
from dale_demo.ui.dales_law.record import (
    NAMES,
    POTENTIALS,
    SHARES,
    LearningRecord,
    RuleRecord,
    end_of,
)
from dale_demo.ui.dales_law.settings import RULES, TASKS, key_of
from dale_demo.ui.dales_law.stored_run import load_stored_training

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
    "**Paths** follow single weights, on log axes above and below zero. Press play or drag; the "
    "sidebar (**»** on a phone) changes the task, and the page’s address keeps it."
)
SONG = (
    "**Song et al. 2005** adds the distribution of synaptic strengths measured between pyramidal "
    "cells of layer 5: ln w is normal with standard deviation 0.94. Its width can be compared, its "
    "position cannot: theirs is in millivolts (median 0.50 mV) and a network’s weight has no unit, "
    "so the curve is centred on each rule’s own weights. Those cells are excitatory only."
)
ABOUT_FITS = """
- **KS** is the largest gap between the distribution function of the weights and the fitted one: 0
  is a perfect fit, and the smaller of the two KS distances shows which distribution is nearer.
- **A²/n** (Anderson–Darling) gives more weight to the tails, where the two distributions differ
  most.
- **Likelihood** compares the two distributions weight by weight, in nats: above 0 favours
  log-normal, below 0 normal; if |z| is under 2, the weights do not decide.
- **Skew of ln|w|** is 0 for a log-normal distribution and −1.54 for a normal one centred on 0.

All distributions were fitted to the weights they are compared with, so these are distances, not
tests.
"""
FIT_ROWS = (
    "ln\\|w\\|: mean ± s.d.",
    "KS to log-normal",
    "KS to normal",
    "A²/n to log-normal",
    "A²/n to normal",
    "likelihood, nats a weight",
    "its z",
    "skew of ln\\|w\\|",
)
ABOUT_QUANTILES = (
    "On the dashed line a rule’s weights are log-normal. Points above the line at the right are "
    "weights larger than the fit predicts; a step is a separate group of weights, such as those on "
    "relevant inputs."
)
ABOUT_DUAL = (
    "A rule that adds its steps to ∇φ(w) makes *the change of* ∇φ(w) a sum of many small terms, "
    "and so nearly normal; for another φ it is not. The table has the KS distance of that change "
    "to a normal distribution, the smallest in bold. ½w² is the geometry of gradient descent, "
    "|w| ln|w| that of exponentiated gradient (Pogodin et al., 2024); the task *correlated* shows "
    "it best."
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
    ("noise", "none added", r"$a\,\sigma\sqrt\delta\,z$"),
    ("never", "takes w through zero", "takes x to zero"),
)
DIFFERENCE = r"""
They **share the mirror map; they are not the same method**. EG puts the gradient in w into the
dual step, Langevin the gradient in ln x, which is x times that in x. So to first order the gradient
moves a weight by $|w| \circ d$ and a pixel by $x^2 \circ \nabla\ln p$: one factor more. And EG
descends to a minimum, while Langevin dynamics with its noise samples from a distribution.
"""
PROOF = (
    "**A log-normal distribution proves no rule.** EG leads to one, but the same shape also "
    "appears without any learning rule (Rössler et al., 2023). What is measured in brains agrees "
    "with EG; it does not show that brains use it."
)
REPORTED = (
    "**Where EG loses elsewhere.** A ResNet-50 on ImageNet reached 78.2 % by gradient descent and "
    "73 to 75.5 % by EG ([Cornford et al., 2024](https://doi.org/10.1101/2024.10.25.620272)). "
    "A small convolutional network on MNIST, after two epochs and at one learning rate each, got "
    "98.7 % by gradient descent, 98.5 % sign-constrained and 98.4 % by EG, but 98.8 % by EG with "
    "Adam’s moments ([the notebook beside their optimisers]"
    "(https://github.com/linclab/EG_optimiser/blob/main/example.ipynb)). These are their figures, "
    "not measured here."
)


def draw(record: LearningRecord) -> None:
    """Draw everything below the player."""
    st.markdown(WHAT_YOU_SEE)
    st.markdown(SONG)
    st.header("Which distribution do the weights have?", divider="gray")
    _fits(record)
    _quantiles(record)
    st.header("Which geometry does each rule have?", divider="gray")
    _dual(record)
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
    st.header("Limits", divider="gray")
    _limits()


def describe(record: LearningRecord, running: bool = False) -> str:
    """Describe in one line how a training was made, or is being made."""
    sizes = dict(record.task)
    name, seed = sizes.pop("name"), sizes.pop("seed")
    labels = {size.name: size.label for size in TASKS[name][1]}
    settings = ", ".join(f"{labels[key]} {value}" for key, value in sizes.items())
    return f"{_origin(record, running)} the task *{name}*: {settings}, seed {seed}."


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


def _fits(record: LearningRecord) -> None:
    head = ("", *(RULES[name] for name in record.rules))
    columns = [_fit_column(rule) for rule in record.rules.values()]
    st.markdown(table(head, list(zip(FIT_ROWS, *columns, strict=True))))
    with st.expander("What these numbers mean"):
        st.markdown(ABOUT_FITS)


def _fit_column(rule: RuleRecord) -> tuple[str, ...]:
    (_, _, normal_ks, normal_a), (mean, std, ks, a) = rule.frames.fits[-1]
    end = end_of(rule)
    return (
        f"{number(mean, '.2f')} ± {std:.2f}",
        *_pair(ks, normal_ks),
        *_pair(a, normal_a),
        number(end.likelihood[0], "+.2f"),
        number(end.likelihood[1], ".1f"),
        number(end.log_skew[1], "+.2f"),
    )


@st.fragment
def _quantiles(record: LearningRecord) -> None:
    with st.expander("Q–Q plot against the log-normal fit", key="qq", on_change="rerun") as panel:
        if panel.open:
            from dale_demo.ui.dales_law.figures import quantiles

            st.markdown(ABOUT_QUANTILES)
            _chart(quantiles(record), "quantiles")


def _dual(record: LearningRecord) -> None:
    rows = []
    for name, rule in record.rules.items():
        distances = rule.frames.dual_change[-1]
        least = distances.min()
        rows.append(
            (RULES[name], *(f"**{d:.3f}**" if d == least else f"{d:.3f}" for d in distances))
        )
    formulas = {"2-norm": "½ w²", "3-norm": "⅓ \\|w\\|³", "entropy": "\\|w\\| ln\\|w\\|"}
    st.markdown(ABOUT_DUAL)
    st.markdown(table(("rule", *(f"φ = {formulas[p]}" for p in POTENTIALS)), rows))


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

            _chart(pruning(record, share), "pruning")


def _score(record: LearningRecord, merit: float) -> str:
    """Format a test accuracy, or a loss from its negative."""
    return _percent(merit) if measure(record)["kind"] == "share" else f"loss {-merit:.3g}"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace(".0%", "%")


@st.fragment
def _search(record: LearningRecord) -> None:
    st.markdown(ABOUT_SEARCH)
    rates = (f"{NAMES[name]} η = {_rate(rule)}" for name, rule in record.rules.items())
    st.markdown(f"Used here: {', '.join(rates)}.")
    if not any(rule.searched for rule in record.rules.values()):
        return
    with st.expander("Every trial", key="search-table", on_change="rerun") as panel:
        if panel.open:
            from dale_demo.ui.dales_law.figures import trials

            _chart(trials(record), "trials")
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


def _limits() -> None:
    st.markdown(_dense(_stored_training("dense")))
    _example_button("dense", {})
    st.markdown(REPORTED)
    st.markdown(_starts(_stored_training("log-normal-start"), _stored_training("normal-start")))
    _example_button("correlated", {"start": "normal"})
    st.markdown(PROOF)


def _dense(record: LearningRecord) -> str:
    gd, eg = (f"{record.rules[name].frames.cumulative_loss[-1]:,.0f}" for name in ("gd", "eg"))
    return (
        "**EG loses on dense targets.** Where every input matters, multiplying does not help: over "
        f"{record.planned:,} examples of {record.task['inputs']} inputs gradient descent had a "
        f"summed loss of {gd}, EG± one of {eg}, each at its best rate."
    )


def _starts(*records: LearningRecord) -> str:
    log_normal, normal = (
        "{} before, {} after".format(
            *(number(skew, "+.2f") for skew in end_of(record.rules["eg"]).log_skew)
        )
        for record in records
    )
    return (
        "**The start decides the result.** EG makes the *change* of ln|w| normal, not the weights. "
        f"From a log-normal start they stay log-normal (skew of ln|w| {log_normal}, where 0 is "
        f"log-normal); from a normal start they stay as they were ({normal}), unless training "
        "moves them far."
    )


def _example_button(task: str, sizes: Mapping[str, Any]) -> None:
    st.button("Set the sidebar to this", key=f"try-{task}", on_click=_set, args=(task, sizes))


def _set(task: str, sizes: Mapping[str, Any]) -> None:
    st.session_state["task"] = task
    for name, value in sizes.items():
        st.session_state[key_of(task, name)] = value


@st.cache_resource(show_spinner=False)
def _stored_training(name: str) -> LearningRecord:
    return load_stored_training(name)


def _chart(figure: Any, key: str) -> None:
    st.plotly_chart(figure, width="stretch", key=key, config={"displaylogo": False})


def _pair(first: float, second: float) -> tuple[str, str]:
    """Format two distances, the smaller in bold."""
    texts = f"{first:.3f}", f"{second:.3f}"
    return (f"**{texts[0]}**", texts[1]) if first < second else (texts[0], f"**{texts[1]}**")
