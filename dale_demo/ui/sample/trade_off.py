"""Show the stored comparison of samplers: quality against network evaluations, or seconds.

`python -m benchmarks.quality --store` makes what is stored; do so whenever the bundled network
changes.
"""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dale_demo.evaluation.trade_off import Kind, TradeOff, from_json, plot, to_json

FOLDER = Path(__file__).with_name("stored")
TITLE = "Quality against network evaluations"
ABOUT = (
    "Fréchet distance of samples to real test images, in a classifier’s features: lower is "
    "better, and the grey line is the floor: what as many real images of each class get. Only "
    "points of one number of images can be compared."
)
KINDS: dict[Kind, str] = {
    "additive": "Dashed: the same U-Net and samplers on raw pixels, which is additive diffusion.",
    "paper": "Diamonds: the paper’s settings, from both of its starts.",
    "narrow": "Squares: our sampler from the paper’s noise level.",
    "recipe": "Crosses: the paper’s settings, the same U-Net trained by the paper’s recipe.",
}
"""What needs to be said of a kind of points, where there are any."""
COSTS = {"network_evaluations": "network evaluations", "seconds": "seconds an image"}
"""Field of `Point` → what the axis says."""
OWNERS = {
    "ours": "by our network",
    "additive": "by the additive one",
    "paper": "by the one of the paper’s recipe",
}


def store(measured: Sequence[TradeOff]) -> None:
    """Save measurements of one data set for the page, and the first of them as SVG."""
    stem = f"trade-off-{measured[0].dataset}"
    (FOLDER / f"{stem}.json").write_text(to_json(measured), encoding="utf-8")
    (FOLDER / f"{stem}.svg").write_text(plot(measured[0]).svg(standalone=True), encoding="utf-8")


@st.cache_resource(show_spinner=False)
def load_measurements() -> tuple[TradeOff, ...]:
    """All stored measurements, by data set and number of images."""
    files = sorted(FOLDER.glob("trade-off-*.json"))
    return tuple(one for file in files for one in from_json(file.read_text(encoding="utf-8")))


@st.fragment
def panel() -> None:
    """The figure in an expander; nothing where nothing is stored."""
    choices = {f"{one.dataset}, {one.images:,} images": one for one in load_measurements()}
    if not choices:
        return
    with st.expander(TITLE, key="trade-off", on_change="rerun") as place:
        if not place.open:
            return
        # Imports Plotly, which nothing else needs before a run: not until the panel is open.
        from dale_demo.ui.sample.figures import trade_off

        about = st.empty()
        with st.container(horizontal=True):
            chosen = choices[st.selectbox("Measured on", list(choices), key="trade-off-curve")]
            cost = st.segmented_control(
                "Against",
                list(COSTS),
                default="network_evaluations",
                required=True,
                key="trade-off-cost",
                format_func=COSTS.__getitem__,
            )
        present = {point.kind for point in chosen.points}
        about.markdown(
            " ".join([ABOUT, *(text for kind, text in KINDS.items() if kind in present)])
        )
        st.plotly_chart(
            trade_off(chosen, cost, COSTS[cost]),
            width="stretch",
            key="trade-off-figure",
            config={"displaylogo": False},
        )
        seen = [f"{OWNERS[network]} {count:,}" for network, count in chosen.images_seen.items()]
        st.caption(
            f"Seconds on {chosen.hardware}. Images seen in training: {', '.join(seen)}. ± is one "
            "standard error."
        )
