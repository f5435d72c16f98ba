"""The trade-off as JSON, as SVG and as a Plotly figure: the same numbers in each."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from dale_demo.drawing.palette import SAMPLERS
from dale_demo.evaluation.trade_off import Point, TradeOff, from_json, plot, to_json
from dale_demo.ui.sample.figures import trade_off
from dale_demo.ui.sample.trade_off import COSTS

SVG = "{http://www.w3.org/2000/svg}"
CURVE = TradeOff(
    dataset="mnist",
    images=1000,
    hardware="two cores",
    images_seen={"ours": 4000, "additive": 1000},
    floor=0.2,
    floor_error=0.05,
    points=(
        Point("bridge", "bridge", "ours", "exact", 50, 0.05, 0.25, 0.02),
        Point("bridge", "bridge", "ours", "exact", 10, 0.01, 0.9, 0.1),
        Point("bridge, additive", "bridge", "additive", "exact", 10, 0.01, 1.1, 0.1),
        Point("bridge, additive", "bridge", "additive", "exact", 50, 0.05, 0.3, 0.4),
        Point("Dale–Langevin, paper", "dale-langevin", "paper", "fitted", 1000, 1.0, 9.0, 0.3),
        Point("Dale–Langevin, paper", "dale-langevin", "paper", "class-averaged", 1000, 1, 7, 0.3),
    ),
)


def test_json_round_trip():
    assert from_json(to_json([CURVE, replace(CURVE, images=9)])) == [
        CURVE,
        replace(CURVE, images=9),
    ]


def figure_of(measured: TradeOff, cost: str = "network_evaluations"):
    return trade_off(measured, cost, COSTS[cost])


def test_the_figure_has_a_line_for_each_label_and_the_floor():
    figure = figure_of(CURVE)
    band, floor, *lines = figure.data
    assert set(floor.y) == {0.2}
    assert (min(band.y), max(band.y)) == pytest.approx((0.15, 0.25))
    assert [line.name for line in lines] == [
        "bridge", "bridge, additive", "Dale–Langevin, paper",
    ]  # fmt: skip
    ours, additive, paper = lines
    assert list(ours.x) == [10, 50], "the cheapest first"
    assert list(ours.y) == [0.9, 0.25]
    assert ours.line.color == additive.line.color == SAMPLERS["bridge"] != paper.line.color
    assert (ours.line.dash, additive.line.dash) == ("solid", "dash")
    assert (ours.mode, paper.mode) == ("lines+markers", "markers")
    lower = np.subtract(additive.y, additive.error_y.arrayminus)
    assert (lower > 0).all(), "an error larger than its value stays on the log axis"
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"


def test_the_figure_against_seconds():
    figure = figure_of(CURVE, "seconds")
    assert list(figure.data[2].x) == [0.01, 0.05]
    assert "seconds" in figure.layout.xaxis.title.text


def test_what_ran_on_other_hardware_is_shown_against_network_evaluations_alone():
    elsewhere = replace(CURVE.points[-1], seconds=None)
    curve = replace(CURVE, points=(*CURVE.points[:2], elsewhere))
    assert from_json(to_json([curve])) == [curve]
    evaluations, seconds = figure_of(curve), figure_of(curve, "seconds")
    assert [line.name for line in evaluations.data[2:]] == ["bridge", "Dale–Langevin, paper"]
    assert evaluations.data[3].customdata[0][1] == "1000 network evaluations"
    assert [line.name for line in seconds.data[2:]] == ["bridge"]
    assert len(list(tree(curve).iter(SVG + "circle"))) == 3


def test_colours_are_one_for_each_sampler():
    assert len(set(SAMPLERS.values())) == len(SAMPLERS) == 7


def tree(measured: TradeOff) -> ElementTree.Element:
    return ElementTree.fromstring(plot(measured).svg(standalone=True))


def test_the_svg_has_every_point_and_says_what_it_shows():
    root = tree(CURVE)
    dots = list(root.iter(SVG + "circle"))
    assert len(dots) == len(CURVE.points)
    assert {dot.get("fill") for dot in dots} == {SAMPLERS["bridge"], SAMPLERS["dale-langevin"]}
    heights = {float(dot.get("cy")) for dot in dots}
    assert float(dots[-2].get("cy")) == min(heights), "the worst is on top"
    assert "bridge 50: 0.25" in root.get("aria-label")
    lines = [p for p in root.iter(SVG + "path") if p.get("stroke") == SAMPLERS["bridge"]]
    assert [line.get("stroke-dasharray") is not None for line in lines] == [False, True]
    words = {text.text for text in root.iter(SVG + "text")}
    assert {"bridge", "dale-langevin", "real images", "dashed: additive"} <= words
    alone = replace(CURVE, points=CURVE.points[:2])
    words = {text.text for text in tree(alone).iter(SVG + "text")}
    assert not words & {"dale-langevin", "dashed: additive"}


def test_both_of_the_papers_samplers_show_where_they_coincide():
    theirs = CURVE.points[-1]
    twin = replace(theirs, label="unconstrained, paper", sampler="unconstrained")
    both = replace(CURVE, points=(theirs, twin))
    under, over = (float(dot.get("r")) for dot in tree(both).iter(SVG + "circle"))
    assert under > over
    *_, under, over = figure_of(both).data
    assert under.marker.size > over.marker.size


def test_an_svg_of_its_own_is_readable_in_light_and_dark():
    style = next(tree(CURVE).iter(SVG + "style")).text
    assert re.search(r"color:#22252a.*prefers-color-scheme:dark.*color:#e8e6e3", style)
    assert "<style>" not in plot(CURVE).svg(), "on a page, the page decides"
