"""Equation and source code of each kind of step, in a panel for the pages that take them."""

import inspect
from collections.abc import Callable

import streamlit as st

EQUATIONS: dict[str, str] = {
    "dale-langevin": r"x \leftarrow x \circ \exp\!\big(\sigma^2\delta\, h_t(x)"
    r" - (\mu - \tfrac32\sigma^2)\,\delta + a\,\sigma\sqrt\delta\, z\big)",
    "unconstrained": r"x \leftarrow x \circ \big(1 + 2\sigma^2\delta - \mu\delta"
    r" + \sigma^2\delta\, h_t(x) + a\,\sigma\sqrt\delta\, z\big)",
    "additive": r"x \leftarrow x + (\sigma^2 - \mu)\,\delta\, x"
    r" + \tfrac12\sigma^2\delta\,\big(x + \tfrac1x\big) \circ h_t(x) + a\,\sigma\sqrt\delta\, z",
    "probability-flow": r"x \leftarrow x \circ \exp(\Delta y), \qquad"
    r" \frac{dy}{dt} = \mu - \tfrac12\sigma^2 - \tfrac12\sigma^2\,(1 + h_t(x))",
    "bridge": r"u' = D + \frac{s'^2}{s^2}\,(u - D) + s'\sqrt{1 - s'^2/s^2}\; z,"
    r" \qquad x' = \exp(u' + m(t'))",
    "exponential": r"x \leftarrow x \circ \exp\!\big((\mu - \tfrac12\sigma^2)\,\delta"
    r" + \sigma\sqrt\delta\, z\big)",
    "Euler–Maruyama": r"x \leftarrow x \circ \big(1 + \mu\delta + \sigma\sqrt\delta\, z\big)",
    "multistep": r"u' = \frac{s'}{s}\,u + (1 - e^{-\eta})\Big(D + \frac{D - D_-}{2r}\Big),"
    r" \qquad x' = \exp(u' + m(t'))",
    "multistep-bridge": r"\tilde D = D + \frac{D - D_-}{2r}, \qquad"
    r" u' = \tilde D + \frac{s'^2}{s^2}\,(u - \tilde D) + s'\sqrt{1 - s'^2/s^2}\; z,"
    r" \qquad x' = \exp(u' + m(t'))",
}


@st.fragment
def source(name: str, sampler: Callable, key: str) -> None:
    """Draw a panel with a step's equation and code, which are rendered only when it is open.

    Args:
        name: A key of `EQUATIONS`.
        sampler: The sampler, or the function of the step.
        key: Of the panel on its page.
    """
    title = f"How this step is computed: {name}"
    with st.expander(title, key=key, on_change="rerun") as panel:
        if panel.open:
            st.latex(EQUATIONS[name])
            st.code(inspect.getsource(sampler), language="python")
