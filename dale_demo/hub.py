"""A network's name becomes a verified checkpoint folder, wherever the network is.

A name is that of a bundled network, a folder, or OWNER/NAME[@REVISION] on the Hugging Face Hub.
What the Hub's client does in the end stands in `hub_client`, which is imported only for Hub names.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dale_demo.checkpoint import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    bundled_checkpoints,
    write_atomically,
)

Origin = Literal["bundled", "folder", "cache", "downloaded"]

MAX_CARD_BYTES = 2**20
FILES = (CONFIG_FILE, CARD_FILE, WEIGHTS_FILE)
"""All that is ever read of a repository; what can refuse it is fetched first."""
OFFERS, OFFERS_VARIABLE = Path(__file__).with_name("networks.txt"), "DALE_NETWORKS"

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_NAME = re.compile(rf"({_PART}/{_PART})(?:@([A-Za-z0-9_][A-Za-z0-9._/-]{{0,99}}))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubError(CheckpointError):
    """A network cannot be had from the Hub; the message is one plain sentence."""


class UnreachableError(HubError):
    """The Hub gave no answer; a copy in the cache will do."""


@dataclass(frozen=True)
class HubName:
    """OWNER/NAME[@REVISION], with a branch, tag or full commit as its revision.

    Args:
        repo_id: OWNER/NAME.
        revision: What to fetch of it.
    """

    repo_id: str
    revision: str = "main"

    @classmethod
    def parse(cls, text: str) -> "HubName":
        """Read a name; raises HubError where it is none, or could leave the cache's folders."""
        match = _NAME.fullmatch(text)
        if match is None or ".." in text or "--" in match[1] or text.endswith("/"):
            shown = text if len(text) < 60 else text[:60] + " …"
            raise HubError(
                f"No checkpoint {shown!r}: expected one of {', '.join(bundled_checkpoints())}, "
                "or OWNER/NAME or OWNER/NAME@REVISION as on the Hugging Face Hub."
            )
        return cls(match[1], match[2] or "main")

    @property
    def pinned(self) -> bool:
        """Whether the revision is a full commit, which never changes."""
        return _COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        return self.repo_id if self.revision == "main" else f"{self.repo_id}@{self.revision}"


@dataclass(frozen=True)
class Resolved:
    """Where a network was found.

    Args:
        name: What was asked for.
        folder: The checkpoint.
        origin: How it came there.
        repo_id: OWNER/NAME on the Hub, where it is from there.
        commit: Full commit of that repository.
        doubt: Why nobody knows whether the Hub has something newer; empty where it is known.
    """

    name: str
    folder: Path
    origin: Origin
    repo_id: str | None = None
    commit: str | None = None
    doubt: str = ""

    @property
    def url(self) -> str | None:
        """Address of the very commit on the Hub."""
        if self.commit is None:
            return None
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return f"{endpoint}/{self.repo_id}/tree/{self.commit}"

    @property
    def account(self) -> str:
        """Where the network came from, in one plain sentence."""
        if self.commit is None:
            return "Bundled with the app." if self.origin == "bundled" else "Read from a folder."
        commit = f"the Hugging Face Hub at commit {self.commit[:7]}"
        if self.origin == "downloaded":
            return f"Downloaded from {commit}."
        return f"From the cache of {commit}{self.doubt and f'; newer ones unknown: {self.doubt}'}."


def resolve(name: str, *, public: bool = False) -> Resolved:
    """Find a network, and fetch it from the Hub if need be.

    A pinned revision in the cache is used without any request. For a branch the Hub is asked which
    commit it stands at; where the Hub does not answer, the copy in the cache is used.

    Args:
        name: Of a bundled network, a folder, or OWNER/NAME[@REVISION] on the Hub.
        public: Whether the name is a stranger's: then folders are no names, the Hub is asked
            without this machine's token, and what it gives is cached apart, so that nothing is
            shown that the stranger could not have without us.

    Returns:
        Where it is. What comes from the Hub has been accepted by `load_checkpoint`; what was here
        before is verified by whoever loads it.

    Raises:
        HubError: There is no such network within reach; the Hub's silence is borne for
            `hub_client.PATIENCE` seconds at most.
    """
    if name in (bundled := bundled_checkpoints()):
        return Resolved(name, bundled[name], "bundled")
    if name and not public and Path(name).is_dir():
        return Resolved(name, Path(name), "folder")
    return _from_hub(HubName.parse(name), public)


def pull(name: HubName, folder: Path) -> Resolved:
    """Copy a network from the Hub into a folder, byte for byte.

    Raises:
        HubError: As for `resolve`, or the folder holds something else.
    """
    found = _from_hub(name, public=False)
    files = {file: found.folder / file for file in FILES if (found.folder / file).is_file()}
    if folder.is_dir() and not all(_same(path, files) for path in folder.iterdir()):
        raise HubError(f"{folder} holds something else; name another folder, or empty it.")
    folder.mkdir(parents=True, exist_ok=True)
    for file, source in files.items():
        write_atomically(folder / file, source.read_bytes())
    return found


def offered() -> list[str]:
    """Networks that the app offers beside the bundled ones: a word each.

    They stand in the environment variable DALE_NETWORKS or, where that is not set, in networks.txt
    beside this module; commas separate too, and # begins a remark.
    """
    text = os.environ.get(OFFERS_VARIABLE)
    if text is None:
        text = OFFERS.read_text(encoding="utf-8") if OFFERS.is_file() else ""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return [name for line in lines for name in line.replace(",", " ").split()]


def is_hub_name(text: str) -> bool:
    """Whether it reads as OWNER/NAME[@REVISION]."""
    try:
        HubName.parse(text)
    except HubError:
        return False
    return True


def _same(path: Path, files: Mapping[str, Path]) -> bool:
    """Whether `path` is one of `files` already."""
    source = files.get(path.name)
    return source is not None and path.is_file() and path.read_bytes() == source.read_bytes()


def _from_hub(name: HubName, public: bool) -> Resolved:
    from dale_demo import hub_client  # takes a quarter of a second, and only Hub names need it

    client = hub_client.Client(public)
    if name.pinned and (held := client.cached(name)):
        return Resolved(str(name), held, "cache", name.repo_id, held.name)
    try:
        folder, fresh = client.fetch(name)
    except UnreachableError as error:
        if (held := client.cached(name)) is None:
            raise
        doubt = str(error).rstrip(".")
        return Resolved(str(name), held, "cache", name.repo_id, held.name, doubt)
    origin: Origin = "downloaded" if fresh else "cache"
    return Resolved(str(name), folder, origin, name.repo_id, folder.name)
