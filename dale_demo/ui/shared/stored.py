"""What a page has stored in files, what they were made from, and whether they are out of date.

Each page lists its own items in a function `items()`; `dale_demo.ui.build` collects them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Fingerprint = Mapping[str, str]
"""Name of an input → its value, or the digest of its file."""


class Unavailable(Exception):
    """An item cannot be made here; the message says what is missing and what to do."""


@dataclass(frozen=True)
class StoredItem:
    """One thing that a page has stored.

    Args:
        name: "page/item", as it is named on the command line.
        files: What `make` writes.
        inputs: Everything that the result depends on, apart from code.
        make: Write the files; raises Unavailable.
        version: Of the code that makes it: raise it by one when a change of code changes the
            result, as code has no fingerprint of its own that would ignore comments.
    """

    name: str
    files: tuple[Path, ...]
    inputs: Callable[[], Fingerprint]
    make: Callable[[], None]
    version: int = 1

    def fingerprint(self) -> dict[str, str]:
        """The inputs as they are now, with the version."""
        return {"version": str(self.version), **self.inputs()}

    def reasons(self, recorded: Fingerprint | None) -> list[str]:
        """Why the item is out of date, one phrase each; none if it is not.

        Args:
            recorded: The fingerprint at the time the files were made, if it is known.
        """
        missing = [f"{file.name} is missing" for file in self.files if not file.exists()]
        if recorded is None:
            return [*missing, "it was never recorded"]
        now = self.fingerprint()
        names = {**recorded, **now}
        return missing + [
            f"{name} changed" for name in names if recorded.get(name) != now.get(name)
        ]


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal; "missing" where there is none.

    Without a file the item is out of date, and `make` says what to do about it.
    """
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "missing"


def network_inputs(name: str) -> dict[str, str]:
    """What a run of a bundled network depends on: its weights, and its configuration's part in it.

    The rest of config.json, such as the measured quality, changes without changing any run.
    """
    from dale_demo.checkpoint.files import WEIGHTS_FILE
    from dale_demo.checkpoint.folder import find_checkpoint, load_config

    folder = find_checkpoint(name)
    config = load_config(folder)
    used = (config.process, config.data_distribution, config.min_noise_level, config.positive_map)
    return {"weights": digest(folder / WEIGHTS_FILE), "configuration": repr(used)}
