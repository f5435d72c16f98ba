"""Learning and sampling by multiplication together: score networks, and noise on synapses."""

from collections.abc import Callable

import streamlit as st

from dale_demo.drawing.markdown import number
from dale_demo.theory.references import RELATED
from dale_demo.ui.dales_law.parts import pair, wide_table
from dale_demo.ui.dales_law.record import LearningRecord, end_of
from dale_demo.ui.dales_law.settings import RULES
from dale_demo.ui.dales_law.stored_run import load_stored_training

SCORE_NETWORK = """
A score network draws by multiplication. Here five rules teach a small one to take multiplicative
noise off images of digits, from the same log-normal weights, and the player shows what each network
draws. The loss is that of the networks of the page *Sample* (M-DSM), on images that were held out:
"""
SCORE_HEAD = ("rule", "held-out loss", "sign flips", "KS to log-normal", "KS to normal")
SCORE_RESULT = (
    "EG alone learns less, as gradient descent does; along Adam’s direction it learns as well as "
    "Adam, and no weight has changed its sign. Its weights, all layers together, are nearer to a "
    "log-normal distribution, Adam’s to a normal one. So a network can both learn and draw by "
    "multiplication."
)
NOISE_STEP = (
    r"w \leftarrow w \circ \exp\big(-\eta\,\operatorname{sign}(w) \circ d"
    r" + \varsigma z - \tfrac12\varsigma^2\big)"
)
NOISE = r"""
**Noise on synapses**, a setting in the sidebar, multiplies each weight at every step by a random
factor of mean 1. It is geometric Brownian motion, the noise of this generative model, on the
weights themselves:
"""
ABOUT_NOISE = r"""
To the dual variable ∇φ(w) it adds normal noise of one size, so that EG becomes **Langevin dynamics
in mirror space**, at the temperature $\varsigma^2/(2\eta)$. Its gradient remains EG’s, in w and not
in ln|w|, so it samples no distribution exp(−loss/temperature) of the weights.
"""
NOISE_ELSEWHERE = (
    "{} train networks with multiplicative noise that they derive from log-normal posteriors, and "
    "{} explain the randomness of synapses as sampling from a posterior."
)
ELSEWHERE = ("Nishida et al. 2025", "Kappel et al. 2015")


def together(show: Callable[[str], None]) -> None:
    """Draw both sections; `show` shows a stored training in the player, by its name."""
    st.header("Can a score network learn like this?", divider="gray")
    st.markdown(SCORE_NETWORK)
    wide_table("score", SCORE_HEAD, _score_rows(load_stored_training("score")))
    st.markdown(SCORE_RESULT)
    st.button("Show these networks above", key="show-score", on_click=show, args=("score",))
    st.header("What if synapses are noisy?", divider="gray")
    st.markdown(NOISE)
    st.latex(NOISE_STEP)
    st.markdown(ABOUT_NOISE)
    st.markdown(NOISE_ELSEWHERE.format(*_links(*ELSEWHERE)))
    st.markdown(_noisy(load_stored_training("noisy"), load_stored_training("normal-start")))
    st.button("Show EG with noise above", key="show-noisy", on_click=show, args=("noisy",))


def _score_rows(record: LearningRecord) -> list[tuple[str, ...]]:
    return [
        (
            RULES[name],
            f"{rule.frames.test_loss[-1]:.3f}",
            f"{rule.frames.flips[-1]:,}",
            *pair(rule.frames.fits[-1, 1, 2], rule.frames.fits[-1, 0, 2]),
        )
        for name, rule in record.rules.items()
    ]


def _links(*works: str) -> list[str]:
    known = {related.work.short: related.work.link for related in RELATED}
    return [f"[{short}]({known[short]})" for short in works]


def _noisy(noisy: LearningRecord, plain: LearningRecord) -> str:
    without, with_noise = (record.rules["eg"].frames for record in (plain, noisy))
    skew, noisy_skew = (
        number(end_of(record.rules["eg"]).log_skew[1], "+.2f") for record in (plain, noisy)
    )
    normal, noisy_normal = without.fits[-1, 0, 2], with_noise.fits[-1, 0, 2]
    return (
        "Noise makes EG forget its start. On *correlated*, from normal weights, EG alone ends with "
        f"normal weights (KS {normal:.3f}, skew of ln\\|w\\| {skew}). With "
        f"ς = {noisy.task['noise']:g} they are nearer to log-normal (KS "
        f"{with_noise.fits[-1, 1, 2]:.3f}, to normal {noisy_normal:.3f}, skew {noisy_skew}). The "
        f"price is a training loss of {with_noise.train_loss[-1]:.2g}, where EG alone fits every "
        "target."
    )
