"""Tables in Markdown, and numbers for them."""

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table; every row is as long as its head."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float, spec: str) -> str:
    """Format as `spec` says, with a true minus sign."""
    return f"{value:{spec}}".replace("-", "−")


def plain(text: object) -> str:
    """Text as Markdown that shows exactly it, on one line."""
    return re.sub(r"([\\`*_\[\]<>|&#~$])", r"\\\1", " ".join(str(text).split()))


def fenced(text: str, language: str = "") -> str:
    """A code block that `text` cannot end."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def clock(seconds: float) -> str:
    """Seconds as h:mm."""
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02}"


def text_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table whose cells are shown as plain text."""
    return table(head, [[plain(cell) for cell in row] for row in rows])
