"""Ways to spoil bytes and JSON, each drawn from a generator with a fixed seed."""

import copy
import json
from random import Random
from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, True, False, "", "1", "x", "\ud800", "é\n\x00", [], {}, [[]], {"a": {}}),
    *(0, -1, 1, 2, 3, 5, 7, 48, 64, 4096, 4097, 2**31, 2**63, 10**20, 10**309, -(10**400)),
    *(0.0, -0.0, 0.5, 1e-9, 5e-324, 1e20, 1e200, -1e308, float("inf"), float("nan")),
    *([0], [1, 1, 1, 1, 1, 1, 1, 1], [4096], ["a", "b"], "y" * 5_000, ["z" * 3_000] * 3),
)
"""Values that a field may not expect."""


def spoiled_value(random: Random, value: Any) -> Any:
    """Another value in place of `value`, often one that is like it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or random.random() < 0.6:
        return copy.deepcopy(random.choice(VALUES))
    return random.choice((-value, value * 2, value + 1, float(value), str(value), value * 1e30))


def spoiled_tree(random: Random, tree: Any) -> Any:
    """A copy of a JSON value in which one to three places are replaced, removed or added."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        holder, key = random.choice(list(_places(tree)))
        match random.randrange(8):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[random.choice(("", "extra", "last_level", "x" * 4_000))] = 1
            case _:
                holder[key] = spoiled_value(random, holder[key])
        if not list(_places(tree)):
            break
    return tree


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) below a JSON value."""
    if isinstance(tree, dict):
        items = list(tree.items())
    else:
        items = list(enumerate(tree)) if isinstance(tree, list) else []
    return [place for key, value in items for place in ((tree, key), *_places(value))]


def spoiled_text(random: Random, text: str) -> bytes:
    """The text of a JSON file, damaged as text."""
    at = random.randrange(len(text))
    match random.randrange(9):
        case 0:
            return text[:at].encode()
        case 1:
            return spoiled_bytes(random, text.encode())
        case 2:  # the last of two equal keys counts
            return text.replace("{", '{"format_version": 9, "network": 3,', 1).encode()
        case 3:
            return ("[" * 100_000 + text).encode()
        case 4:
            return text.replace("{", '{"deep": ' + "[" * 900 + "]" * 900 + ",", 1).encode()
        case 5:
            return text.encode("utf-16")
        case 6:
            return b"\xef\xbb\xbf" + text.encode()
        case 7:
            return random.choice((b"", b"null", b"[]", b"3", b'"a"', b"NaN", b"{}", b"\0" * 99))
        case _:
            return text.replace("1", "1" + "0" * random.choice((20, 400, 5_000)), 1).encode()


def json_text(tree: Any) -> str:
    """A JSON value as text, with a lone surrogate as its escape."""
    return json.dumps(tree)


def spoiled_bytes(random: Random, data: bytes) -> bytes:
    """Bytes that are cut, flipped, repeated, overwritten or lengthened."""
    at = random.randrange(max(1, len(data)))
    length = random.choice((1, 2, 4, 8, 64))
    match random.randrange(7):
        case 0:
            return data[:at]
        case 1:
            flipped = bytearray(data)
            for _ in range(random.choice((1, 3, 10))):
                flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
            return bytes(flipped)
        case 2:
            return data[:at] + data[at : at + length] * 20 + data[at:]
        case 3:
            return data[:at] + random.choice((b"\xff", b"\0", b"\x7f")) * length + data[at:]
        case 4:
            patch = random.choice((b"\xff", b"\0", b"\x7f", b"\x80")) * length
            return data[:at] + patch + data[at + length :]
        case 5:
            return data[:at] + data[at + length :]
        case _:
            return data + random.randbytes(length)
