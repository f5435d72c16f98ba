"""Every page in a real browser: its first second, its requests, both themes, and on a phone."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from dale_demo.ui.browser import ROOT
from dale_demo.ui.playground.settings import PAINTED
from dale_demo.ui.shared.assets import ICON
from tests.ui.conftest import APP, wait_idle

pytestmark = pytest.mark.browser

LOADED = 120_000
"""Milliseconds for a page that imports PyTorch for the first time."""
expect.set_options(timeout=LOADED)

PHONE = {"width": 400, "height": 850}
NOTE_WHAT_IS_SEEN = """() => {
    window.seen = { titles: new Set(), splash: 0 };
    const look = () => {
        const main = document.querySelector('[data-testid="stMain"]');
        for (const title of main?.querySelectorAll('h1') ?? []) seen.titles.add(title.innerText);
        const images = main?.querySelectorAll('img, svg[role=img]').length;
        if (main?.innerText.includes('while the program warms up'))
            seen.splash = Math.max(seen.splash, images);
        requestAnimationFrame(look);
    };
    look();
}"""


@dataclass(frozen=True)
class Place:
    """A page of the app.

    Args:
        path: Its address.
        title: Its title.
        parts: Selector of the elements that stand one below the other on it.
        splash: Images that it shows while PyTorch is imported; 0 where it does without.
    """

    path: str
    title: str
    parts: str
    splash: int = 0


PLACES = {
    "sample": Place("", "Dale meets Langevin, live", "section.player", 1),
    "restore": Place("restore", "Noise and restore", "section.player", 6),
    "dales_law": Place("dale", "Dale’s law", ".player .rule"),
    "weights": Place("weights", "Weights", "svg[role=img]"),
    "playground": Place(
        f"playground?play-steps=6&play-data={PAINTED}",
        "Playground",
        "[data-testid^=particles-]",
        2,
    ),
    "theory": Place("theory?depth-non_negative=Formula", "Theory", "svg[role=img]"),
}


@dataclass
class Visit:
    """What was seen of a page on its first visit by a phone: it is loaded once for all tests."""

    place: Place
    page: Page
    requests: list[str]

    def follow(self, scheme: str) -> None:
        """Change the theme of the browser, and wait until the page has followed."""
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        self.page.wait_for_function(
            f"light => (({BRIGHTNESS_OF_TEXT})() < 100) === light", arg=scheme == "light"
        )


BRIGHTNESS_OF_TEXT = """() => {
    const words = document.querySelector('svg.plot text, svg[role=img] text');
    const element = words ?? document.querySelector('[data-testid="stMain"]');
    const colour = getComputedStyle(element)[words ? 'fill' : 'color'];
    return Number(/rgba?\\((\\d+)/.exec(colour)[1]);
}"""
"""Red, of 255, of the first words of a plot; of the page's text where plots have none."""


@pytest.fixture(scope="module", params=PLACES)
def visit(request, app_address: str, browser: Browser) -> Iterator[Visit]:
    """A phone's visit to a page, in the light theme, when everything on it has come to rest."""
    place = PLACES[request.param]
    context = browser.new_context(viewport=PHONE, color_scheme="light", reduced_motion="reduce")
    page = context.new_page()
    page.add_init_script(f"({NOTE_WHAT_IS_SEEN})()")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda socket: requests.append(socket.url))
    page.goto(f"{app_address}/{place.path}")
    expect(page.locator(place.parts).first).to_be_visible()
    expect(page.locator(".player[data-playing=true], [data-testid=stSkeleton]")).to_have_count(0)
    wait_idle(page)
    yield Visit(place, page, requests)
    context.close()


def test_a_page_opens_with_its_own_title(visit):
    expect(visit.page.get_by_text("Page not found")).to_have_count(0)
    assert visit.page.evaluate("[...seen.titles]") == [visit.place.title]
    if not visit.place.splash:
        assert visit.page.evaluate("seen.splash") == 0, "pages without PyTorch have no splash"


def test_a_page_asks_its_own_server_only(visit):
    """So that no visit is told on."""
    icon = visit.page.locator("link[rel='shortcut icon'], link[rel='icon']").first
    expect(icon).to_have_attribute("href", re.compile("^data:image/svg"))  # comes last
    source = icon.get_attribute("href")
    assert len(visit.requests) > 10, "noted at all"
    assert outside(visit.requests, visit.page.url) == []
    assert source is not None
    assert source.startswith("data:image/svg+xml"), f"{ICON.name} is in the page itself"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_fits_a_phone_and_follows_the_theme(visit, scheme):
    visit.follow(scheme)
    main = visit.page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")
    widths = [box.bounding_box()["width"] for box in visit.page.locator(visit.place.parts).all()]
    assert all(width > 300 for width in widths)
    assert (visit.page.evaluate(BRIGHTNESS_OF_TEXT) < 100) == (scheme == "light")


def outside(requests: list[str], address: str) -> list[str]:
    """Requests over a network to another server; data and blob URLs make none."""
    own = urlsplit(address).netloc
    parts = [(url, urlsplit(url)) for url in requests]
    return [
        url
        for url, part in parts
        if part.scheme in ("http", "https", "ws", "wss") and part.netloc != own
    ]


def test_what_is_outside_is_told_from_what_is_not():
    inside = ["http://127.0.0.1:8501/static/a.js", "data:image/png;base64,AA", "blob:http://x/1"]
    font = "https://fonts.gstatic.com/s/i/icon.svg"
    assert outside([*inside, font], "http://127.0.0.1:8501/theory") == [font]
    assert outside(["http://127.0.0.1:9/a.js"], "http://127.0.0.1:8501")


def test_the_server_asks_nobody_for_its_own_address():
    """Streamlit does, when it starts without a browser, unless it is told."""
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert config["browser"]["serverAddress"] == "localhost"
    assert config["browser"]["gatherUsageStats"] is False


def test_pages_that_import_torch_open_with_their_splash(fresh_server, browser):
    """In a fresh process, as it is shown only while a page is imported: so all are opened at once.

    They are closed as the others are: Streamlit looks for its server below every page first.
    """
    address, context, pages = fresh_server(APP), browser.new_context(), {}
    for place in PLACES.values():
        if place.splash:
            page = context.new_page()
            page.add_init_script(f"({NOTE_WHAT_IS_SEEN})()")
            page.goto(f"{address}/{place.path}", wait_until="commit")
            pages[place] = page
    for place, page in pages.items():
        expect(page.get_by_role("heading", level=2).first).to_be_visible()
        expect(page.get_by_text("while the program warms up")).to_have_count(0)
        seen = page.evaluate("[...seen.titles]"), page.evaluate("seen.splash")
        assert seen == ([place.title], place.splash)
    context.close()


def test_the_navigation_leads_to_every_page_and_back(app_address, page):
    page.goto(app_address)
    home = page.get_by_test_id("player-state")
    expect(home).to_be_visible()
    for place in list(PLACES.values())[1:]:
        path = "/" + place.path.partition("?")[0]
        page.get_by_role("link", name=place.title, exact=True).click()
        expect(page.locator(place.parts).first).to_be_visible()
        page.wait_for_function("path => location.pathname === path", arg=path)
        page.get_by_role("link", name="Sample").click()
        expect(home).to_be_visible()
