"""What a training made of the weights: which distribution fits them, which geometry moved them."""

import streamlit as st

from dale_demo.drawing.markdown import number
from dale_demo.ui.dales_law.parts import chart, pair, wide_table
from dale_demo.ui.dales_law.record import POTENTIALS, LearningRecord, RuleRecord, end_of
from dale_demo.ui.dales_law.settings import RULES

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


def fits(record: LearningRecord) -> None:
    """Draw the table of the fits at the end, one column for each rule."""
    head = ("", *(RULES[name] for name in record.rules))
    columns = [_fit_column(rule) for rule in record.rules.values()]
    wide_table("fits", head, list(zip(FIT_ROWS, *columns, strict=True)))
    with st.expander("What these numbers mean"):
        st.markdown(ABOUT_FITS)


def _fit_column(rule: RuleRecord) -> tuple[str, ...]:
    (_, _, normal_ks, normal_a), (mean, std, ks, a) = rule.frames.fits[-1]
    end = end_of(rule)
    return (
        f"{number(mean, '.2f')} ± {std:.2f}",
        *pair(ks, normal_ks),
        *pair(a, normal_a),
        number(end.likelihood[0], "+.2f"),
        number(end.likelihood[1], ".1f"),
        number(end.log_skew[1], "+.2f"),
    )


@st.fragment
def quantile_plot(record: LearningRecord) -> None:
    """Draw the Q–Q plot, in a panel that is closed at first."""
    with st.expander("Q–Q plot against the log-normal fit", key="qq", on_change="rerun") as panel:
        if panel.open:
            from dale_demo.ui.dales_law.figures import quantiles

            st.markdown(ABOUT_QUANTILES)
            chart(quantiles(record), "quantiles")


def dual(record: LearningRecord) -> None:
    """Draw the table of distances of the change of ∇φ(w), one row for each rule."""
    rows = []
    for name, rule in record.rules.items():
        distances = rule.frames.dual_change[-1]
        least = distances.min()
        rows.append(
            (RULES[name], *(f"**{d:.3f}**" if d == least else f"{d:.3f}" for d in distances))
        )
    formulas = {"2-norm": "½ w²", "3-norm": "⅓ \\|w\\|³", "entropy": "\\|w\\| ln\\|w\\|"}
    st.markdown(ABOUT_DUAL)
    wide_table("dual", ("rule", *(f"φ = {formulas[p]}" for p in POTENTIALS)), rows)
