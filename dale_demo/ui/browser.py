"""Run the app on a free port, and find a Chromium: for screenshots and for browser tests."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
BINARIES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first that is there: without a window's own parts a page takes two thirds of the time."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=LocalNetworkAccessChecks",  # a frame of a public site may show this machine
)
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
"""Selector of an app whose script has run to its end."""
START_SECONDS, STOP_SECONDS = 120, 5


def chromium() -> str | None:
    """Path of a Chromium: named in the environment variable CHROMIUM, or found on the path."""
    found = (os.environ.get("CHROMIUM"), *map(shutil.which, BINARIES))
    return next(filter(None, found), None)


@contextmanager
def running(script: Path, log: Path, env: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a Streamlit script in a process of its own for the length of the block; its address.

    Args:
        script: What to run.
        log: File for what the server prints.
        env: Environment variables beside those of this process.

    Raises:
        RuntimeError: It did not start within `START_SECONDS`.
    """
    port = _free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    command += ["--server.port", str(port), "--server.headless", "true"]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, **(env or {})}
    with log.open("wb") as sink:
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        _wait_healthy(server, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_healthy(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"Streamlit did not start:\n{log.read_text(errors='replace')}")
