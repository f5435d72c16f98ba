"""The page Noise and restore in a real browser: it opens with images, paints, and restores."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.ui.conftest import wait_idle

pytestmark = pytest.mark.browser

TIMEOUT_MS = 120_000
expect.set_options(timeout=TIMEOUT_MS)
QUICK = "walk=2&draws=2"
PIXELS = """canvas => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return Array.from(pixels).filter((_, i) => i % 4 === 0);
}"""
BRIGHTNESS = """canvas => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.filter((v, i) => i % 4 === 0).reduce((a, b) => a + b);
}"""


@pytest.fixture(scope="session")
def address(app_address) -> str:
    """Address of the page in the app."""
    return f"{app_address}/restore"


def visit(page: Page, address: str) -> Page:
    page.goto(address, timeout=TIMEOUT_MS)
    expect(page.get_by_role("heading", name="Limits", exact=True)).to_be_visible()
    wait_idle(page)
    return page


def stroke(page: Page, canvas: Locator) -> None:
    """Draw from the upper left to the lower right."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 60, box["y"] + box["height"] - 60, steps=5)
    page.mouse.up()


def test_opens_with_an_image_and_its_restorations(address, page):
    visit(page, address)
    expect(page.get_by_alt_text("one of several samples")).to_have_count(8 + 6)
    for name in ("original", "noised", "one Tweedie step", "uncertainty"):
        expect(page.get_by_alt_text(name, exact=True)).to_have_count(1)
    expect(page.locator("svg.plot")).to_have_count(2)


def test_a_drawing_is_restored(address, page):
    visit(page, f"{address}?picture=my+drawing&{QUICK}")
    expect(page.get_by_alt_text("noised")).to_have_count(0)
    canvas = page.get_by_test_id("canvas").first
    assert canvas.evaluate(BRIGHTNESS) == 0
    stroke(page, canvas)
    expect(page.get_by_alt_text("noised", exact=True)).to_be_visible()
    drawn = canvas.evaluate(BRIGHTNESS)
    assert drawn > 5000
    page.get_by_role("button", name="erase").first.click()
    stroke(page, canvas)
    assert canvas.evaluate(BRIGHTNESS) < drawn / 4


def test_keys_paint_too(address, page):
    visit(page, f"{address}?picture=my+drawing&{QUICK}")
    canvas = page.get_by_test_id("canvas")
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", " "):
        page.keyboard.press(key)
    expect(page.get_by_alt_text("noised", exact=True)).to_be_visible()


def test_an_upload_shows_how_it_is_fitted_and_a_broken_one_says_so(address, page):
    visit(page, f"{address}?picture=my+upload&{QUICK}")
    ink = np.full((60, 50), 255, np.uint8)
    ink[10:50, 20:28] = 0
    buffer = io.BytesIO()
    Image.fromarray(ink).save(buffer, "PNG")
    chooser = page.locator("input[type=file]")
    chooser.set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": buffer.getvalue()})
    expect(page.get_by_alt_text("framed")).to_be_visible()
    expect(page.get_by_text("the background is bright, so inverted")).to_be_visible()
    expect(page.get_by_alt_text("noised", exact=True)).to_be_visible()
    chooser.set_input_files({"name": "b.png", "mimeType": "image/png", "buffer": b"text"})
    expect(page.get_by_text("not a PNG, JPEG or WebP image")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_painted_hole_is_filled(address, page):
    visit(page, f"{address}?hole=middle&answers=2")
    stroke(page, page.get_by_test_id("canvas"))
    expect(page.get_by_text("to see this hole filled")).to_be_visible()
    wait_idle(page)
    page.get_by_test_id("stMain").get_by_role("button", name="Fill", exact=True).click()
    expect(page.get_by_text("to see this hole filled")).to_have_count(0)


class Fingers:
    """Real touches on a page, by the browser's own protocol; in shares of an element's box."""

    def __init__(self, element: Locator):
        self.element, self.page = element, element.page
        element.evaluate("element => element.scrollIntoView({ block: 'center' })")
        self.box = element.bounding_box()
        self.session = self.page.context.new_cdp_session(self.page)

    def send(self, kind: str, *places: tuple[float, float]) -> None:
        box = self.box
        points = [
            {"id": i, "x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            for i, (x, y) in enumerate(places)
        ]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def swipe_up(self) -> float:
        """Move one finger up along the middle; how far the element has moved away under it."""
        self.send("touchStart", (0.5, 0.9))
        for y in np.linspace(0.9, 0.1, 17)[1:]:
            self.send("touchMove", (0.5, float(y)))
        self.page.wait_for_timeout(300)
        moved = abs(self.element.bounding_box()["y"] - self.box["y"])
        self.send("touchEnd")
        return moved


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A page of a phone that is touched."""
    context = browser.new_context(
        viewport={"width": 400, "height": 850}, has_touch=True, is_mobile=True
    )
    yield context.new_page()
    context.close()


def test_a_finger_draws_and_does_not_scroll(address, phone):
    visit(phone, f"{address}?picture=my+drawing&{QUICK}")
    canvas = phone.get_by_test_id("canvas").first
    assert Fingers(canvas).swipe_up() == 0
    expect(phone.get_by_alt_text("noised", exact=True)).to_be_visible()
    rows = np.reshape(canvas.evaluate(PIXELS), (28, 28)) > 100
    drawn, columns = rows.nonzero()
    assert drawn.min() in (1, 2, 3), "a stroke from the lower end"
    assert drawn.max() in (24, 25, 26), "to the upper one"
    assert set(columns) <= {12, 13, 14, 15}
    wait_idle(phone)
    assert Fingers(phone.get_by_role("table").first).swipe_up() > 50, "beside it a finger scrolls"


def test_a_finger_paints_a_mask(address, phone):
    visit(phone, f"{address}?hole=middle&answers=2")
    assert Fingers(phone.get_by_test_id("canvas")).swipe_up() == 0
    expect(phone.get_by_text("to see this hole filled")).to_be_visible()


def test_a_second_finger_draws_no_line_between_the_two(address, phone):
    visit(phone, f"{address}?picture=my+drawing&{QUICK}")
    canvas = phone.get_by_test_id("canvas").first
    fingers = Fingers(canvas)
    fingers.send("touchStart", (0.2, 0.2))
    fingers.send("touchStart", (0.2, 0.2), (0.8, 0.8))
    for share in (0.3, 0.4):
        fingers.send("touchMove", (0.2, share), (0.8, 0.8))
    fingers.send("touchEnd")
    expect(phone.get_by_alt_text("noised", exact=True)).to_be_visible()
    _, columns = (np.reshape(canvas.evaluate(PIXELS), (28, 28)) > 0).nonzero()
    assert columns.max() < 10
