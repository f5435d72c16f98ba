"""The player in a real browser: it plays, scrubs without the server, and keeps its place."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from dale_demo.drawing.frames import diverging
from tests.ui.conftest import wait_idle

pytestmark = pytest.mark.browser

LAST = 10
COLOUR = (
    """(canvas, at) => [...canvas.getContext('2d').getImageData(at, at, 1, 1).data].slice(0, 3)"""
)
MIDDLE_GREY = """canvas => canvas.getContext('2d').getImageData(6, 6, 1, 1).data[0]"""


@pytest.fixture(scope="session")
def address(streamlit_server) -> str:
    """Address of a page that shows only the player."""
    return streamlit_server(Path(__file__).with_name("player_app.py"))


@pytest.fixture(scope="module")
def loaded(address: str, module_page: Page, sent_messages: list) -> Locator:
    """The player after it has played to its end."""
    module_page.goto(address)
    root = module_page.locator("section.player")
    expect(root).to_have_attribute("data-frame", str(LAST), timeout=60_000)
    expect(root).to_have_attribute("data-playing", "false", timeout=30_000)
    wait_idle(module_page)
    return root


@pytest.fixture
def player(loaded: Locator) -> Locator:
    """The player at its end."""
    loaded.focus()
    loaded.page.keyboard.press("End")
    expect(loaded).to_have_attribute("data-frame", str(LAST))
    return loaded


def expected(level: int) -> list[int]:
    """The colour of a level of the score."""
    return diverging(np.array([[level]], np.uint8))[0].tolist()


def grey(player: Locator, part: str = "state") -> int:
    return player.page.get_by_test_id(f"player-{part}").evaluate(MIDDLE_GREY)


def test_plays_once_by_itself(address, page):
    page.goto(address)
    root = page.locator("section.player")
    expect(root).to_have_attribute("data-playing", "true", timeout=60_000)
    expect(root).to_have_attribute("data-playing", "false", timeout=30_000)
    expect(root).to_have_attribute("data-frame", str(LAST))
    assert abs(grey(root) - 240) < 4
    assert abs(grey(root, "estimate") - 15) < 4
    score = root.page.get_by_test_id("player-score")
    assert score.evaluate(COLOUR, 6) == pytest.approx(expected(240), abs=20)
    assert score.evaluate(COLOUR, 0) == pytest.approx([0, 0, 0], abs=30), "the gap"
    root.focus()
    page.keyboard.press("Home")
    assert score.evaluate(COLOUR, 6) == pytest.approx(expected(10), abs=20)
    assert expected(240)[0] > expected(240)[2], "warm"
    assert expected(10)[0] < expected(10)[2], "cool"


def test_shows_the_end_at_once_to_those_who_want_no_motion(address, page):
    page.emulate_media(reduced_motion="reduce")
    page.goto(address)
    root = page.locator("section.player")
    expect(root).to_have_attribute("data-frame", str(LAST), timeout=60_000)
    page.wait_for_timeout(300)
    expect(root).to_have_attribute("data-frame", str(LAST))
    expect(root).to_have_attribute("data-playing", "false")
    assert abs(grey(root) - 240) < 4


def test_scrubbing_needs_no_server(player, sent_messages):
    page, scrubber = player.page, player.page.get_by_test_id("player-scrubber")
    count = len(sent_messages)
    shades = []
    scrubber.focus()
    for _ in range(LAST):
        page.keyboard.press("ArrowLeft")
        shades.append(grey(player))
    assert shades == sorted(shades, reverse=True)
    assert abs(shades[-1] - 10) < 4
    page.wait_for_timeout(500)
    assert len(sent_messages) == count, "scrubbing sends nothing"
    page.get_by_role("button", name="Ask the server").click()
    wait_idle(page)
    page.wait_for_timeout(500)
    assert len(sent_messages) > count, "a click on a Streamlit button does: the count is a real one"


def test_a_rerun_leaves_it_where_it_is(player):
    page = player.page
    player.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Ask the server").click()
    wait_idle(page)
    page.wait_for_timeout(1000)
    expect(player).to_have_attribute("data-frame", "1")
    expect(player).to_have_attribute("data-playing", "false")


def test_keyboard_and_buttons(player):
    page = player.page
    player.focus()
    for key, frame in (("Home", 0), ("ArrowRight", 1), ("End", LAST), ("ArrowLeft", LAST - 1)):
        page.keyboard.press(key)
        expect(player).to_have_attribute("data-frame", str(frame))
    for name, frame in (("Step back", LAST - 2), ("Step forward", LAST - 1)):
        page.get_by_role("button", name=name).click()
        expect(player).to_have_attribute("data-frame", str(frame))
    page.get_by_label("Speed").select_option("0.25")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(player).to_have_attribute("data-playing", "true")
    page.get_by_role("button", name="Pause").click()
    expect(player).to_have_attribute("data-playing", "false")


def test_crossings_are_counted_and_marked(player):
    readout, dots = player.locator(".readout"), player.locator("svg.plot circle[r='4']")
    expect(readout).to_contain_text("1 sign changed")
    expect(dots).to_have_count(1)
    (zero,) = player.locator("svg.plot .zero").evaluate_all("all => all.map(e => e.getBBox().y)")
    assert float(dots.get_attribute("cy")) == pytest.approx(zero)
    expect(player.get_by_text("x = 0", exact=True)).to_be_visible()
    player.focus()
    player.page.keyboard.press("Home")
    expect(readout).to_contain_text("0 signs changed")
    expect(dots).to_have_count(0)


def test_log_and_linear_axes(player):
    histogram = player.locator("svg.plot").first
    log = histogram.inner_html()
    player.page.get_by_role("button", name="linear axis").click()
    assert histogram.inner_html() != log
    player.page.get_by_role("button", name="log axis").click()
    assert histogram.inner_html() == log


@pytest.mark.parametrize("width", [1280, 400])
def test_fits_its_page(player, width):
    page = player.page
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    parts = ("state", "estimate", "score")
    boxes = [page.get_by_test_id(f"player-{part}").bounding_box() for part in parts]
    assert boxes[0]["y"] == boxes[1]["y"], "side by side"
    assert (boxes[2]["y"] > boxes[1]["y"]) == (width == 400), "the score below, on a phone"
    assert max(box["width"] for box in boxes) < min(box["width"] for box in boxes) + 1
    assert min(box["width"] for box in boxes) > 120
