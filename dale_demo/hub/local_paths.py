"""Remove the paths of this machine from what is published: of each, only its last part is kept.

The folder of a checkpoint keeps them: by its data set's path, `evaluate` finds the test images.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from dale_demo.checkpoint.card import model_card
from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.drawing.markdown import plain

# What a path begins with that leads out of the working folder: the root, a drive, a folder above.
_ROOT = r"(?:/+|[A-Za-z]:[\\/]+|(?:\.\.[\\/])+)"
_IN_WORD = re.compile(rf"(^|[=,]|\b(?:folder|idx):|:(?!//)){_ROOT}([^,:]*)")
"""A path in a word of a command or in a data set's name: --out=/a/b, folder:/a/b c, idx:/a,/b."""

_PART = r"[^\s'\"`,;:()<>|\[\]\\/]+"
_BEFORE = r"(?:(?<![\w.~/\\<-])|(?<=file://))(?!(?<=:)//)"  # neither within a word nor https://
_IN_TEXT = re.compile(rf"{_BEFORE}{_ROOT}((?:{_PART}[\\/]+)+(?:{_PART})?)")
"""A path of two parts or more in running text, where `/` and one part may be a unit or a share."""


def published(config: CheckpointConfig) -> CheckpointConfig:
    """The same configuration without local paths; the same object where it names none."""
    clean = replace(
        config,
        dataset=in_word(config.dataset),
        training=_cleaned(config.training),
        metrics=_cleaned(config.metrics),
    )
    return config if clean == config else clean


def published_card(card: str, before: CheckpointConfig, after: CheckpointConfig) -> str:
    """A model card without local paths.

    Args:
        card: README.md of a checkpoint.
        before: Its configuration, which the card may quote.
        after: What `published` made of that.
    """
    if card == model_card(before):
        return model_card(after)
    pairs = {(before.dataset, after.dataset)}
    pairs |= {*_pairs(before.training, after.training), *_pairs(before.metrics, after.metrics)}
    pairs |= {(plain(old), plain(new)) for old, new in pairs}
    # The longest first: a data set's name is a part of the command.
    for old, new in sorted(pairs, key=lambda pair: -len(pair[0])):
        if old != new:
            card = card.replace(old, new)
    return in_text(card)


def in_word(word: str) -> str:
    """Shorten the paths in a word of a command or in a data set's name, which may hold spaces."""
    return _IN_WORD.sub(lambda match: match[1] + _base(match[2]), word)


def in_command(command: str) -> str:
    """Shorten the paths in a command; one without any stays as it was written."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation without end, which no shell would run
        return in_text(command)
    short = [in_word(word) for word in words]
    return command if short == words else shlex.join(short)


def in_text(text: str) -> str:
    """Shorten the paths in running text; addresses on the web stay."""
    return _IN_TEXT.sub(lambda match: _base(match[1]), text)


def _base(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1] or "."


def _cleaned(value: Any, key: str = "") -> Any:
    """A JSON value without local paths; `key` is its name in the object that holds it."""
    if isinstance(value, Mapping):
        return {name: _cleaned(part, name) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(part, key) for part in value]
    if isinstance(value, str):
        return {"command": in_command, "notes": in_text}.get(key, in_word)(value)
    return value


def _pairs(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """The strings of a JSON value, each with what `_cleaned` made of it."""
    if isinstance(before, Mapping):
        for name, part in before.items():
            yield from _pairs(part, after[name])
    elif isinstance(before, list | tuple):
        for one, other in zip(before, after, strict=True):
            yield from _pairs(one, other)
    elif isinstance(before, str):
        yield before, after
