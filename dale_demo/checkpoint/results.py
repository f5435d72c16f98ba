"""Measured quality as Markdown tables, from the records of an evaluation."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dale_demo.drawing.markdown import text_table


def floor_kind(floor: Mapping[str, Any]) -> tuple[int, bool]:
    """The kind of a record of `Reference.floor`: its count, and whether it took classes in turn.

    Records of earlier versions did not.
    """
    return floor["pictures"], floor.get("conditional", False)


def quality_table(records: Iterable[Mapping[str, Any]], floors: Mapping[str, Any]) -> str:
    """A Markdown table of evaluations, each number with its error or interval.

    Args:
        records: As `evaluation.evaluate` returns them.
        floors: Holds "floors", a list of records of `Reference.floor`, if there are any.
    """
    rows = [_quality_row(record) for record in records]
    for floor in floors.get("floors", ()):
        count, conditional = floor_kind(floor)
        rows.append((_FLOOR[conditional], *"—————", f"{count:,}", "—", *distances(floor)))
    return text_table(_COLUMNS, rows)


_FLOOR = {
    True: "real images, the floor",
    False: "real images, drawn at random",
}

DISTANCES = ("Fréchet", "Kernel × 1000", "Precision", "Recall", "Nearest")
"""Headings of the columns that `distances` fills."""

_COLUMNS = (
    "Sampler",
    "Steps",
    "NFE",
    "Seconds",
    "Noise level",
    "Guidance",
    "Images",
    "Recognised",
    *DISTANCES,
)


def _quality_row(record: Mapping[str, Any]) -> tuple[object, ...]:
    settings = record["settings"]
    return (
        settings["sampler"],
        settings["steps"],
        record["calls"],
        f"{record['seconds']:.0f}",
        f"{settings['noise_level']:g}",
        f"{settings['guidance']:g}",
        f"{settings['count']:,}",
        recognised(record),
        *distances(record),
    )


def recognised(record: Mapping[str, Any]) -> str:
    """Share of the images recognised, with its interval, or a dash where they had no class."""
    if "class_accuracy" not in record:
        return "—"
    result = record["class_accuracy"]
    low, high = result["interval"]
    return f"{result['share']:.1%} ({low:.1%} to {high:.1%})"


def distances(record: Mapping[str, Any]) -> Iterator[str]:
    """The cells under `DISTANCES`; a dash for what is missing.

    Fréchet, kernel × 1000, precision and recall are value ± error; "Nearest" is the median distance
    to the nearest training image, and in brackets the first percentile.
    """
    forms = {"frechet": (1, ".2f"), "kernel": (1000, ".2f")} | dict.fromkeys(
        ("precision", "recall"), (1, ".3f")
    )
    for name, (scale, form) in forms.items():
        if name not in record:
            yield "—"
            continue
        value, error = (scale * record[name][key] for key in ("value", "error"))
        form = form if float(f"{error:{form}}") else ".1e"  # never ± 0.00
        yield f"{value:{form}} ± {error:{form}}"
    near = record.get("nearest_training")
    yield f"{near['median']:.2f} ({near['lowest_percent']:.2f})" if near else "—"
