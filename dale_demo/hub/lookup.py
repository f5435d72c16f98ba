"""Look up a network by name: bundled, in a folder, or on the Hugging Face Hub."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dale_demo.checkpoint.files import write_atomically
from dale_demo.checkpoint.folder import bundled_checkpoints
from dale_demo.hub.names import FILES, HubError, HubName, NotStoredError, UnreachableError
from dale_demo.hub.resolved import Resolved


def resolve(name: str, *, public: bool = False) -> Resolved:
    """Find a network, and download it from the Hub where it is not cached.

    A full commit that is cached is used without any request. For a branch or tag the Hub is asked
    for its commit; where the Hub does not answer, or a newer commit cannot be stored, the cached
    copy is used.

    Args:
        name: A bundled network, a folder, or OWNER/NAME[@REVISION] on the Hub.
        public: Whether a visitor of the app typed the name. Folders are then not names, the Hub is
            asked without this machine's token, and downloads are cached apart, so that a visitor
            sees nothing that is not public.

    Returns:
        The network. One from the Hub has been verified, by loading it; the others are verified
        when they are loaded.

    Raises:
        HubError: There is no such network, or it is not valid. Raised after
            `client.IDLE_TIMEOUT` seconds at most where the Hub does not answer.
    """
    if name in (bundled := bundled_checkpoints()):
        return Resolved(name, bundled[name], "bundled")
    if name and not public and Path(name).is_dir():
        return Resolved(name, Path(name), "folder")
    return _from_hub(HubName.parse(name), public)


def pull(name: HubName, folder: Path) -> Resolved:
    """Copy a network from the Hub into a folder, byte for byte.

    Raises:
        HubError: As for `resolve`, or the folder contains other files.
    """
    found = _from_hub(name, public=False)
    files = {file: found.folder / file for file in FILES if (found.folder / file).is_file()}
    if folder.is_dir() and not all(_same(path, files) for path in folder.iterdir()):
        raise HubError(f"{folder} contains other files; choose another folder, or empty it.")
    folder.mkdir(parents=True, exist_ok=True)
    for file, source in files.items():
        write_atomically(folder / file, source.read_bytes())
    return found


def _same(path: Path, files: Mapping[str, Path]) -> bool:
    """Whether `path` equals the file of its name in `files`."""
    source = files.get(path.name)
    return source is not None and path.is_file() and path.read_bytes() == source.read_bytes()


def _from_hub(name: HubName, public: bool) -> Resolved:
    from dale_demo.hub.client import Client  # a quarter of a second, needed for Hub names only

    client = Client(public)
    if name.pinned and (cached := client.cached(name)):
        return cached
    try:
        return client.fetch(name)
    except (NotStoredError, UnreachableError) as error:
        if (cached := client.cached(name)) is None:
            raise
        return replace(cached, doubt=str(error).rstrip("."))
