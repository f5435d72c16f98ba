"""The page Dale's law in a real browser: first view, live training, scrubbing in the browser."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.conftest import messages_of, wait_idle

pytestmark = pytest.mark.browser

LAST = 60
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)
LONG = "r-of-k-epochs=40"
GIVEN = "eta-gd=0.01&eta-eg=1&eta-sign-constrained=0.01"


@pytest.fixture(scope="session")
def address(app_address) -> str:
    """Address of the page."""
    return f"{app_address}/dale"


def visit(page: Page, address: str, motion: str = "reduce", last: int = LAST) -> Page:
    """Open the page and wait for the end of the stored training, which plays where motion may."""
    page.emulate_media(reduced_motion=motion)
    page.goto(address)
    expect(player(page)).to_have_attribute("data-frame", str(last))
    expect(player(page)).to_have_attribute("data-playing", "false")
    wait_idle(page)
    return page


def player(page: Page) -> Locator:
    return page.locator("section.player")


def press(page: Page, name: str) -> None:
    page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True).click()


def flips(page: Page) -> list[int]:
    """The sign-flip counters: gradient descent, sign-constrained, exponentiated gradient."""
    texts = player(page).get_by_test_id("flips").locator("b").all_inner_texts()
    return [int(text.replace(",", "")) for text in texts]


def below_the_line(page: Page) -> list[int]:
    """Height in pixels of the inhibitory bars of each rule."""
    bars = player(page).locator("svg.weights path[fill='#2E86FF']")
    return bars.evaluate_all("all => all.map(e => Math.round(e.getBBox().height))")


def frames(page: Page) -> int:
    return int(player(page).get_attribute("data-frames") or 0)


def test_plays_the_stored_training_and_is_scrubbed_without_the_server(address, page):
    sent = messages_of(page)
    visit(page, address, motion="no-preference")
    expect(page.get_by_text("Stored training, 600 updates")).to_be_visible()
    end, heights, messages = flips(page), below_the_line(page), len(sent)
    descent, held, eg = end
    assert descent > 1000
    assert held == eg == 0
    assert heights[0] > 10
    assert heights[1:] == [0, 0]
    assert messages, "the page talks to its server by this socket"
    player(page).focus()
    page.keyboard.press("Home")
    expect(player(page)).to_have_attribute("data-frame", "0")
    assert flips(page) == [0, 0, 0]
    assert below_the_line(page) == [0, 0, 0]
    counted = []
    for _ in range(10):
        page.keyboard.press("ArrowRight")
        counted.append(flips(page)[0])
    assert counted == sorted(counted)
    page.keyboard.press("End")
    assert flips(page) == end
    page.wait_for_timeout(500)
    assert len(sent) == messages


def test_a_run_adds_frames_and_ends_with_its_result(address, page):
    visit(
        page, f"{address}?r-of-k-inputs=200&r-of-k-epochs=12&{GIVEN}".replace("gd=0.01", "gd=0.1")
    )
    page.emulate_media(reduced_motion="no-preference")
    press(page, "Run")
    expect(page.get_by_text("In training on")).to_be_visible()
    seen = {frames(page)}
    while page.get_by_text("Trained in").count() == 0:
        page.wait_for_timeout(20)
        seen.add(frames(page))
    assert len(seen) > 3, "frames are added during the run"
    expect(player(page)).to_have_attribute("data-frames", str(LAST + 1))
    expect(player(page)).to_have_attribute("data-frame", str(LAST))
    expect(page.get_by_text("η = 1, given")).to_be_visible()
    expect(page.get_by_test_id("stProgress")).to_have_count(0)
    expect(page.locator(".st-key-halt")).to_have_count(0)
    assert flips(page)[0] > 0 == flips(page)[2]


def test_a_search_shows_its_trials(address, page):
    visit(page, f"{address}?r-of-k-inputs=200&rules=EG")
    press(page, "Run")
    expect(page.get_by_text("on validation examples:")).to_be_visible()
    expect(page.get_by_test_id("stProgress")).to_contain_text("Searching the learning rate")
    press(page, "Stop")
    expect(page.locator(".st-key-halt")).to_have_count(0)
    expect(page.get_by_text("Stored training, 600 updates")).to_be_visible()


def test_a_run_goes_on_whatever_a_visitor_does_until_it_is_stopped(address, page):
    visit(page, f"{address}?{LONG}&{GIVEN}")
    press(page, "Run")
    expect(page.get_by_text("In training on")).to_be_visible()
    # A setting that is changed loses nothing.
    seed = page.get_by_test_id("stSidebar").get_by_role("spinbutton", name="Seed")
    seed.fill("1")
    seed.press("Enter")
    page.wait_for_function("location.search.includes('draw=1')")
    before = frames(page)
    expect(player(page)).not_to_have_attribute("data-frames", str(before))
    expect(page.get_by_text("In training on")).to_be_visible()
    # New frames do not move a visitor who scrubbed back.
    player(page).focus()
    page.keyboard.press("Home")
    expect(player(page)).not_to_have_attribute("data-frames", str(frames(page)))
    expect(player(page)).to_have_attribute("data-frame", "0")
    # Stopped, the run keeps what is there.
    press(page, "Stop")
    account = page.get_by_text("stopped at update").locator("..")
    expect(account).to_be_visible()
    expect(page.locator(".st-key-halt")).to_have_count(0)
    reached, planned = re.search(r"at update ([\d,]+) of ([\d,]+)", account.inner_text()).groups()
    end = 1 + round(LAST * int(reached.replace(",", "")) / int(planned.replace(",", "")))
    assert before <= end < LAST + 1
    # The text and the player show the same number of frames, and none is added later.
    expect(player(page)).to_have_attribute("data-frames", str(end))
    page.wait_for_timeout(1000)
    assert frames(page) == end


def test_the_overlay_and_the_panels_draw_when_opened(address, page):
    opened = visit(page, address)
    curves = player(opened).locator("svg.weights path[stroke-width='2']")
    count = curves.count()
    player(opened).get_by_role("button", name="Overlay of Song").click()
    expect(curves).to_have_count(count + 6)
    player(opened).get_by_role("button", name="Overlay of Song").click()
    expect(curves).to_have_count(count)
    for number, title in enumerate(("Q–Q plot", "The whole curve", "Every trial"), 1):
        opened.get_by_text(title).click()
        expect(opened.get_by_test_id("stPlotlyChart")).to_have_count(number)
        wait_idle(opened)


def sheets(page: Page) -> list[list[int]]:
    """The grey levels of the images that each network draws."""
    read = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    return player(page).locator("canvas").evaluate_all(f"all => all.map({read})")


def test_score_networks_show_the_images_that_they_draw(address, page):
    visit(page, f"{address}?task=score", last=30)
    end = sheets(page)
    assert [len(sheet) for sheet in end] == [4 * 70 * 28] * 5
    player(page).focus()
    page.keyboard.press("Home")
    start = sheets(page)
    assert start == [start[0]] * 5, "one network from one noise"
    assert all(set(sheet) - {0, 255} for sheet in [start[0], *end])
    assert len({tuple(sheet) for sheet in [start[0], *end]}) == 6
    page.keyboard.press("End")
    assert sheets(page) == end
