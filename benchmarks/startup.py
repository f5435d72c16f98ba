"""How long a visitor waits, from the start of the process to what can be seen and used.

    python -m benchmarks.startup --runs 3

A fresh server each time, and a headless Chromium that is already open. The first visitor comes as
soon as the server answers, the second when the first has seen everything. The table holds medians.
Needs playwright and a Chromium on the path, or named in the environment variable CHROMIUM.
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import click
from playwright.sync_api import Browser, sync_playwright

from dale_demo.hardware import hardware

APP = Path(__file__).resolve().parent.parent / "app.py"
BINARIES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 300.0
SIGHTS = {
    "first picture": "[data-testid=stImage] img, [data-testid=player-state]",
    "player": "section.player[data-frame]",
    "settings": ".st-key-sample button:enabled",
    "page complete": '[data-testid=stApp][data-test-script-state="notRunning"]',
}
"""What a visitor sees, in this order, and how it is known."""


@contextmanager
def server() -> Iterator[str]:
    """The app in a process of its own, at a free port; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.port", str(port)]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=APP.parent, **silent) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for_answer(address: str) -> None:
    """Return once the server says that it is well; raises TimeoutError after `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with urlopen(f"{address}/_stcore/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.02)
    raise TimeoutError(f"The server did not answer within {PATIENCE:g} s.")


def visit(browser: Browser, address: str, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds on the clock at which each of `SIGHTS` is seen in a fresh browser context."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.goto(address, wait_until="commit")
        seen = {}
        for sight, selector in SIGHTS.items():
            page.wait_for_selector(selector, timeout=PATIENCE * 1000)
            seen[sight] = clock()
        return seen
    finally:
        page.close()


def stopwatch() -> Callable[[], float]:
    """A clock that begins at 0 now."""
    began = time.perf_counter()
    return lambda: time.perf_counter() - began


def measure(browser: Browser) -> dict[str, float]:
    """One start, with two visitors: what → seconds."""
    clock = stopwatch()
    with server() as address:
        wait_for_answer(address)
        times = {"process start → server answers": clock()}
        first = visit(browser, address, clock)
        second = visit(browser, address, stopwatch())
    times |= {f"process start → {sight}": value for sight, value in first.items()}
    return times | {f"second visit → {sight}": value for sight, value in second.items()}


@click.command(context_settings={"show_default": True})
@click.option("--runs", default=3, help="Starts to take the median of.")
def main(runs: int) -> None:
    """Print a table of times."""
    binary = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BINARIES)), None)
    if binary is None:
        raise click.ClickException("No Chromium was found; install it, or name it in CHROMIUM.")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=binary, args=flags)
        rows = [measure(browser) for _ in range(runs)]
        browser.close()
    print(f"Median of {runs}; {hardware()}\n")
    print("| from → to | seconds |")
    print("|---|---|")
    for what in rows[0]:
        print(f"| {what} | {statistics.median(row[what] for row in rows):.2f} |")


if __name__ == "__main__":
    main()
