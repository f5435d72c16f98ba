"""Text of the page Weights: what is seen, what it says of the rule, and what it cannot tell."""

from dale_demo.drawing.markdown import plain
from dale_demo.theory.references import REFERENCES
from dale_demo.weights.change_report import POTENTIALS, ChangeReport, LayerChange
from dale_demo.weights.report import Layer

TAGLINE = (
    "Which signs do the synapses of a network have, and how are their strengths distributed? In "
    "cortex they are **log-normal** and keep their sign. Look at the networks of this app, at any "
    "model of the Hugging Face Hub, or at a file of your own."
)
LEGEND = (
    "**Bars**: weights by size, on a log axis; excitatory (w > 0) up, inhibitory (w < 0) down. "
    "**Solid** line: the log-normal fit; **dashed**: the normal fit. In the Q–Q plot, the line "
    "that stays on the thin diagonal belongs to the better fit."
)
ABOUT_CORTEX = (
    "**Grey**: amplitudes of excitatory potentials between pyramidal cells of layer 5 in the rat’s "
    "visual cortex, log-normal with a median of 0.50 mV and an s.d. of ln w of 0.94 ([Song et al., "
    "2005](https://doi.org/10.1371/journal.pbio.0030068)); its area is that of the excitatory bars."
)
ABOUT_LAYERS = "Press the head of a column to sort by it, or point at it to read what it means."
ABOUT_CHANGE = (
    "Which geometry made these weights? A rule that adds its steps to ∇φ(w) makes *the change of* "
    "∇φ(w) a sum of many small terms, and so nearly normal; for another potential φ it is not "
    "(Pogodin et al., 2024). Gradient descent adds to w; exponentiated gradient adds to ln|w|, and "
    "so it never changes a sign. KS is the distance of the change to a normal distribution, the "
    "smallest in bold; where a sign has changed, ln|w| is ruled out."
)
NEAR = 0.05
"""KS distance above which a change is not called normal: that of evenly spread numbers is 0.06."""
CAUTIONS = """
- **A log-normal shape proves no rule.** It also appears without any learning rule (Rössler et al.,
  2023), and a network that started log-normal and hardly moved still is.
- **Exponentiated gradient makes the *change* of ln|w| normal**, not the weights. From a normal
  start they become log-normal only where learning has moved them far.
- **The test of the change needs the start.** From the weights at the end alone, the geometry
  cannot be told; nor from a few changes, or where learning has moved all weights alike.
- **Adaptive rules blur it.** Adam divides each step by the size of past gradients, and averages of
  weights over training smooth the end; both still add to w.
- **Distances are no tests.** Each distribution was fitted to the weights that it is compared with,
  and neighbouring weights are not independent, so there is no p-value.
- **All synapses together are a mixture** of layers of different scale, and a mixture of normal
  distributions has heavy tails, like a log-normal one: look at single layers too.
"""


def sources() -> str:
    """Where the methods come from, with links."""
    cited = (REFERENCES[key] for key in ("pogodin", "cornford"))
    return "After " + " and ".join(f"[{one.short}]({one.link})" for one in cited) + "."


def headline(layer: Layer) -> str:
    """A network's weights in one sentence."""
    if not layer.signed:
        return f"**{layer.count:,} synapses**, none of which has a sign."
    share = f"**{layer.excitatory_share:.1%} excitatory**"
    sentence = f"**{layer.count:,} synapses**, {share}"
    if not layer.nearer:
        return f"{sentence}; nothing can be fitted to so few, or to weights of one size."
    other = "normal" if layer.nearer == "log-normal" else "log-normal"
    distances = sorted((layer.ks_log_normal, layer.ks_normal))
    return (
        f"{sentence}, nearer to **{layer.nearer}** than to {other} (KS {distances[0]:.3f} against "
        f"{distances[1]:.3f})."
    )


def verdict(title: str, report: ChangeReport, layer: LayerChange) -> str:
    """What the change says, in one sentence, or why it says nothing."""
    name = f"**{plain(title)}**"
    missing = (
        f" {report.unmatched} layers are in one of the two only, or differ in shape."
        if report.unmatched
        else ""
    )
    if not layer.used:
        return (
            f"{name}: too few weights have changed that are 0 at neither time, so that nothing can "
            f"be said of the geometry.{missing}"
        )
    flipped = (
        f"{layer.flipped:,} of {layer.signed:,} synapses that had a sign changed it, which "
        "exponentiated gradient cannot do"
        if layer.flipped
        else "no synapse changed its sign"
    )
    space = {"2-norm": "w", "3-norm": "w|w|", "entropy": "ln|w|"}[layer.nearest]
    rule = {
        "2-norm": ", the geometry of gradient descent",
        "3-norm": ", a geometry in which small weights move most",
        "entropy": ", the geometry of exponentiated gradient",
    }[layer.nearest]
    ks = layer.ks[POTENTIALS.index(layer.nearest)]
    distance = f"(KS {ks:.3f}).{missing}"
    if ks > NEAR:
        change = f"the change is far from normal, least so in {plain(space)}"
    else:
        change = f"the change is nearest to normal in {plain(space)}{rule}"
    return f"{name}: {flipped}; {change} {distance}"
