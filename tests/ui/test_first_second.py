"""The first second of each page in a fresh process: something of its own, nothing of another."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

APP = Path(__file__).resolve().parents[2] / "app.py"
expect.set_options(timeout=120_000)
NOTE_WHAT_IS_SEEN = """() => {
    window.seen = { titles: new Set(), curtain: 0 };
    const look = () => {
        const main = document.querySelector('[data-testid="stMain"]');
        for (const title of main?.querySelectorAll('h1') ?? []) seen.titles.add(title.innerText);
        const pictures = main?.querySelectorAll('img, svg[role=img]').length;
        if (main?.innerText.includes('while the program warms up'))
            seen.curtain = Math.max(seen.curtain, pictures);
        requestAnimationFrame(look);
    };
    look();
}"""


@pytest.mark.parametrize(
    ("path", "title", "pictures"),
    [
        ("", "Dale meets Langevin, live", 1),
        ("sample", "Dale meets Langevin, live", 1),
        ("restore", "Noise and restore", 6),
        ("playground", "Playground", 2),
        ("dale", "Dale’s law", 0),
        ("theory", "Theory", 0),
    ],
)
def test_a_page_opens_with_its_own(streamlit_server, browser: Browser, path, title, pictures):
    page = browser.new_page()  # Streamlit looks for its server below every page first: a 404
    page.add_init_script(f"({NOTE_WHAT_IS_SEEN})()")
    page.goto(f"{streamlit_server(APP)}/{path}")
    expect(page.get_by_role("heading", level=2).first).to_be_visible()
    expect(page.get_by_text("while the program warms up")).to_have_count(0)
    expect(page.get_by_text("Page not found")).to_have_count(0)
    assert page.evaluate("[...seen.titles]") == [title]
    assert page.evaluate("seen.curtain") == pictures
    page.close()
