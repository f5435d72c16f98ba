"""Stored trainings of the page Dale's law: those it opens with, and those that its text cites.

`python -m dale_demo.ui.build dales_law` trains anew those whose task or rules have changed; raise
`VERSION` when a change of code changes the results.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from dale_demo.ui.dales_law.record import LearningRecord, load_record
from dale_demo.ui.dales_law.settings import LearningRequest, default_request
from dale_demo.ui.dales_law.tasks import GIVEN_RATES, SCORE, TASKS
from dale_demo.ui.shared.stored import StoredItem

FOLDER = Path(__file__).with_name("stored")
VERSION = 1
"""Of the code that trains."""
EG_AND_GD: dict[str, float | None] = {"gd": None, "eg": None}


def request_of(task: str, rules: Mapping[str, float | None], **sizes: object) -> LearningRequest:
    """Return a request with a task's defaults, except for `sizes`, at seed 0."""
    defaults = {size.name: size.default for size in TASKS[task][1]}
    return LearningRequest(task, defaults | sizes, rules, seed=0)


STORED = {
    "opening": default_request(),
    "dense": request_of("dense", EG_AND_GD),
    "log-normal-start": request_of("correlated", EG_AND_GD),
    "normal-start": request_of("correlated", EG_AND_GD, start="normal"),
    "noisy": replace(request_of("correlated", {"eg": None}, start="normal"), noise=0.05),
    "score": request_of(SCORE, GIVEN_RATES[SCORE]),
}


def path(name: str) -> Path:
    """Return the file of a stored training."""
    return FOLDER / f"{name}.npz"


@cache
def load_stored_training(name: str) -> LearningRecord:
    """Load a training of `STORED`, once: all visitors see the same one."""
    return load_record(path(name))


def opening(task: str | None) -> str:
    """Return the stored training that the page opens with, by the task that its address names."""
    return "score" if task == SCORE else "opening"


def items() -> list[StoredItem]:
    """One for each stored training."""
    return [
        StoredItem(
            f"dales_law/{name}",
            (path(name),),
            partial(_inputs, name),
            partial(_make, name),
            VERSION,
        )
        for name in STORED
    ]


def _inputs(name: str) -> dict[str, str]:
    request = STORED[name]
    noise = (request.noise,) if request.noise else ()
    asked = (request.task, dict(request.sizes), dict(request.rates), request.seed, *noise)
    return {"request": repr(asked)}


def _make(name: str) -> None:
    from dale_demo.ui.dales_law.run import train_to_end

    made = train_to_end(STORED[name])
    # With images a frame is heavy, and the page waits for the file of a link.
    (made.thinned(2) if STORED[name].task == SCORE else made).save(path(name))
