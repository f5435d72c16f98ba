"""One screenshot of each page for the README: docs/images/<page>.webp."""

import io
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from PIL import Image

from dale_demo.ui.browser import FLAGS, IDLE, ROOT, chromium, running
from dale_demo.ui.shared.stored import StoredItem, Unavailable

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = ROOT / "docs" / "images"
ADDRESSES = {
    "sample": "",
    "restore": "restore",
    "dales_law": "dale",
    "weights": "weights",
    "playground": "playground",
    "theory": "theory",
}
"""Page → its path in the app."""
VIEWPORT = {"width": 1280, "height": 900}
WIDTH = 960
"""Of the stored image, in pixels."""
MAX_BYTES = 100_000
QUALITIES = (85, 75, 65, 55, 45)
TIMEOUT_MS, IDLE_MS = 180_000, 60_000
SETTLED = """() => document.querySelectorAll('[data-testid=stMain] h2').length > 0
    && !document.querySelector('[data-testid=stSkeleton], .player[data-playing=true]')"""


def items() -> list[StoredItem]:
    """The screenshots, as one item that has no inputs.

    How a page looks depends on nearly all code, so there is no fingerprint to compare: name the
    item with `--force` when the pages look different.
    """
    files = tuple(FOLDER / f"{page}.webp" for page in ADDRESSES)
    return [StoredItem("screenshots", files, dict, make)]


def make() -> None:
    """Take them in headless Chromium, in the light theme.

    Raises:
        Unavailable: There is no app.py, no playwright or no Chromium.
    """
    app, binary = ROOT / "app.py", chromium()
    if not app.exists():
        raise Unavailable(f"{app} is missing; run this in a checkout of the project.")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise Unavailable("playwright is missing; install requirements-dev.txt.") from error
    if binary is None:
        raise Unavailable("No Chromium was found; install it, or name it in CHROMIUM.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory() as folder,
        running(app, Path(folder, "log")) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=binary, args=list(FLAGS))
        for page, path in ADDRESSES.items():
            (FOLDER / f"{page}.webp").write_bytes(_small(_shot(browser, f"{address}/{path}")))
        browser.close()


def _shot(browser: "Browser", address: str) -> bytes:
    """What is seen of a page without scrolling, as PNG."""
    from playwright.sync_api import TimeoutError

    page = browser.new_page(
        viewport=VIEWPORT,  # type: ignore[arg-type]
        color_scheme="light",
        reduced_motion="reduce",  # players then rest on their last frame
    )
    page.goto(address)
    page.wait_for_function(SETTLED, timeout=TIMEOUT_MS)
    # The playground goes on measuring for its table, which is below what the screenshot shows.
    with suppress(TimeoutError):
        page.wait_for_selector(IDLE, timeout=IDLE_MS)
    page.wait_for_timeout(2000)  # fonts and canvases are drawn after the script has ended
    png = page.screenshot()
    page.close()
    return png


def _small(png: bytes) -> bytes:
    """A screenshot as WebP `WIDTH` pixels wide, in the best quality within `MAX_BYTES`."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image = image.resize(
        (WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS
    )
    for quality in QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=6)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()
