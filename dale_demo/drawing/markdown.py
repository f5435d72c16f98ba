"""Write Markdown: tables, escaped text, code blocks, and numbers for them."""

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of cells that are Markdown already; every row is as long as `head`."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def text_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table whose cells show exactly their text; `head` is Markdown."""
    return table(head, [[plain(cell) for cell in row] for row in rows])


def plain(text: object) -> str:
    """Escape `text` so that Markdown shows exactly it, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&#~$])", r"\\\1", " ".join(str(text).split()))


def fenced(text: str, language: str = "") -> str:
    """Write `text` as a code block, with a fence longer than any run of backticks in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def number(value: float, spec: str) -> str:
    """Format `value` by the format specification `spec`, with a true minus sign."""
    return f"{value:{spec}}".replace("-", "−")


def clock(seconds: float) -> str:
    """Format seconds as h:mm, rounded to minutes."""
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02}"
