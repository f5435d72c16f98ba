"""A network's name becomes a verified checkpoint folder, wherever the network is.

A name is that of a bundled network, a folder, or OWNER/NAME[@REVISION] on the Hugging Face Hub.
What the Hub's client does in the end stands in `hub_client`, which is imported only for Hub names.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dale_demo.checkpoint.files import (
    write_atomically,
)
from dale_demo.checkpoint.folder import bundled_checkpoints
from dale_demo.hub.names import FILES, HubError, HubName, UnreachableError

Origin = Literal["bundled", "folder", "cache", "downloaded"]


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


def _same(path: Path, files: Mapping[str, Path]) -> bool:
    """Whether `path` is one of `files` already."""
    source = files.get(path.name)
    return source is not None and path.is_file() and path.read_bytes() == source.read_bytes()


def _from_hub(name: HubName, public: bool) -> Resolved:
    from dale_demo.hub import (
        client as hub_client,  # takes a quarter of a second, and only Hub names need it
    )

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
