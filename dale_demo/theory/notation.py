"""The notation of code, docstrings, documentation and app, as one table."""

from dale_demo.drawing import markdown

NOTATION = (
    ("x ∈ (0, ∞)ᵈ", "`x`", "positive state; data are 1 + pixel ∈ [1, 2]"),
    ("y = ln x", "`y`", "log state, in which the noise is additive"),
    (
        "μ, σ, T",
        "`mu`, `sigma`, `horizon`",
        "drift, volatility and horizon of dX = μX dt + σX dW (Itô)",
    ),
    ("s(t) = σ√t", "`noise_level`", "standard deviation of ln X_t given X₀"),
    ("m(t) = (μ − σ²/2)t", "`log_drift`", "mean shift of ln X_t"),
    ("u = y − m(t)", "`u`", "log state without its drift: what the network sees"),
    ("h_t(x) = x ∘ ∇ln p_t(x)", "`hyvarinen`", "Hyvärinen score, which drives every sampler"),
    ("D = E[ln X₀ \\| X_t]", "`estimate`, `denoise`", "Tweedie's estimate, u + s²(1 + h)"),
    ("w, η, d", "`weight`, `lr`, `grad`", "a synapse, the learning rate, the gradient of the loss"),
    ("ς, z", "`noise`", "noise on synapses, w ← w ∘ exp(ς z − ς²/2) a step"),
    ("φ(w) = Σ\\|w\\| ln\\|w\\|", '`"entropy"`', "the mirror map of exponentiated gradient"),
)
"""Rows of symbol, name in the code and meaning, in Markdown; the documentation has them too."""


def table() -> str:
    """Format the notation as a Markdown table."""
    return markdown.table(("symbol", "code", "meaning"), NOTATION)
