"""The app in a frame of another site, as in a Space: addresses, uploads, layout."""

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import FrameLocator, Page, Route, expect

from tests.ui.conftest import wait_idle

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[3]
APP, DOCKERFILE = ROOT / "app.py", ROOT / "Dockerfile"
expect.set_options(timeout=60_000)
OUTSIDE = "https://huggingface.co/spaces/ann/app"
FRAME = """<!doctype html><title>A Space</title>
<style>body {{ margin: 0 }} iframe {{ border: 0; width: 100vw; height: 100vh }}</style>
<script>
  window.heard = [];
  addEventListener("message", ({{ data }}) => {{
    if (!data || data.queryString === undefined) return;
    window.heard.push(data);
    history.replaceState(null, "", `?${{data.queryString}}${{data.hash}}`);
  }});
</script>
<iframe src="{address}"></iframe>"""


def framed(page: Page, app: str, query: str = "", hash: str = "") -> Page:
    """Open the outer page with a query string and hash, which it passes on as the Hub does."""

    def outer(route: Route) -> None:
        handed = "&".join(filter(None, ["__theme=light", query]))
        body = FRAME.format(address=f"{app}/?{handed}{hash}")
        route.fulfill(body=body, content_type="text/html; charset=utf-8")

    page.route("https://huggingface.co/**", outer)
    page.goto(f"{OUTSIDE}?{query}{hash}")
    return page


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    """Two small pages that share their address; the first says how much was uploaded."""
    script = tmp_path_factory.mktemp("pages") / "pages.py"
    script.write_text(
        "import streamlit as st\n"
        "from dale_demo.ui.shared.space import share_address\n"
        "def one():\n"
        "    st.write('the first')\n"
        "    if file := st.file_uploader('File'):\n"
        "        st.write(f'{file.size} bytes')\n"
        "two = st.Page(lambda: st.write('the second'), title='Two', url_path='two')\n"
        "st.navigation([st.Page(one, title='One', default=True), two]).run()\n"
        "share_address()\n"
    )
    return script


@pytest.fixture(scope="module")
def pages(streamlit_server, script) -> str:
    """Address of the small pages as they run in a Space, with the container's settings."""
    settings = re.findall(r"^ENV (STREAMLIT_\w+)=(\w+)$", DOCKERFILE.read_text(), re.MULTILINE)
    return streamlit_server(script, env={"SPACE_ID": "ann/app", **dict(settings)})


@pytest.fixture(scope="module")
def pages_elsewhere(streamlit_server, script) -> str:
    """Address of the small pages outside a Space, without the container's settings."""
    return streamlit_server(script)


@pytest.fixture(scope="module")
def space(streamlit_server) -> str:
    """Address of the app as it runs in a Space."""
    return streamlit_server(APP, env={"SPACE_ID": "ann/app"})


def test_links_carry_the_settings_both_ways(space, page):
    framed(page, space, urlencode({"seed": 7, "sampler": "bridge"}))
    app = page.frame_locator("iframe")
    seed = app.get_by_test_id("stSidebar").get_by_role("spinbutton", name="Seed")
    expect(seed).to_have_value("7")
    seed.fill("8")
    seed.press("Enter")
    page.wait_for_function("location.search.includes('seed=8')")
    assert "sampler=bridge" in page.url
    assert "__theme" not in page.url
    sent = page.evaluate("window.heard.length")
    page.wait_for_timeout(1000)
    assert page.evaluate("window.heard.length") == sent, "an unchanged address is not sent again"


def test_the_outer_address_opens_another_page(pages, browser):
    page = browser.new_page()  # Streamlit looks for its server below every page first: a 404
    framed(page, pages, "seed=7")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="Two").click()
    expect(frame.get_by_text("the second")).to_be_visible()
    page.wait_for_function("location.hash === '#/two'")
    framed(page, pages, "seed=7", "#/two")
    expect(frame.get_by_text("the second")).to_be_visible()
    page.wait_for_function("location.search === '?seed=7' && location.hash === '#/two'")
    for hostile in ("#//evil.example", "#/../evil", "#javascript:alert(1)"):
        framed(page, pages, "", hostile)
        expect(frame.get_by_text("the first")).to_be_visible()
    page.close()


def test_nothing_is_sent_outside_a_space(pages_elsewhere, browser):
    """Negative control: the same page without the variable that a Space sets."""
    page = browser.new_page()
    framed(page, pages_elsewhere, "seed=7")
    expect(page.frame_locator("iframe").get_by_text("the first")).to_be_visible()
    page.wait_for_timeout(1000)
    assert page.evaluate("window.heard.length") == 0
    page.close()


def upload(page: Page, app: str) -> FrameLocator:
    """Hand a file to the uploader in the frame."""
    frame = framed(page, app).frame_locator("iframe")
    file = {"name": "a.bin", "mimeType": "application/octet-stream", "buffer": b"x" * 321}
    frame.locator("input[type=file]").set_input_files(file)
    return frame


def test_uploads_work_in_the_frame(pages, page):
    expect(upload(page, pages).get_by_text("321 bytes")).to_be_visible()


def test_without_the_container_s_settings_uploads_fail(pages_elsewhere, browser):
    """Negative control."""
    page = browser.new_page()
    expect(upload(page, pages_elsewhere).get_by_text("403")).to_be_visible()
    page.close()


@pytest.mark.parametrize("width", [400, 1000])
def test_the_embedded_look(space, page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{space}/?embed=true")
    expect(page.get_by_test_id("player-state")).to_be_visible()
    wait_idle(page)
    assert page.get_by_test_id("stMainMenu").count() == 0
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")
