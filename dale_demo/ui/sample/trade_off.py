"""How good pictures get for how much work: the stored measurements, where there are any.

`python -m benchmarks.quality --store` makes them; do so whenever the bundled network changes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import streamlit as st

from dale_demo.evaluation.trade_off import COSTS, Cost, Kind, TradeOff, from_json, picture, to_json

FOLDER = Path(__file__).with_name("stored")
TITLE = "How good, for how much work?"
ABOUT = (
    "Fréchet distance of samples to real test pictures, in a classifier’s features: lower is "
    "better, and the grey line is what as many real pictures of each class get. Dashed: the same "
    "U-Net and samplers on raw pixels, which is additive diffusion. Diamonds: the paper’s "
    "settings, from both of its starts. Only points of one number of pictures can be compared."
)
OWNERS: dict[Kind, str] = {"ours": "by our network", "additive": "by the additive one"}


def store(curves: Sequence[TradeOff]) -> None:
    """Keep measurements of one data set for the page, and the first of them as SVG."""
    stem = f"trade-off-{curves[0].dataset}"
    (FOLDER / f"{stem}.json").write_text(to_json(curves), encoding="utf-8")
    (FOLDER / f"{stem}.svg").write_text(picture(curves[0]).svg(alone=True), encoding="utf-8")


@st.cache_resource(show_spinner=False)
def stored() -> tuple[TradeOff, ...]:
    """All stored measurements, by data set and number of pictures."""
    files = sorted(FOLDER.glob("trade-off-*.json"))
    return tuple(curve for file in files for curve in from_json(file.read_text(encoding="utf-8")))


@st.fragment
def panel() -> None:
    """The trade-off in a place that opens; nothing where nothing is stored."""
    curves = {f"{c.dataset}, {c.pictures:,} pictures": c for c in stored()}
    if not curves:
        return
    with st.expander(TITLE, key="trade-off", on_change="rerun") as place:
        if not place.open:
            return
        from dale_demo.ui.sample.figures import (
            trade_off,  # Plotly, which nothing else on the page needs
        )

        st.markdown(ABOUT)
        with st.container(horizontal=True):
            chosen = st.selectbox("Measured on", list(curves), key="trade-off-curve")
            against = st.segmented_control(
                "Against",
                get_args(Cost),
                default="calls",
                required=True,
                key="trade-off-cost",
                format_func=COSTS.__getitem__,
            )
        st.plotly_chart(
            trade_off(curves[chosen], against),
            width="stretch",
            key="trade-off-figure",
            config={"displaylogo": False},
        )
        st.caption(_circumstances(curves[chosen]))


def _circumstances(curve: TradeOff) -> str:
    """What the numbers depend on beside the method."""
    seen = [f"{OWNERS[kind]} {images:,}" for kind, images in curve.seen.items()]
    return (
        f"Seconds on {curve.hardware}. Pictures seen in training: {', '.join(seen)}. ± is one "
        "standard error."
    )
