"""The navigation leads from the page Sample, the first, to another page and back."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

LOADED = 120_000
"""Milliseconds for a page that imports PyTorch for the first time."""


@pytest.mark.parametrize(
    ("title", "path", "part"),
    [
        ("Noise and restore", "/restore", "section.player"),
        ("Dale’s law", "/dale", "section.player .rule"),
        ("Playground", "/playground", "[data-testid=particles-right]"),
        ("Theory", "/theory", "svg[role=img]"),
    ],
)
def test_the_navigation_leads_there_and_back(app_address, page, title, path, part):
    page.goto(app_address)
    expect(page.get_by_test_id("player-state")).to_be_visible(timeout=LOADED)
    page.get_by_role("link", name=title, exact=True).click()
    expect(page.locator(part).first).to_be_visible(timeout=LOADED)
    page.wait_for_function("path => location.pathname === path", arg=path)
    page.get_by_role("link", name="Sample").click()
    expect(page.get_by_test_id("player-state")).to_be_visible(timeout=LOADED)
