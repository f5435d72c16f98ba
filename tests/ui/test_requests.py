"""The browser asks nobody but the app's own server, on any page, so that no visit is told on."""

import tomllib
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from dale_demo.ui.browser import ROOT
from dale_demo.ui.shared.assets import ICON
from tests.ui.conftest import wait_idle

pytestmark = pytest.mark.browser


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


@pytest.mark.parametrize("path", ["", "restore", "dale", "playground", "theory"])
def test_a_page_asks_its_own_server_only(app_address: str, browser: Browser, path: str):
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda socket: requests.append(socket.url))
    page.goto(f"{app_address}/{path}")
    wait_idle(page)
    page.wait_for_timeout(500)  # the icon comes last
    icon = page.locator("link[rel='shortcut icon'], link[rel='icon']").first.get_attribute("href")
    page.close()
    assert len(requests) > 10, "noted at all"
    assert outside(requests, app_address) == []
    assert icon is not None
    assert icon.startswith("data:image/svg+xml"), f"{ICON.name} is in the page itself"
