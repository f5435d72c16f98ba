"""How long a run will take on this machine: guessed at first, then measured from finished runs."""

import threading
from collections import OrderedDict

from dale_demo.network import UNetConfig

LONGEST_RUN = 300.0
"""Seconds that a run on a page may take; a longer one is for the command line."""
SHORTEST_TOLD = 2.0
"""Seconds from which a visitor is told how long a run will take."""
MULTIPLICATIONS = {"cpu": 4e10, "cuda": 2e12}
"""Multiplications of a network per second, before anything has been measured."""
OVERHEAD = {"cpu": 3e-3, "cuda": 1e-2}
"""Seconds of one evaluation that do not depend on the number of images, likewise."""
NETWORKS = 64
"""Networks whose speed is remembered, those measured last."""
WEIGHT = 0.3
"""Of the latest run in the running average."""
LEAST_SECONDS = 0.2
"""Of work that can be measured: anything shorter says more about chance than about speed."""


class Estimator:
    """Predict seconds, and learn from runs; for all threads of the process.

    The prediction is a guess from the network's size times a factor, which is an exponentially
    weighted average of measured over guessed seconds in the finished runs of the same network.
    """

    def __init__(self) -> None:
        self._factors: OrderedDict[UNetConfig, float] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Networks whose speed is known."""
        return len(self._factors)

    def seconds(self, network: UNetConfig, device: str, evaluations: int, images: int) -> float:
        """Seconds that a run will take.

        Args:
            network: Architecture of the network.
            device: Where it runs, "cpu" or "cuda".
            evaluations: Network evaluations for one image.
            images: How many images are evaluated at once.
        """
        with self._lock:
            factor = self._factors.get(network, 1.0)
        return factor * guess(network, device, evaluations, images)

    def learn(
        self, network: UNetConfig, device: str, evaluations: int, images: int, seconds: float
    ) -> None:
        """Take in how many `seconds` that many evaluations have taken; see `seconds`."""
        if evaluations < 1 or seconds < LEAST_SECONDS:
            return
        measured = seconds / guess(network, device, evaluations, images)
        with self._lock:
            before = self._factors.pop(network, measured)
            self._factors[network] = (1 - WEIGHT) * before + WEIGHT * measured
            if len(self._factors) > NETWORKS:
                self._factors.popitem(last=False)


ESTIMATOR = Estimator()
"""The one estimator of this process."""


def guess(network: UNetConfig, device: str, evaluations: int, images: int) -> float:
    """Seconds of a run on a machine of ordinary speed; arguments as for `Estimator.seconds`."""
    kind = device if device in MULTIPLICATIONS else "cpu"
    work = multiplications(network) * images / MULTIPLICATIONS[kind]
    return evaluations * (OVERHEAD[kind] + work)


def multiplications(network: UNetConfig) -> int:
    """Multiplications in convolutions and attention, for one image."""
    widths = [network.width * m for m in network.multipliers]
    before = [widths[0], *widths[:-1]]
    side = network.image_size // network.patch
    # The first and the last convolution lie between the pixels of a patch and the first level.
    total = 2 * 9 * network.image_channels * network.patch**2 * widths[0] * side**2
    for level, (inputs, width) in enumerate(zip(before, widths, strict=True)):
        positions = (side >> level) ** 2
        down, up = _residual(inputs, width), _residual(2 * width, inputs)
        total += (down + up) * positions
    # The middle: a residual block, then attention with four 1×1 convolutions.
    middle = _residual(widths[-1], widths[-1]) + 4 * widths[-1] ** 2 + 2 * widths[-1] * positions
    return total + middle * positions


def _residual(inputs: int, outputs: int) -> int:
    """Of a residual block, for each position: two 3×3 convolutions, and a 1×1 where it changes."""
    skip = inputs * outputs if inputs != outputs else 0
    return 9 * (inputs + outputs) * outputs + skip


def in_words(seconds: float) -> str:
    """A time in words, "about 40 s"; empty for less than `SHORTEST_TOLD`."""
    if seconds < SHORTEST_TOLD:
        return ""
    if seconds < 9.5:
        return f"about {seconds:.0f} s"
    if seconds < 57.5:
        return f"about {5 * round(seconds / 5)} s"
    if seconds < 99.5 * 60:
        return f"about {round(seconds / 60)} min"
    if seconds < 100 * 3600:
        return f"about {round(seconds / 3600)} h"
    return "more than 100 h"


def too_long(seconds: float, instead: list[str]) -> str | None:
    """One sentence on why a run cannot be started on a page; None if it can.

    Args:
        seconds: How long it would take.
        instead: What to choose to make it shorter.
    """
    if seconds <= LONGEST_RUN:
        return None
    *others, last = instead or ["a smaller network"]
    choice = f"{', '.join(others)} or {last}" if others else last
    return (
        f"This run would take {in_words(seconds)} on this machine, and the page allows "
        f"{LONGEST_RUN / 60:.0f} min: choose {choice}, or use the command line "
        "(`python -m dale_demo sample`), which has no such bound."
    )
