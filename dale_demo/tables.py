"""Tables in Markdown, and numbers for them."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table; every row is as long as its head."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float, spec: str) -> str:
    """Format as `spec` says, with a true minus sign."""
    return f"{value:{spec}}".replace("-", "−")
