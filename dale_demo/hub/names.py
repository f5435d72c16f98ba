"""Names of networks on the Hugging Face Hub, and the errors of looking one up."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    CheckpointError,
)
from dale_demo.checkpoint.folder import bundled_checkpoints
from dale_demo.checks import shown

MAX_CARD_BYTES = 2**20

FILES = (CONFIG_FILE, CARD_FILE, WEIGHTS_FILE)
"""All that is ever read of a repository, the file that can disqualify it first."""

OFFERS, OFFERS_VARIABLE = Path(__file__).with_name("networks.txt"), "DALE_NETWORKS"

# A segment neither begins nor ends with "." or "-", so none is a path such as "..".
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"

_NAME = re.compile(rf"({_PART}/{_PART})(?:@([A-Za-z0-9_][A-Za-z0-9._/-]{{0,99}}))?")

_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubError(CheckpointError):
    """A network is not available from the Hub; the message is one plain sentence."""


class UnreachableError(HubError):
    """The Hub gave no usable answer; a cached copy may be used instead."""


class NotStoredError(HubError):
    """The cache has no room, or cannot be written; a copy that it holds may be used instead."""


@dataclass(frozen=True)
class HubName:
    """OWNER/NAME[@REVISION], where the revision is a branch, a tag or a full commit.

    Args:
        repo_id: OWNER/NAME.
        revision: What to download of it.
    """

    repo_id: str
    revision: str = "main"

    @classmethod
    def parse(cls, text: str) -> "HubName":
        """Parse a name; raises HubError where it is invalid, or could leave the cache folder."""
        match = _NAME.fullmatch(text)
        if (
            match is None
            or ".." in text
            or "--" in match[1]
            or match[1].endswith(".git")
            or text.endswith("/")
        ):
            raise HubError(
                f"No checkpoint {shown(text)}: expected one of {', '.join(bundled_checkpoints())}, "
                "or OWNER/NAME or OWNER/NAME@REVISION as on the Hugging Face Hub."
            )
        return cls(match[1], match[2] or "main")

    @property
    def pinned(self) -> bool:
        """Whether the revision is a full commit, which never changes."""
        return _COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        return self.repo_id if self.revision == "main" else f"{self.repo_id}@{self.revision}"


def offered() -> list[str]:
    """Names of the networks that the app offers beside the bundled ones.

    They are listed in the environment variable DALE_NETWORKS or, where that is not set, in
    networks.txt beside this module, separated by white space or commas; # begins a comment.
    """
    text = os.environ.get(OFFERS_VARIABLE)
    if text is None:
        text = OFFERS.read_text(encoding="utf-8") if OFFERS.is_file() else ""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return [name for line in lines for name in line.replace(",", " ").split()]


def is_hub_name(text: str) -> bool:
    """Whether a text has the form OWNER/NAME[@REVISION]."""
    try:
        HubName.parse(text)
    except HubError:
        return False
    return True
