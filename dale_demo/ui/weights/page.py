"""The page Weights: signs and strengths of the synapses of any network, before and after."""

import re
from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dale_demo.drawing.markdown import plain
from dale_demo.drawing.svg import Plot
from dale_demo.ui.weights import figures, story, tables
from dale_demo.ui.weights.reading import change_of, known_report, report_of
from dale_demo.ui.weights.settings import (
    MY_FILE,
    NOT_SHOWN,
    NOTHING,
    SEED,
    Choice,
    layer_and_overlay,
    networks,
    start,
)
from dale_demo.ui.weights.sources import Source, seeded
from dale_demo.ui.weights.stored_run import load_stored_network, stored_names
from dale_demo.weights.change_report import ChangeReport
from dale_demo.weights.report import Report

Shown = tuple[Source, Report]
"""A network, and the report on its weights."""
PLOTS = {"distribution": "Distribution", "quantiles": "Q–Q plot"}
"""Plot in the name of a file → on its button."""


def page() -> None:
    """Draw the page."""
    st.title("Weights")
    st.markdown(story.TAGLINE)
    with st.sidebar:
        chosen = networks()
        before = start(chosen)
    settings, area = st.container(), st.empty()
    shown = _networks(chosen, area)
    layer = ""
    if shown:
        with settings:
            layer, overlay = layer_and_overlay(shown[0][1])
        with area.container():
            _distributions(shown, layer, overlay)
        _numbers(shown, layer)
        _layers(shown)
    st.header("Before and after", divider="gray")
    st.markdown(story.ABOUT_CHANGE)
    _changes(before, [choice.source for choice in chosen], layer)
    st.header("What weights cannot tell", divider="gray")
    st.markdown(story.CAUTIONS)
    st.caption(story.sources())


def _networks(chosen: Sequence[Choice], area: DeltaGenerator) -> list[Shown]:
    """Say what is wrong with the choices, and read those that can be.

    Args:
        area: Where to draw what is known already, while something else is read.
    """
    sources = [choice.source for choice in chosen if choice.source]
    known = [(source, report) for source in sources if (report := known_report(source))]
    if known and len(known) < len(sources):
        with area.container():
            _distributions(known, "", NOT_SHOWN, final=False)
    shown = []
    for choice in chosen:
        slot = st.empty()
        if choice.problem:
            slot.warning(choice.problem)
        elif choice.source is None:
            if choice.name == MY_FILE:
                slot.info("Choose your file in the sidebar (**»** on a phone).")
        elif report := known_report(choice.source) or report_of(choice.source, slot):
            shown.append((choice.source, report))
    return shown


def _distributions(shown: Sequence[Shown], layer: str, overlay: str, *, final: bool = True) -> None:
    """Draw both plots of each network: one network's side by side, two networks' one below other.

    Args:
        final: Whether to add what can be downloaded, whose buttons may be drawn only once.
    """
    st.caption(story.LEGEND)
    if overlay != NOT_SHOWN:
        st.caption(story.ABOUT_CORTEX)
    layers = [report.find(layer) for _, report in shown]
    span = figures.span_of(layers, overlay)
    places = [st.container()] if len(shown) == 1 else st.columns(len(shown), gap="large")
    for number, ((source, report), one) in enumerate(zip(shown, layers, strict=True)):
        plots = {
            "distribution": figures.distribution(one, overlay, span),
            "quantiles": figures.quantiles(one),
        }
        with places[number]:
            st.subheader(plain(source.title), anchor=False)
            st.markdown(story.headline(one))
            if layer and not one.name:
                st.caption("It has no layer of this name: all of its synapses are shown.")
            parts = st.columns(2, gap="large") if len(shown) == 1 else [places[number]] * 2
            for part, plot in zip(parts, plots.values(), strict=True):
                with part:
                    _draw(plot)
            st.caption(source.account)
            if final:
                _downloads(source.title, number, report.csv, plots)


def _draw(plot: Plot) -> None:
    st.markdown(f"<div>\n{plot.svg()}</div>", unsafe_allow_html=True)


def _downloads(title: str, number: int, csv: Callable[[], str], plots: dict[str, Plot]) -> None:
    """Buttons for the table of layers, and for the pictures as files of their own."""
    name = re.sub(r"[^\w.-]", "-", title)[:60]
    with st.container(horizontal=True):
        _button("Table", csv, f"{name}.csv", "text/csv", f"table-{number}")
        for kind, plot in plots.items():
            svg = partial(plot.svg, standalone=True)
            _button(PLOTS[kind], svg, f"{name}-{kind}.svg", "image/svg+xml", f"{kind}-{number}")


def _button(label: str, data: Callable[[], str], file: str, mime: str, key: str) -> None:
    st.download_button(
        label,
        data,
        file,
        mime,
        key=f"download-{key}",
        on_click="ignore",
        icon=":material/download:",
    )


def _numbers(shown: Sequence[Shown], layer: str) -> None:
    reports = [report for _, report in shown]
    titles = [source.title for source, _ in shown]
    layers = [report.find(layer) for report in reports]
    st.header("The numbers", divider="gray")
    st.markdown(tables.numbers(reports, layers, titles))


def _layers(shown: Sequence[Shown]) -> None:
    st.header("Layer by layer", divider="gray")
    st.caption(story.ABOUT_LAYERS)
    config = {
        head: st.column_config.NumberColumn(help=meaning, format=form)
        if form
        else st.column_config.TextColumn(help=meaning)
        for head, meaning, form in tables.COLUMNS
    }
    for tab, (_, report) in zip(
        st.tabs([plain(source.title) for source, _ in shown]), shown, strict=True
    ):
        with tab:
            st.dataframe(tables.layer_rows(report), hide_index=True, column_config=config)
            if report.constant:
                st.caption(
                    f"All weights of {len(report.constant)} layers are of one size, as in a mask; "
                    "they are left out of *all synapses*."
                )


def _changes(before: Choice, sources: Sequence[Source | None], layer: str) -> None:
    slot = st.empty()
    if before.problem:
        slot.warning(before.problem)
        return
    found = []
    for source, change in _found(before, sources):
        found.append((source.title, change, change.find(layer)))
    if not found:
        if before.name == NOTHING or before.source is None:
            st.info("Choose in the sidebar where the weights before learning are.")
        return
    for each in found:
        st.markdown(story.verdict(*each))
    for column, (number, (title, change, one)) in zip(
        st.columns(max(2, len(found)), gap="large"), enumerate(found), strict=False
    ):
        with column:
            plot = figures.change_quantiles(one)
            st.subheader(plain(title), anchor=False)
            _draw(plot)
            _downloads(f"{title}-change", number + 2, change.csv, {"quantiles": plot})
    st.markdown(tables.changes(found))


def _found(before: Choice, sources: Sequence[Source | None]) -> list[tuple[Source, ChangeReport]]:
    """What changed in each network whose start is known; a file of one's own is of the first."""
    found = []
    for source in sources if before.name == SEED else sources[:1]:
        slot = st.empty()
        if source is None:
            continue
        if before.name == SEED:
            change = _since_seed(source, slot)
        elif before.source is None:
            continue
        else:
            change = change_of(before.source, source, slot)
        if change is not None:
            found.append((source, change))
    return found


def _since_seed(source: Source, slot: DeltaGenerator) -> ChangeReport | None:
    """What changed since the start that a network's record tells; None where there is none."""
    if source.network is None:
        return None
    if source.network in stored_names():
        return load_stored_network(source.network).change
    return change_of(seeded(source.network), source, slot)
