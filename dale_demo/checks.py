"""Check numbers and words from outside, and quote them in errors: shortly, and as valid text."""

import math
from numbers import Real
from typing import Any

MAX_SENTENCE = 300
"""Longest error message, in characters: what a terminal and a page show without scrolling."""
SHOWN = 60
"""Longest quotation of a value in one."""


def brief(text: str, most: int = MAX_SENTENCE) -> str:
    """The beginning of `text` on one line, at most `most` characters, in valid Unicode.

    A file may hold half a surrogate pair, which neither a terminal nor a browser can be sent.
    """
    # Cut first: splitting megabytes into words would take longer than reading them.
    words = " ".join(text[: 4 * most].split())
    line = words.encode("utf-8", "backslashreplace").decode()
    if len(line) <= most and len(text) <= 4 * most:
        return line
    return line[: most - 2] + " …"


def shown(value: object, most: int = SHOWN) -> str:
    """`value` as it is quoted in an error, at most about `most` characters long.

    Numbers and words stand as Python writes them; of anything larger, only the kind is named.
    """
    if isinstance(value, str):
        cut = value if len(value) <= most else value[: most - 2] + " …"
        return brief(repr(cut), 2 * most)
    if isinstance(value, int) and value.bit_length() > 4 * most:  # repr refuses 5,000 digits
        return f"an integer of about {round(value.bit_length() * math.log10(2)):,} digits"
    if value is None or isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple) and len(value) <= 8:
        return brief(f"({', '.join(shown(part, most) for part in value)})", most)
    return f"a value of type {type(value).__name__}"


def check_float(name: str, value: Any, low: float, high: float) -> None:
    """Check that `value` is a finite real number in [low, high], and no truth value.

    Args:
        name: What the number is called, for the error.

    Raises:
        ValueError: It is not.
    """
    real = isinstance(value, Real) and not isinstance(value, bool)
    # Python compares an integer of any size with a float exactly; NaN fails both comparisons.
    if not (real and low <= value <= high):
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {shown(value)}.")


def check_int(name: str, value: Any, low: int, high: int) -> None:
    """Check that `value` is an integer in [low, high], and no truth value.

    Args:
        name: What the number is called, for the error.

    Raises:
        ValueError: It is not.
    """
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}, got {shown(value)}.")


def check_word(name: str, value: Any, most: int) -> None:
    """Check that `value` is text of 1 to `most` characters that can be written as UTF-8.

    Args:
        name: What the text is, for the error.

    Raises:
        ValueError: It is not.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= most:
        raise ValueError(f"{name} must be text of 1 to {most} characters, got {shown(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} must be valid Unicode, got {shown(value)}.") from error
