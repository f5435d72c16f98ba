"""A Streamlit server, a headless Chromium, and a page on which any console error is a failure."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from dale_demo.ui.browser import FLAGS, IDLE, ROOT, chromium, running

APP = ROOT / "app.py"
PROBE = re.compile(r"/\w+/_stcore/")
"""Streamlit looks for its server below the path of a page first, where there is none."""

ServerFactory = Callable[..., str]


def wait_idle(page: Page, timeout: float = 120_000) -> None:
    """Wait until the script of a Streamlit page has run to its end."""
    page.wait_for_selector(IDLE, timeout=timeout)


def servers(folder: Path) -> Iterator[ServerFactory]:
    """Yield a factory `(script, env=None) -> url` of new servers, and end them afterwards."""
    with ExitStack() as stack:

        def start(script: Path, env: Mapping[str, str] | None = None) -> str:
            return stack.enter_context(running(script, folder / f"{uuid4()}.log", env))

        yield start


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[ServerFactory]:
    """Factory `fresh_server(script, env=None) -> url` of servers that nobody has visited."""
    yield from servers(tmp_path)


@pytest.fixture(scope="session")
def streamlit_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerFactory]:
    """The same for the whole session, with one server for each script: starting takes seconds."""
    addresses: dict[object, str] = {}
    with contextmanager(servers)(tmp_path_factory.mktemp("streamlit")) as start:

        def find(script: Path, env: Mapping[str, str] | None = None) -> str:
            key = script, *sorted((env or {}).items())
            if key not in addresses:
                addresses[key] = start(script, env)
            return addresses[key]

        yield find


@pytest.fixture(scope="session")
def app_address(streamlit_server: ServerFactory) -> str:
    """Address of the whole app; a page is at its path below it."""
    return streamlit_server(APP)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium from the system, or from the environment variable CHROMIUM."""
    if (binary := chromium()) is None:
        pytest.skip("No Chromium was found; install it, or name it in CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of 1280×900 in a fresh context; fails on console errors and uncaught exceptions."""
    with sound_page(browser) as page:
        yield page


@pytest.fixture(scope="module")
def module_page(browser: Browser) -> Iterator[Page]:
    """The same for all tests of a file: for tests that leave a page as they found it."""
    with sound_page(browser) as page:
        yield page


def messages_of(page: Page) -> list[object]:
    """What a page sends to its server from now on, message by message; grows as it does."""
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    return sent


@pytest.fixture(scope="module")
def sent_messages(module_page: Page) -> list[object]:
    """The messages of `module_page`."""
    return messages_of(module_page)


@contextmanager
def sound_page(browser: Browser) -> Iterator[Page]:
    """A page on which any console error or uncaught exception is a failure in the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not PROBE.search(message.location["url"]):
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors, errors
