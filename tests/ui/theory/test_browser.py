"""The page Theory in a real browser: figures at once, depths on demand, in both themes."""

import pytest
from playwright.sync_api import Page, expect

from dale_demo.ui.theory.sections import SECTIONS
from tests.ui.conftest import wait_idle

pytestmark = pytest.mark.browser

PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def address(app_address) -> str:
    """Address of the page."""
    return f"{app_address}/theory"


def visit(page: Page, address: str) -> Page:
    page.goto(address)
    expect(page.locator("svg[role=img]")).to_have_count(len(SECTIONS))
    wait_idle(page)
    return page


def choose_depth(page: Page, section: int, depth: str) -> None:
    """Choose the depth of a section, counted from 0."""
    groups = page.get_by_test_id("stMain").get_by_test_id("stButtonGroup")
    radio = groups.nth(section).get_by_role("radio", name=depth)
    radio.click()
    try:
        expect(radio).to_be_checked(timeout=5000)
    except AssertionError:  # a click that falls into a rerun is lost; a person clicks again
        radio.click()
        expect(radio).to_be_checked()


def test_pictures_depths_and_numbers(address, page):
    visit(page, f"{address}?depth-tweedie=Formula&depth-score=Mechanism")
    # An address restores a view.
    expect(page.get_by_text("by brute force, against D").first).to_be_visible()
    expect(page.get_by_text("is the slope of the log density")).to_be_visible()
    # And a view is chosen by hand.
    expect(page.get_by_text("A diffusion run backwards")).to_have_count(0)
    choose_depth(page, 2, "Mechanism")
    expect(page.get_by_text("A diffusion run backwards is a diffusion again.")).to_be_visible()
    page.wait_for_function("location.search.includes('depth-reverse=Mechanism')")
    choose_depth(page, 2, "Formula")
    table = page.get_by_role("table").filter(has_text="share below zero")
    expect(table).to_be_visible()
    expect(table.get_by_text("differs, as it must")).to_have_count(1)
    expect(page.get_by_text("def dale_langevin")).to_be_visible()
    before = table.inner_text()
    page.get_by_role("button", name="Measure again").first.click()
    expect(page.get_by_text("seed 1.")).to_be_visible()
    assert table.inner_text() != before
    expect(page.locator(".katex-error")).to_have_count(0)


def test_no_formula_is_broken(address, page):
    visit(page, address)
    page.get_by_role("button", name="All formulas").click()
    expect(page.get_by_text("Measured just now")).to_have_count(len(SECTIONS))
    wait_idle(page)
    formulas = sum(
        len(section.equations) + section.derivation.replace("$$", "$").count("$") // 2
        for section in SECTIONS
    )
    expect(page.locator(".katex")).to_have_count(formulas)
    expect(page.locator(".katex-error")).to_have_count(0)
    assert "$" not in page.get_by_test_id("stMain").inner_text()
