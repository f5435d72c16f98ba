"""Plots put data where their axes say, and text has the colour of the page."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from dale_demo.drawing.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Plot

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def plot() -> Plot:
    return Plot("A <line> & more", Axis("x", 0, 10, ticks=(0, 5)), Axis("y", 0.1, 10, log=True))


def tree(plot: Plot) -> ElementTree.Element:
    return ElementTree.fromstring(plot.svg())


def numbers(path: str) -> np.ndarray:
    return np.array(re.findall(r"-?[\d.]+", path), float).reshape(-1, 2)


def test_ends_of_the_axes_are_the_corners(plot):
    plot.line([0, 5, 10], [0.1, 1, 10], "#123456")
    (line,) = [p for p in tree(plot).iter(SVG + "path") if p.get("stroke") == "#123456"]
    middle = [(LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2]
    np.testing.assert_allclose(
        numbers(line.get("d")), [[LEFT, HEIGHT - BOTTOM], middle, [WIDTH - RIGHT, TOP]], atol=0.06
    )


def test_an_area_is_closed_between_its_edges(plot):
    plot.area([0, 10], 1, [10, 10], "#abcdef")
    (area,) = [p for p in tree(plot).iter(SVG + "path") if p.get("fill") == "#abcdef"]
    across, down = numbers(area.get("d")).T
    assert across.tolist() == [LEFT, WIDTH - RIGHT, WIDTH - RIGHT, LEFT]
    assert down[0] == down[1] == TOP
    assert down[2] == down[3] == (TOP + HEIGHT - BOTTOM) / 2


def test_an_arrow_points_where_it_goes(plot):
    plot.line([2, 8], [1, 1], "red", arrow=True)
    plot.line([8, 2], [1, 1], "red", arrow=True)
    heads = [e.get("transform") for e in tree(plot).iter(SVG + "path") if e.get("transform")]
    assert [float(re.search(r"rotate\((.*)\)", head)[1]) % 360 for head in heads] == [0, 180]


def test_text_is_escaped_and_has_the_colour_of_the_page(plot):
    plot.text(5, 1, "a < b")
    root = tree(plot)
    assert root.get("aria-label") == "A <line> & more"
    texts = {e.text: e.get("fill") for e in root.iter(SVG + "text")}
    assert texts == dict.fromkeys(("0", "5", "x", "y", "a < b"), "currentColor")


def test_negative_numbers_have_a_minus_sign():
    plot = Plot("", Axis("x", -1, 1, ticks=(-1,)), Axis("y", 0, 1))
    assert "−1" in {e.text for e in tree(plot).iter(SVG + "text")}


@pytest.mark.parametrize("log", [False, True])
def test_the_value_at_a_share_is_the_inverse_of_the_share(log):
    axis = Axis("x", 0.5, 32, log=log)
    shares = [0, 0.25, 1]
    np.testing.assert_allclose(axis.share([axis.at(share) for share in shares]), shares)
    assert axis.at(0.5) == pytest.approx(4 if log else 16.25)


@pytest.mark.parametrize(
    ("axis", "message"), [((1, 1), "low < high"), ((2, 1), "low < high"), ((0, 1, True), "above 0")]
)
def test_bad_axes_raise(axis, message):
    with pytest.raises(ValueError, match=message):
        Axis("x", *axis)
