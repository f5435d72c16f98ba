"""What the page Dale's law says around its player: what the numbers mean, why, and where not."""

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
from dale_demo.ui.dales_law.stored_run import stored

if TYPE_CHECKING:
    from dale_demo.plasticity import Trial

TAGLINE = (
    "A synapse is excitatory or inhibitory and stays so; its strength changes by factors. Gradient "
    "descent ignores that. **Exponentiated gradient** keeps it, and leaves log-normal weights."
)
WHAT_YOU_SEE = (
    "The same network learns the same examples in the same order from the same start, once by each "
    "rule. **Bars** are the weights by size, on a log axis: excitatory ones stand on the line, "
    "inhibitory ones hang from it, and a weight that changes its sign passes to the other side. "
    "**Paths** follow single weights, on log axes above and below zero. Press play or drag; the "
    "sidebar (**»** on a phone) changes the task, and the page’s address keeps it."
)
SONG = (
    "**Song et al. 2005** switches on the law of synaptic strengths measured between pyramidal "
    "cells of layer 5: ln w is normal with standard deviation 0.94. Its width can be compared; its "
    "place cannot, for theirs is in millivolt (median 0.50 mV) and a network’s weight has no unit, "
    "so the curve is centred on each rule’s own weights. Those cells are excitatory, too."
)
ABOUT_FITS = """
- **KS** is the largest gap between the weights’ distribution and the fitted law’s: 0 is a perfect
  fit, and the smaller of the two says which law is nearer.
- **A²/n** (Anderson–Darling) weighs the same gap towards the tails, where log-normal laws live.
- **Likelihood** compares the two laws weight by weight, in nats: above 0 the weights speak for
  log-normal, below 0 for normal; |z| under 2 says that they do not decide.
- **Skew of ln|w|** is 0 for a log-normal law and −1.54 for a centred normal one.

All laws were fitted to the weights they are compared with, so these are distances, not tests.
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
    "On the dashed line a rule’s weights are log-normal. Points that leave it to the right above "
    "the line are weights larger than that law has; a step is a group of its own, such as the "
    "weights on relevant inputs."
)
ABOUT_DUAL = (
    "A rule that adds its steps to ∇φ(w) makes *the change of* ∇φ(w) a sum of many small terms, "
    "and so nearly normal; for another φ it is not. The table has the KS distance of that change "
    "to a normal law, the least in bold. ½w² is the geometry of gradient descent, |w| ln|w| that "
    "of exponentiated gradient (Pogodin et al., 2024); the task *correlated* shows it best."
)
ABOUT_PRUNING = (
    "The smallest weights of the trained network are set to zero, and it is tested again without "
    "learning anew. What a rule has put into few strong weights survives."
)
ABOUT_SEARCH = (
    "EG’s steps are relative, so it wants a far larger rate than GD; a comparison at one rate, or "
    "with an untuned opponent, would say nothing. Every rule is tried at rates a factor of two "
    "apart until the best is not at the edge, and judged on validation examples only."
)
TRIAL_HEAD = ("rule", "η", "validation loss", "validation accuracy")
MIRROR = r"""
Gradient descent adds its step to the weight. A **mirror map** ∇φ says what to add to instead; the
potential that both halves of this project share is the entropy

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
STEPS = (
    ("", "exponentiated gradient", "Dale–Langevin"),
    ("moves", "a weight w ≠ 0, over training", "a pixel x > 0, from noise to picture"),
    ("adds to", r"$\operatorname{sign}(w)\,(\ln\lvert w\rvert + 1)$", r"$\ln x + 1$"),
    ("step size", r"$\eta$", r"$\sigma^2\delta$"),
    ("pull", r"$-d = -\nabla_w L$", r"$1 + h = \nabla_{\ln x} \ln p$"),
    ("drift", "none", r"$-(\mu - \tfrac12\sigma^2)\,\delta$"),
    ("noise", "none added", r"$a\,\sigma\sqrt\delta\,z$"),
    ("never", "takes w through zero", "takes x to zero"),
)
DIFFERENCE = r"""
They **share the mirror map; they are not the same method**. EG puts the gradient in w into the
dual step, Langevin the gradient in ln x, which is x times that in x. So to first order the gradient
moves a weight by $|w| \circ d$ and a pixel by $x^2 \circ \nabla\ln p$: one factor more. And EG
descends to a minimum, while Langevin dynamics with its noise draws from a law.
"""
PROOF = (
    "**A log-normal law proves no rule.** EG leaves one, but the same shape also appears without "
    "any learning rule (Rössler et al., 2023). What is seen in a brain agrees with EG; it does not "
    "show that brains use it."
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


def tell(record: LearningRecord) -> None:
    """Everything below the player."""
    st.markdown(WHAT_YOU_SEE)
    st.markdown(SONG)
    st.header("Which law do the weights follow?", divider="gray")
    _fits(record)
    _quantiles(record)
    st.header("Which geometry has been at work?", divider="gray")
    _dual(record)
    st.header("How much can be taken away?", divider="gray")
    _pruning(record)
    st.header("Was it a fair fight?", divider="gray")
    _search(record)
    st.header("Why it works", divider="gray")
    st.markdown(MIRROR)
    for equation in (EG_STEP, LANGEVIN_STEP):
        st.latex(equation)
    st.markdown(table(STEPS[0], STEPS[1:]))
    st.markdown(DIFFERENCE)
    st.header("Honest limits", divider="gray")
    _limits()


def account(record: LearningRecord, going: bool = False) -> str:
    """How a training was made, or is being made, in one line."""
    sizes = dict(record.task)
    name, seed = sizes.pop("name"), sizes.pop("seed")
    labels = {size.name: size.label for size in TASKS[name][1]}
    told = ", ".join(f"{labels[key]} {value}" for key, value in sizes.items())
    return f"{_origin(record, going)} the task *{name}*: {told}, seed {seed}."


def _origin(record: LearningRecord, going: bool) -> str:
    step = int(record.steps[-1])
    if going:
        return "In training on"
    if record.stopped:
        return f"Training **stopped at update {step:,}** of {record.planned:,} on"
    if record.seconds is None:
        return f"Stored training, {step:,} updates on"
    return f"Trained in {record.seconds:.1f} s, {step:,} updates on"


def trials_so_far(trials: Mapping[str, Sequence["Trial"]]) -> None:
    """The search while it goes, one line a rule."""
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
    with st.expander("Q–Q plot against the log-normal law", key="qq", on_change="rerun") as panel:
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
    """A test accuracy, or a loss from its negative, in words."""
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
    st.markdown(_dense(_stored("dense")))
    _try("dense", {})
    st.markdown(REPORTED)
    st.markdown(_starts(_stored("log-normal-start"), _stored("normal-start")))
    _try("correlated", {"start": "normal"})
    st.markdown(PROOF)


def _dense(record: LearningRecord) -> str:
    gd, eg = (f"{record.rules[name].frames.cumulative_loss[-1]:,.0f}" for name in ("gd", "eg"))
    return (
        "**Dense targets.** Where every input matters, multiplying is no help: over "
        f"{record.planned:,} examples of {record.task['inputs']} inputs gradient descent met a "
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
        "**The start decides the end.** EG makes the *change* of ln|w| normal, not the weights. "
        f"From a log-normal start they stay log-normal (skew of ln|w| {log_normal}, where 0 is "
        f"log-normal); from a normal start they stay what they were ({normal}), unless training "
        "moves them far."
    )


def _try(task: str, sizes: Mapping[str, Any]) -> None:
    st.button("Set the sidebar to this", key=f"try-{task}", on_click=_set, args=(task, sizes))


def _set(task: str, sizes: Mapping[str, Any]) -> None:
    st.session_state["task"] = task
    for name, value in sizes.items():
        st.session_state[key_of(task, name)] = value


@st.cache_resource(show_spinner=False)
def _stored(name: str) -> LearningRecord:
    return stored(name)


def _chart(figure: Any, key: str) -> None:
    st.plotly_chart(figure, width="stretch", key=key, config={"displaylogo": False})


def _pair(first: float, second: float) -> tuple[str, str]:
    """Two distances, the smaller in bold."""
    texts = f"{first:.3f}", f"{second:.3f}"
    return (f"**{texts[0]}**", texts[1]) if first < second else (texts[0], f"**{texts[1]}**")
