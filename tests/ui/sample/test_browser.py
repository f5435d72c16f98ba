"""The page Sample in a real browser, with the bundled network."""

import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import wait_idle

pytestmark = pytest.mark.browser

expect.set_options(timeout=60_000)
WATCH_LIVE_IMAGES = """() => {
    window.seen = new Set();
    const look = () => {
        for (const image of document.querySelectorAll('[data-testid="stImage"] img'))
            if (image.complete && image.naturalWidth) window.seen.add(image.src);
        requestAnimationFrame(look);
    };
    look();
}"""
GREYS = """canvas => {
    const context = canvas.getContext('2d');
    return Array.from(context.getImageData(0, 0, canvas.width, canvas.height).data);
}"""


@pytest.fixture(scope="module")
def opened(app_address, module_page: Page, sent_messages) -> Page:
    """The page at its bare address, with the player in it, which has played."""
    visit(module_page, app_address)
    player = module_page.locator("section.player")
    expect(player).to_have_attribute("data-frame", "20")
    expect(player).to_have_attribute("data-playing", "false")
    return module_page


def visit(page: Page, address: str) -> Page:
    page.goto(address)
    expect(page.get_by_test_id("player-state")).to_be_visible()
    wait_idle(page)
    return page


def press(page: Page, name: str) -> None:
    page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True).click()


def pixels(page: Page) -> list[int]:
    return page.get_by_test_id("player-state").evaluate(GREYS)


def test_opens_with_images(opened):
    assert len(set(pixels(opened))) > 20
    expect(opened.get_by_text("Stored run of the network")).to_be_visible()


def test_scrubbing_changes_the_images_and_asks_no_server(opened, sent_messages):
    before, messages = pixels(opened), len(sent_messages)
    assert messages, "the page talks to its server by this socket"
    opened.get_by_test_id("player-scrubber").focus()
    for _ in range(5):
        opened.keyboard.press("ArrowLeft")
    expect(opened.locator("section.player")).to_have_attribute("data-frame", "15")
    assert pixels(opened) != before
    assert len(sent_messages) == messages


def test_the_panel_about_the_spread_is_drawn_when_it_is_opened(opened):
    chart = opened.get_by_test_id("stPlotlyChart")
    expect(chart).to_have_count(0)
    opened.get_by_text("Does the run follow the forward process?").click()
    expect(chart.locator(".scatterlayer path.js-line")).to_have_count(2)


def test_a_run_shows_new_images_and_then_the_player(app_address, page):
    visit(page, f"{app_address}/?steps=60&pictures=1")
    page.evaluate(WATCH_LIVE_IMAGES)
    press(page, "Sample")
    expect(page.get_by_text("Sampled in")).to_be_visible()
    expect(page.get_by_test_id("player-state")).to_be_visible()
    assert page.evaluate("window.seen.size") > 3, "each image is its own address"


def test_stop_keeps_what_is_there(app_address, page):
    visit(page, f"{app_address}/?sampler=dale-langevin&grid=uniform&steps=1000&pictures=4")
    press(page, "Sample")
    expect(page.get_by_test_id("stProgress")).to_contain_text("Step")
    press(page, "Stop")
    expect(page.get_by_text("stopped at step")).to_be_visible()
    expect(page.get_by_test_id("player-state")).to_be_visible()
    assert len(set(pixels(page))) > 20
    expect(page.locator(".st-key-stop")).to_have_count(0)


def test_the_address_follows_the_settings(app_address, page):
    visit(page, f"{app_address}/?sampler=bridge&seed=7&classes=3")
    seed = page.get_by_test_id("stSidebar").get_by_role("spinbutton", name="Seed")
    expect(seed).to_have_value("7")
    seed.fill("8")
    seed.press("Enter")
    page.wait_for_function("location.search.includes('seed=8')")
    assert "sampler=bridge" in page.url
