"""Drop numbers from the page's address that no widget could use, before any widget reads them.

A widget bound to the address ignores what is out of its range, but Streamlit fails where an
integer field meets infinity, and Python reads far more than numbers: "1_0", "٣", "nan".
"""

import math
import re

from streamlit.runtime.scriptrunner import get_script_run_ctx

NUMBERS = frozenset(
    {
        # Sample
        *("annealing", "guidance", "mu", "noise_level", "pictures"),
        *("repeats", "seed", "step_size", "steps", "tweedie_steps"),
        # Noise and restore
        *("answers", "draws", "level", "noise", "walk"),
        # Dale's law
        *("draw", "eta-adam", "eta-eg", "eta-eg-adam", "eta-gd", "eta-sign-constrained"),
        *("correlated-epochs", "correlated-examples", "correlated-inputs"),
        *("dense-inputs", "dense-trials", "digits-epochs", "digits-hidden"),
        *("r-of-k-epochs", "r-of-k-inputs", "r-of-k-relevant"),
        *("score-epochs", "score-hidden", "synaptic-noise"),
        *("sparse-inputs", "sparse-relevant", "sparse-trials"),
        # Playground
        *("play-delta", "play-noise", "play-seed", "play-steps"),
    }
)
"""Keys of the widgets, on all pages, whose value is one number."""
LONGEST_NUMBER, LONGEST_TEXT = 32, 5000
"""Characters of a number, and of any other value; 200 painted points need 534."""
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def clean_query() -> None:
    """Drop what is not `plausible` from the address; call it first in every run of the script.

    The browser's address follows. The value that a widget starts with is a copy that
    `st.query_params` does not reach, so this goes one level deeper.
    """
    context = get_script_run_ctx()
    if context is None:  # not run by Streamlit
        return
    with context.session_state.query_params() as query:
        dropped = [key for key in query if not all(plausible(key, v) for v in query.get_all(key))]
        for key in dropped:
            query.remove_param(key)
        if dropped:
            query.set_initial_query_params_from_current()


def plausible(key: str, value: str) -> bool:
    """Whether a value in the address can be what a widget wrote there, or a person typed.

    Args:
        key: Name of the parameter; only those in `NUMBERS` must be numbers.
        value: As it stands in the address, decoded.
    """
    if key not in NUMBERS:
        return len(value) <= LONGEST_TEXT
    if len(value) > LONGEST_NUMBER or not NUMBER.fullmatch(value):
        return False
    return math.isfinite(float(value))
