"""What each page shows first: its own title and splash, and nothing of another page."""

import pytest
from playwright.sync_api import Browser, expect

from tests.ui.conftest import APP

pytestmark = pytest.mark.browser

expect.set_options(timeout=120_000)
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


def open_and_note(browser: Browser, address: str) -> tuple[list[str], int]:
    """The titles that were seen until the page was there, and the images of its splash."""
    page = browser.new_page()  # Streamlit looks for its server below every page first: a 404
    page.add_init_script(f"({NOTE_WHAT_IS_SEEN})()")
    page.goto(address)
    expect(page.get_by_role("heading", level=2).first).to_be_visible()
    expect(page.get_by_text("while the program warms up")).to_have_count(0)
    expect(page.get_by_text("Page not found")).to_have_count(0)
    seen = page.evaluate("[...seen.titles]"), page.evaluate("seen.splash")
    page.close()
    return seen


@pytest.mark.parametrize(
    ("path", "title", "images"),
    [
        ("", "Dale meets Langevin, live", 1),
        ("restore", "Noise and restore", 6),
        ("playground", "Playground", 2),
    ],
)
def test_a_page_that_imports_torch_opens_with_its_splash(
    fresh_server, browser, path, title, images
):
    """In a fresh process, as it is shown only while the page is imported."""
    assert open_and_note(browser, f"{fresh_server(APP)}/{path}") == ([title], images)


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("sample", "Dale meets Langevin, live"),
        ("dale", "Dale’s law"),
        ("theory", "Theory"),
    ],
)
def test_a_page_opens_with_its_own_title(app_address, browser, path, title):
    titles, images = open_and_note(browser, f"{app_address}/{path}")
    assert titles == [title]
    if path != "sample":
        assert images == 0, "pages without PyTorch have no splash"
