"""The stored trainings: the one that the page Dale's law opens with, and three that it speaks of.

`python -m dale_demo.ui.learning_opening` makes them anew; do so when a rule or a task changes.
"""

from pathlib import Path

from dale_demo.ui.dales_law.record import LearningRecord, load_record
from dale_demo.ui.dales_law.settings import TASKS, Choice, default_choice

FOLDER = Path(__file__).with_name("stored")
EG_AND_GD: dict[str, float | None] = {"gd": None, "eg": None}


def choice_of(task: str, rules: dict[str, float | None], **sizes: object) -> Choice:
    """A task's defaults, but for `sizes`, at seed 0."""
    defaults = {size.name: size.default for size in TASKS[task][1]}
    return Choice(task, defaults | sizes, rules, seed=0)


STORED = {
    "opening": default_choice(),
    "dense": choice_of("dense", EG_AND_GD),
    "log-normal-start": choice_of("correlated", EG_AND_GD),
    "normal-start": choice_of("correlated", EG_AND_GD, start="normal"),
}


def path(name: str) -> Path:
    """Where a stored training lies."""
    return FOLDER / f"{name}.npz"


def stored(name: str) -> LearningRecord:
    """Load a training of `STORED`."""
    return load_record(path(name))


def main() -> None:
    """Train them all and write them."""
    from dale_demo.ui.dales_law.run import whole

    for name, choice in STORED.items():
        whole(choice).save(path(name))


if __name__ == "__main__":
    main()
