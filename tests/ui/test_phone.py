"""Every page fits a phone, in the light and in the dark theme."""

import re

import pytest
from playwright.sync_api import Page, expect

from dale_demo.ui.playground.settings import PAINTED
from tests.ui.conftest import wait_idle

pytestmark = pytest.mark.browser

PHONE = {"width": 400, "height": 850}
PAGES = {
    "sample": ("", "section.player"),
    "restore": ("restore", "section.player"),
    "dales_law": ("dale", ".player .rule"),
    "playground": (f"playground?play-steps=6&play-data={PAINTED}", "[data-testid^=particles-]"),
    "theory": ("theory?depth-non_negative=Formula", "svg[role=img]"),
}
"""Page → its address, and the elements that stand one below the other on it."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_fits_a_phone_and_follows_the_theme(app_address, page, name, scheme):
    path, parts = PAGES[name]
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(PHONE)
    page.goto(f"{app_address}/{path}")
    expect(page.locator(parts).first).to_be_visible(timeout=120_000)
    expect(page.locator(".player[data-playing=true], [data-testid=stSkeleton]")).to_have_count(0)
    wait_idle(page)
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")
    assert all(box.bounding_box()["width"] > 300 for box in page.locator(parts).all())
    assert (brightness_of_text(page) < 100) == (scheme == "light")


def brightness_of_text(page: Page) -> int:
    """Red, of 255, of the first words of a plot; of the page's text where plots have none."""
    words = page.locator("svg.plot text, svg[role=img] text")
    element, style = (words, "fill") if words.count() else (page.get_by_test_id("stMain"), "color")
    colour = element.first.evaluate(f"element => getComputedStyle(element).{style}")
    return int(re.match(r"rgba?\((\d+)", colour)[1])
