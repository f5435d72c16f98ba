"""How the app bears several visitors who sample at once: failures, waits, memory.

    python -m benchmarks.visitors --visitors 8 --runs 200

Starts a fresh server and opens one session for each visitor, as a browser would but without
drawing. Each presses Sample again and again, with another seed each time, until all runs are done.
A run has failed if the page does not say afterwards that it was sampled with this seed. Memory is
that of the server, once every visitor has sampled once and at the end.
"""

import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import click
import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from tqdm import tqdm
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from dale_demo.drawing.markdown import table
from dale_demo.hardware import hardware
from dale_demo.ui.browser import ROOT, running

APP = ROOT / "app.py"
PROTOCOL = Subprotocol("streamlit")
TIMEOUT = 300.0
"""Seconds without any message until a run has failed."""
MESSAGE_BYTES = 64 * 2**20


class Visitor:
    """One session of the app.

    Args:
        connection: Its web socket.
        query: The settings, as in the page's address.
    """

    def __init__(self, connection: ClientConnection, query: dict[str, object]):
        self._connection, self._query = connection, query
        self._widgets: dict[str, str] = {}
        self._run([])

    def sample(self, seed: int) -> float:
        """Press Sample; the seconds that the visitor was told to wait.

        Raises:
            RuntimeError: The page shows an error, or does not show the images.
        """
        trigger = WidgetState(id=self._widgets["sample"], trigger_value=True)
        number = WidgetState(id=self._widgets["seed"], double_value=seed)
        return self._run([number, trigger], rf"Sampled in .* seed {seed}\.")

    def _run(self, changed: list[WidgetState], expected: str = "") -> float:
        """Run the script; see `sample`."""
        message = BackMsg()
        message.rerun_script.query_string = urlencode(self._query)
        message.rerun_script.widget_states.widgets.extend(changed)
        self._connection.send(message.SerializeToString())
        waited, waiting, texts = 0.0, None, []
        for element in self._elements():
            now = time.monotonic()
            waited += now - waiting if waiting else 0.0
            texts.append(text := _text(element))
            waiting = now if "ahead of you" in text else None
            if element.WhichOneof("type") == "exception":
                raise RuntimeError(f"The page shows an error: {element.exception.message}")
            self._note(element)
        if not any(re.search(expected, text) for text in texts):
            raise RuntimeError(f"The page does not say {expected!r}.")
        return waited

    def _elements(self) -> Iterator[Element]:
        """What is drawn until the script has ended."""
        while True:
            message = ForwardMsg.FromString(self._connection.recv(TIMEOUT))
            kind = message.WhichOneof("type")
            if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                yield message.delta.new_element
            if kind == "script_finished":
                return

    def _note(self, element: Element) -> None:
        """Remember the identities of the button and of the seed."""
        for widget in (element.button, element.number_input):
            for key in ("sample", "seed"):
                if widget.id.endswith(f"-{key}"):
                    self._widgets[key] = widget.id


def _text(element: Element) -> str:
    kind = element.WhichOneof("type")
    return getattr(element, kind).body if kind in ("alert", "markdown") else ""


class Crowd:
    """What all visitors together have done so far.

    Args:
        address: Of the server.
        server: Its process.
        query: The settings, as in the page's address.
        runs: How many runs there are to be.

    Attributes:
        waits: Seconds in the queue, of each run.
        memory: Of the server after each run, in MiB.
        failures: What went wrong, in words.
    """

    def __init__(self, address: str, server: int, query: dict[str, object], runs: int):
        self._url = f"{address.replace('http', 'ws', 1)}/_stcore/stream"
        self._server, self._query = server, query
        self._numbers, self._bar, self._lock = iter(range(runs)), tqdm(total=runs), threading.Lock()
        self.waits: list[float] = []
        self.memory: list[float] = []
        self.failures: list[str] = []

    def visit(self) -> None:
        """Sample as one of the visitors until all runs are done."""
        with connect(self._url, subprotocols=[PROTOCOL], max_size=MESSAGE_BYTES) as connection:
            visitor = Visitor(connection, self._query)
            while (number := self._next()) is not None:
                self._sample(visitor, number)

    def _next(self) -> int | None:
        with self._lock:
            return next(self._numbers, None)

    def _sample(self, visitor: Visitor, number: int) -> None:
        try:
            self.waits.append(visitor.sample(number))
        except (RuntimeError, TimeoutError, ConnectionClosed) as error:
            self.failures.append(f"run {number}: {error}")
        with self._lock:
            self._bar.update()
            self.memory.append(rss(self._server))


def rss(process: int) -> float:
    """Memory of a process in MiB, on Linux."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@click.command(context_settings={"show_default": True})
@click.option("--visitors", default=8, help="Sessions at once.")
@click.option("--runs", default=200, help="Runs of all sessions together.")
@click.option("--images", default=4, help="Images of a run.")
@click.option("--steps", default=10, help="Steps of a run.")
def main(visitors: int, runs: int, images: int, steps: int) -> None:
    """Print a table of waits, memory and failures; exit with 1 if any run has failed."""
    query: dict[str, object] = {"pictures": images, "steps": steps}
    with tempfile.TemporaryDirectory() as folder, running(APP, Path(folder, "log")) as address:
        # The server is the only process that this one has started.
        server = int(Path("/proc/thread-self/children").read_text().split()[0])
        crowd = Crowd(address, server, query, runs)
        threads = [threading.Thread(target=crowd.visit) for _ in range(visitors)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - began
    missing = runs - len(crowd.memory)
    failures = crowd.failures + [f"{missing} runs were not made"] * (missing > 0)
    print(f"{visitors} visitors, {images} images in {steps} steps; {hardware()}\n")
    print(table(("", "result"), rows(crowd, visitors, seconds, len(failures))))
    if failures:
        raise click.ClickException("; ".join(failures[:10]))


def rows(crowd: Crowd, visitors: int, seconds: float, failures: int) -> list[tuple[str, str]]:
    """What the table holds."""
    waits, memory = crowd.waits or [0.0], crowd.memory or [0.0]
    return [
        ("runs", f"{len(crowd.waits)}"),
        ("failures", f"{failures}"),
        ("seconds in total", f"{seconds:.0f}"),
        ("wait in the queue, median s", f"{np.median(waits):.1f}"),
        ("wait in the queue, 95th percentile s", f"{np.quantile(waits, 0.95):.1f}"),
        ("memory after one run for each visitor, MiB", f"{memory[:visitors][-1]:.0f}"),
        ("memory at most, MiB", f"{max(memory):.0f}"),
        ("memory at the end, MiB", f"{memory[-1]:.0f}"),
    ]


if __name__ == "__main__":
    main()
