"""The Hub's client, tamed: it answers within seconds or not at all.

Only three files of a repository are ever read. Their sizes are looked at before the first byte,
their hashes and contents before the folder is handed on; nothing in them is executed.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import tqdm

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    MAX_CONFIG_BYTES,
    MAX_WEIGHT_BYTES,
    WEIGHTS_FILE,
    CheckpointError,
    write_atomically,
)
from dale_demo.checkpoint.folder import load_checkpoint, load_config
from dale_demo.hub.bounded_cache import STRANGERS, touch
from dale_demo.hub.errors import translate
from dale_demo.hub.idle_timeout import Pulse, patiently
from dale_demo.hub.names import FILES, MAX_CARD_BYTES, HubError, HubName

constants.HF_HUB_DISABLE_XET = True
"""Plain HTTP, whose bytes can be counted and given up; Xet's client does neither for us."""
constants.DOWNLOAD_CHUNK_SIZE = 2**16
"""Its own 10 MiB would make one long silence of a whole network on a slow line."""

PATIENCE = 4.0
"""Longest time without a new byte of a file that is borne, in seconds.

Answers about files are no sign of life: all that come before the first byte share this time.
"""

LIMITS = {CONFIG_FILE: MAX_CONFIG_BYTES, CARD_FILE: MAX_CARD_BYTES, WEIGHTS_FILE: MAX_WEIGHT_BYTES}
NEEDED = (CONFIG_FILE, WEIGHTS_FILE)
PUBLIC_CACHE = "dale-demo-public"
MAX_VALUES, MAX_TOKENS, MAX_CLASSES = 2**20, 1024, 1000
"""What a stranger's network may ask of a server, for one picture in one layer."""

Loaded = TypeVar("Loaded")


class Client:
    """Reads checkpoints from the Hub and from its cache.

    Args:
        public: Ask without a token, and cache apart from what a token has fetched, on a shelf of
            bounded size.
    """

    def __init__(self, public: bool = False):
        self._public = public
        self._token = False if public else None
        self._cache = Path(constants.HF_HOME, PUBLIC_CACHE) if public else constants.HF_HUB_CACHE

    def cached(self, name: HubName) -> Path | None:
        """Find a sound copy in the cache, without any request."""
        try:
            paths = [self._file(name, name.revision, file, local=True) for file in NEEDED]
        except (LocalEntryNotFoundError, OSError):
            return None
        try:
            with self._hold(paths[0].parent):
                return self._accepted(paths[0].parent, name)
        except HubError:
            return None

    def fetch(self, name: HubName) -> tuple[Path, bool]:
        """Ask the Hub which commit the revision stands at, and download that unless it is here.

        Returns:
            The folder, whose name is the commit, and whether it was downloaded.

        Raises:
            HubError: One of `hub_errors.CASES`, or the repository is none of our checkpoints.
        """
        try:
            asked = time.monotonic()
            commit = patiently(lambda _: self._commit(name), PATIENCE)
            silent = time.monotonic() - asked
            with self._hold(self._repository(name) / "snapshots" / commit):
                held = self.cached(HubName(name.repo_id, commit))
                folder = held or self._downloaded(name, commit, silent)
                self._remember(name, folder)
        except Exception as error:
            raise translate(error, name) from error
        return folder, held is None

    def _commit(self, name: HubName) -> str:
        api = HfApi(token=self._token)
        info = api.model_info(
            name.repo_id, revision=name.revision, timeout=PATIENCE, expand=["sha"]
        )
        if not re.fullmatch("[0-9a-f]{40}", str(info.sha)):
            raise LookupError(f"no commit: {info.sha!r}")
        return str(info.sha)

    def _repository(self, name: HubName) -> Path:
        return Path(self._cache, repo_folder_name(repo_id=name.repo_id, repo_type="model"))

    def _hold(self, folder: Path) -> AbstractContextManager[None]:
        """Keep a strangers' network where it is; nobody takes away the others."""
        return STRANGERS.hold(folder) if self._public else nullcontext()

    def _room(self, name: HubName, size: int) -> AbstractContextManager[None]:
        return STRANGERS.room(self._repository(name), size) if self._public else nullcontext()

    def _downloaded(self, name: HubName, commit: str, silent: float) -> Path:
        def download(pulse: Pulse) -> Path:
            sizes = self._sizes(name, commit)
            with self._room(name, sum(sizes.values())):  # until it ends, though nobody may wait
                return self._download(name, commit, sizes, pulse)

        return self._accepted(patiently(download, PATIENCE, silent), name)

    def _download(self, name: HubName, commit: str, sizes: Mapping[str, int], pulse: Pulse) -> Path:
        folder = Path()
        for file in FILES:
            if file in sizes:
                bar = _bar(pulse, sizes[file])
                folder = self._file(name, commit, file, bar=bar).parent
            if file == CONFIG_FILE:
                self._check_config(folder, name)
        return folder

    def _sizes(self, name: HubName, commit: str) -> dict[str, int]:
        """Bytes of each of our files; raises HubError where one is missing or too large."""
        api = HfApi(token=self._token)
        found = api.get_paths_info(name.repo_id, list(FILES), revision=commit)
        sizes = {file.path: file.size for file in found if isinstance(file, RepoFile)}
        if missing := [file for file in NEEDED if file not in sizes]:
            raise HubError(f"{name} is no checkpoint of this program: it has no {missing[0]}.")
        for file, size in sizes.items():
            if size > LIMITS[file]:
                raise HubError(
                    f"{name} is too large: {file} has {size:,} bytes; at most {LIMITS[file]:,} "
                    "are fetched."
                )
        return sizes

    def _file(
        self,
        name: HubName,
        revision: str,
        file: str,
        *,
        local: bool = False,
        bar: type[tqdm] | None = None,
    ) -> Path:
        path = hf_hub_download(
            name.repo_id,
            file,
            revision=revision,
            cache_dir=self._cache,
            token=self._token,
            local_files_only=local,
            etag_timeout=PATIENCE,
            tqdm_class=bar,
        )
        return Path(path)

    def _check_config(self, folder: Path, name: HubName) -> None:
        config = _check_load(load_config, folder, name)
        if self._public:
            _check_cost(config, name)

    def _accepted(self, folder: Path, name: HubName) -> Path:
        """The folder, once its hashes and its contents have been verified; raises HubError."""
        for file in FILES:
            if (folder / file).is_file():
                _check_hash(folder / file, name)
        self._check_config(folder, name)
        _check_load(load_checkpoint, folder, name)
        touch(folder)
        return folder

    def _remember(self, name: HubName, folder: Path) -> None:
        """Note, as the client does, at which commit a branch stood; where that fails, no harm."""
        if name.pinned:
            return
        with suppress(OSError):
            note = folder.parents[1] / "refs" / name.revision
            note.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(note, folder.name.encode())


def _bar(pulse: Pulse, size: int) -> type[tqdm]:
    """A progress bar whose every new byte is a sign of life, up to the size announced."""

    class Bar(tqdm):
        received = most = 0

        def update(self, n: float | None = 1) -> bool | None:
            self.received += int(n or 0)
            if self.received > size:
                raise OSError(f"more than the {size:,} bytes announced")
            if self.received > self.most:
                self.most = self.received
                pulse.beat()
            return super().update(n)

    return Bar


def _check_load(load: Callable[[Path], Loaded], folder: Path, name: HubName) -> Loaded:
    """Load, and say of what fails whose it is rather than where it lies; raises HubError."""
    try:
        return load(folder)
    except CheckpointError as error:
        reason = str(error).replace(f"{folder}/", "").replace(str(folder), "it")
        raise HubError(f"{name} is no checkpoint of this program: {reason}") from error


def _check_cost(config: CheckpointConfig, name: HubName) -> None:
    """Refuse a network that could take the memory of a server that others use as well.

    Weights say little of it: a convolution costs what its pictures cost, attention their square.
    """
    network = config.network
    side = network.image_size // network.patch
    values = network.width * max(network.multipliers) * side**2
    tokens = (side // 2 ** (len(network.multipliers) - 1)) ** 2
    if values > MAX_VALUES or tokens > MAX_TOKENS or network.num_classes > MAX_CLASSES:
        raise HubError(
            f"{name} is too large to be drawn for anybody who asks: {values:,} values a layer, "
            f"attention over {tokens:,} places, {network.num_classes:,} classes; at most "
            f"{MAX_VALUES:,}, {MAX_TOKENS:,} and {MAX_CLASSES:,}."
        )


def _check_hash(path: Path, name: HubName) -> None:
    """Hold a file against the hash by which the cache names its blob.

    That is the one the Hub announced: SHA-256 for large files, git's SHA-1 for small ones. The blob
    may itself be a link, into the store that repositories share, where names are of another kind. A
    file that fails is removed, to be fetched anew next time.
    """
    blob = path.parent / path.readlink() if path.is_symlink() else path
    data = path.read_bytes()
    digests = {
        64: lambda: hashlib.sha256(data),
        40: lambda: hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False),
    }
    digest = digests.get(len(blob.name))
    if digest and digest().hexdigest() != blob.name:
        blob.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise HubError(f"{name} arrived damaged: {path.name} does not have the hash announced.")
