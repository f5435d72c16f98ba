"""A network typed in a real browser, and a Hub that stops afterwards."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.hub.stand_in import StandIn
from tests.ui.conftest import wait_idle

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[3]
expect.set_options(timeout=60_000)
PIXELS = """async canvas => {  // once an image is drawn
    const { width, height } = canvas;
    for (;;) {
        const pixels = Array.from(canvas.getContext('2d').getImageData(0, 0, width, height).data);
        if (new Set(pixels).size > 20) return pixels;
        await new Promise(requestAnimationFrame);
    }
}"""


@pytest.fixture(scope="module")
def stand_in():
    """A Hub with the bundled network under another name."""
    stand_in = StandIn()
    files = {path.name: path.read_bytes() for path in (ROOT / "checkpoints/mnist").iterdir()}
    stand_in.hub.repository("ann/digits").commit(files)
    yield stand_in
    stand_in.stop()


@pytest.fixture(scope="module")
def app(stand_in, streamlit_server, tmp_path_factory) -> str:
    """Address of the app with the stand-in as its Hub."""
    environment = {
        "HF_ENDPOINT": stand_in.hub.address,
        "HF_HOME": str(tmp_path_factory.mktemp("home")),
        "DALE_NETWORKS": "",
    }
    return streamlit_server(ROOT / "app.py", env=environment)


def ask_for(page: Page, name: str) -> None:
    field = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Network")
    field.click()
    field.fill(name)
    field.press("Enter")


def press(page: Page) -> None:
    page.get_by_test_id("stMain").get_by_role("button", name="Sample", exact=True).click()


def test_the_image_stays_when_the_hub_stops(app, stand_in, page):
    page.emulate_media(reduced_motion="reduce")  # the player then rests on its last frame
    page.goto(f"{app}/?pictures=1&steps=5&seed=3")
    expect(page.get_by_test_id("player-state")).to_be_visible()
    sidebar = page.get_by_test_id("stSidebar")
    ask_for(page, "ann/digits")
    expect(sidebar.get_by_text("Downloaded from the Hugging Face Hub at commit")).to_be_visible()
    page.wait_for_function("location.search.includes('network=ann%2Fdigits')")
    press(page)
    expect(page.get_by_text("of the network ann/digits")).to_be_visible()
    expect(page.locator("section.player")).to_have_attribute("data-frame", "5")
    shown = page.get_by_test_id("player-state").evaluate(PIXELS)

    stand_in.stop()
    ask_for(page, "ann/letters")
    warning = "The Hub cannot be reached; the bundled network mnist is used instead."
    expect(sidebar.get_by_text(warning)).to_be_visible()
    wait_idle(page)
    assert page.get_by_test_id("player-state").evaluate(PIXELS) == shown
    expect(page.get_by_text("of the network ann/digits")).to_be_visible()
    assert page.get_by_test_id("stException").count() == 0
