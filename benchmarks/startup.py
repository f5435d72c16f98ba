"""Seconds from the start of the app until its first page can be seen and used.

    python -m benchmarks.startup --runs 3

Each run starts a fresh server; a headless Chromium is already open. The first visit begins as soon
as the server answers, the second when the first page is complete. The table holds medians. Needs
playwright and a Chromium on the path, or named in the environment variable CHROMIUM.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from playwright.sync_api import Browser, sync_playwright

from dale_demo.drawing.markdown import table
from dale_demo.hardware import hardware
from dale_demo.ui.browser import FLAGS, IDLE, ROOT, chromium, running

APP = ROOT / "app.py"
TIMEOUT = 300.0
"""Seconds until a run is given up."""
MILESTONES = {
    "first image": "[data-testid=stImage] img, [data-testid=player-state]",
    "player": "section.player[data-frame]",
    "settings": ".st-key-sample button:enabled",
    "page complete": IDLE,
}
"""What appears on the page, in this order → its CSS selector."""


def visit(browser: Browser, address: str, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds on the clock at which each of `MILESTONES` appears in a fresh browser context."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.goto(address, wait_until="commit")
        seen = {}
        for milestone, selector in MILESTONES.items():
            page.wait_for_selector(selector, timeout=TIMEOUT * 1000)
            seen[milestone] = clock()
        return seen
    finally:
        page.close()


def stopwatch() -> Callable[[], float]:
    """A clock that starts at 0 now."""
    began = time.perf_counter()
    return lambda: time.perf_counter() - began


def measure(browser: Browser) -> dict[str, float]:
    """One start with two visits: what → seconds."""
    clock = stopwatch()
    with tempfile.TemporaryDirectory() as folder, running(APP, Path(folder) / "log") as address:
        times = {"process start → server answers": clock()}
        first = visit(browser, address, clock)
        second = visit(browser, address, stopwatch())
    times |= {f"process start → {milestone}": value for milestone, value in first.items()}
    return times | {f"second visit → {milestone}": value for milestone, value in second.items()}


@click.command(context_settings={"show_default": True})
@click.option("--runs", default=3, help="Starts to take the median of.")
def main(runs: int) -> None:
    """Print a table of times."""
    binary = chromium()
    if binary is None:
        raise click.ClickException("No Chromium was found; install it, or name it in CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=list(FLAGS))
        rows = [measure(browser) for _ in range(runs)]
        browser.close()
    print(f"Median of {runs}; {hardware()}\n")
    medians = {what: statistics.median(row[what] for row in rows) for what in rows[0]}
    print(table(("from → to", "seconds"), [(what, f"{s:.2f}") for what, s in medians.items()]))


if __name__ == "__main__":
    main()
