"""The colours of all plots, in light and dark themes; each colour has one meaning on every page.

They are based on the Okabe–Ito set, which colour-blind readers can tell apart. Excitatory is warm;
inhibitory, and so everything below zero, is cool.
"""

EXCITATORY = "#D55E00"
INHIBITORY = "#2E86FF"
STATE = "#CC79A7"
ESTIMATE = "#009E73"
THEORY = "#8A8F98"
EXPONENTIATED = "#E69F00"
PLAIN = "#56B4E9"
CONSTRAINED = "#8E63CE"
RULES = {
    "gd": PLAIN,
    "sign-constrained": CONSTRAINED,
    "eg": EXPONENTIATED,
    "adam": "#0072B2",
    "eg-adam": "#9A7B00",
}
SAMPLERS = {
    "dale-langevin": EXCITATORY,
    "unconstrained": INHIBITORY,
    "probability-flow": ESTIMATE,
    "bridge": EXPONENTIATED,
    "multistep": CONSTRAINED,
    "multistep-bridge": STATE,
    "leap": "#0072B2",
}
"""For plots that compare samplers and draw nothing else: the colours above have other meanings."""


def rgb(colour: str) -> tuple[int, int, int]:
    """Split "#RRGGBB" into red, green and blue, each from 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
