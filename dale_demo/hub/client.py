"""Download checkpoints from the Hugging Face Hub, verified and with an idle timeout.

Only three files of a repository are ever read. Their sizes are checked before the first byte is
downloaded, their hashes and contents before a network is returned; nothing in them is executed.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import tqdm

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.cost import (
    MAX_PAGE_BYTES,
    attention_positions,
    check_memory,
    largest_level,
)
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
from dale_demo.hub import connection  # noqa: F401 - sets how the client connects
from dale_demo.hub.bounded_cache import PUBLIC_NETWORKS, touch
from dale_demo.hub.errors import translate
from dale_demo.hub.idle_timeout import Heartbeat, with_idle_timeout
from dale_demo.hub.names import FILES, MAX_CARD_BYTES, HubError, HubName
from dale_demo.hub.resolved import Origin, Resolved

IDLE_TIMEOUT = 4.0
"""Longest time without a new byte of a file, in seconds.

Answers about files are not progress: all requests before the first byte share this time.
"""

LIMITS = {CONFIG_FILE: MAX_CONFIG_BYTES, CARD_FILE: MAX_CARD_BYTES, WEIGHTS_FILE: MAX_WEIGHT_BYTES}
REQUIRED = (CONFIG_FILE, WEIGHTS_FILE)
PUBLIC_FOLDER = "dale-demo-public"
MAX_VALUES, MAX_TOKENS, MAX_CLASSES = 2**20, 1024, 1000
"""Largest cost of a visitor's network, for one image in one layer."""

Loaded = TypeVar("Loaded")


class Client:
    """Reads checkpoints from the Hub and from its cache.

    Args:
        public: Ask without a token, and use a separate cache of bounded size, so that a visitor
            never sees what only this machine's token may read.
    """

    def __init__(self, public: bool = False):
        self._public = public
        self._token = False if public else None
        self._cache = Path(constants.HF_HOME, PUBLIC_FOLDER) if public else constants.HF_HUB_CACHE

    def cached(self, name: HubName, commit: str | None = None) -> Resolved | None:
        """Find a valid copy in the cache, without any request.

        Args:
            name: The network.
            commit: Instead of the commit at which its revision was last seen.
        """
        try:
            folder = self._snapshot(name, commit or name.revision)
            if folder is None:
                return None
            with self._hold(folder):
                return self._verified(folder, self._config(folder, name), name, "cache")
        except (HubError, OSError, UnicodeDecodeError):  # damaged, or not ours to read
            return None

    def _snapshot(self, name: HubName, revision: str) -> Path | None:
        """The folder of a commit in the cache, or of a branch's last known; None if incomplete."""
        find = partial(try_to_load_from_cache, name.repo_id, cache_dir=self._cache)
        paths = [path for f in REQUIRED if isinstance(path := find(f, revision=revision), str)]
        return Path(paths[0]).parent if len(paths) == len(REQUIRED) else None

    def fetch(self, name: HubName) -> Resolved:
        """Ask the Hub for the commit of a revision, and download that unless it is cached.

        Raises:
            HubError: One of `errors.CASES`, or the repository is not one of our checkpoints.
        """
        try:
            started = time.monotonic()
            commit = with_idle_timeout(lambda _: find_commit(name, self._token), IDLE_TIMEOUT)
            idle = time.monotonic() - started
            # Held from here on: between the check and the load, another download could remove it.
            with self._hold(self._repository(name) / "snapshots" / commit):
                found = self.cached(name, commit) or self._downloaded(name, commit, idle)
                self._remember(name, found.folder)
        except Exception as error:
            raise translate(error, name) from error
        return found

    def _repository(self, name: HubName) -> Path:
        return Path(self._cache, repo_folder_name(repo_id=name.repo_id, repo_type="model"))

    def _hold(self, folder: Path) -> AbstractContextManager[None]:
        """Protect a network in the bounded cache; nothing is removed from the other one."""
        return PUBLIC_NETWORKS.hold(folder) if self._public else nullcontext()

    def _reserve(self, name: HubName, size: int) -> AbstractContextManager[None]:
        if not self._public:
            return nullcontext()
        return PUBLIC_NETWORKS.reserve(self._repository(name), size)

    def _downloaded(self, name: HubName, commit: str, idle: float) -> Resolved:
        def download(heartbeat: Heartbeat) -> tuple[Path, CheckpointConfig]:
            sizes = self._sizes(name, commit)
            # Reserved in this thread: it may still be writing when its caller has given up.
            with self._reserve(name, sum(sizes.values())):
                return self._download(name, commit, sizes, heartbeat)

        folder, config = with_idle_timeout(download, IDLE_TIMEOUT, idle)
        return self._verified(folder, config, name, "downloaded")

    def _download(
        self, name: HubName, commit: str, sizes: Mapping[str, int], heartbeat: Heartbeat
    ) -> tuple[Path, CheckpointConfig]:
        def fetch(file: str) -> Path:
            return self._file(name, commit, file, _bar(heartbeat, sizes[file])).parent

        # First what can refuse a network before its weights are downloaded.
        folder = fetch(CONFIG_FILE)
        config = self._config(folder, name)
        for file in FILES:
            if file in sizes and file != CONFIG_FILE:
                fetch(file)
        return folder, config

    def _sizes(self, name: HubName, commit: str) -> dict[str, int]:
        """Bytes of each of our files; raises HubError where one is missing or too large."""
        api = HfApi(token=self._token)
        found = api.get_paths_info(name.repo_id, list(FILES), revision=commit)
        sizes = {file.path: file.size for file in found if isinstance(file, RepoFile)}
        if missing := [file for file in REQUIRED if file not in sizes]:
            raise HubError(f"{name} is not a checkpoint of this program: it has no {missing[0]}.")
        for file, size in sizes.items():
            if size > LIMITS[file]:
                raise HubError(
                    f"{name} is too large: {file} has {size:,} bytes; the limit is "
                    f"{LIMITS[file]:,}."
                )
        return sizes

    def _file(self, name: HubName, commit: str, file: str, bar: type[tqdm]) -> Path:
        path = hf_hub_download(
            name.repo_id,
            file,
            revision=commit,
            cache_dir=self._cache,
            token=self._token,
            etag_timeout=IDLE_TIMEOUT,
            tqdm_class=bar,
        )
        return Path(path)

    def _config(self, folder: Path, name: HubName) -> CheckpointConfig:
        """Read config.json; raises HubError for one that is wrong or too costly to serve."""
        config = _named_error(load_config, folder, name)
        if self._public:
            _check_cost(config, name)
        return config

    def _verified(
        self, folder: Path, config: CheckpointConfig, name: HubName, origin: Origin
    ) -> Resolved:
        """The network in a folder, loaded; raises HubError for a wrong hash or wrong contents."""
        for file in FILES:
            if (folder / file).is_file():
                _check_hash(folder / file, name)
        checkpoint = _named_error(partial(load_checkpoint, config=config), folder, name)
        touch(folder)
        return Resolved(str(name), folder, origin, name.repo_id, folder.name, "", checkpoint)

    def _remember(self, name: HubName, folder: Path) -> None:
        """Record the commit of a branch, as the client does, for when the Hub cannot be reached."""
        if name.pinned:
            return
        with suppress(OSError):  # a read-only cache still serves what it has
            note = folder.parents[1] / "refs" / name.revision
            note.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(note, folder.name.encode())


def find_commit(name: HubName, token: bool | None) -> str:
    """Ask the Hub for the full commit of a revision; `token` is as the client takes it.

    Raises:
        LookupError: The answer is none; and what the client raises.
    """
    info = HfApi(token=token).model_info(
        name.repo_id, revision=name.revision, timeout=IDLE_TIMEOUT, expand=["sha"]
    )
    if not re.fullmatch("[0-9a-f]{40}", str(info.sha)):
        raise LookupError(f"no commit: {info.sha!r}")
    return str(info.sha)


def _bar(heartbeat: Heartbeat, size: int) -> type[tqdm]:
    """A progress bar that reports every new byte as progress, and raises beyond `size` bytes."""

    class Bar(tqdm):
        # After a dropped connection the client starts again and takes bytes back: those that
        # come a second time are no progress.
        received = most = 0

        def update(self, n: float | None = 1) -> bool | None:
            self.received += int(n or 0)
            if self.received > size:
                raise OSError(f"more than the {size:,} bytes announced")
            if self.received > self.most:
                self.most = self.received
                heartbeat.beat()
            return super().update(n)

    return Bar


def _named_error(load: Callable[[Path], Loaded], folder: Path, name: HubName) -> Loaded:
    """Load a folder; in errors, its path becomes the network's name. Raises HubError."""
    try:
        return load(folder)
    except CheckpointError as error:
        reason = str(error).replace(f"{folder}/", "").replace(str(folder), "it")
        raise HubError(f"{name} is not a checkpoint of this program: {reason}") from error
    except Exception as error:  # a stranger's files may fail in a way that nobody has foreseen
        raise HubError(f"{name} cannot be loaded: {type(error).__name__}.") from error


def _check_cost(config: CheckpointConfig, name: HubName) -> None:
    """Refuse a network that a shared server has no memory or time to sample a single image with.

    The size of its weights says little: a convolution costs in proportion to the image's pixels,
    attention to their square. Pages check the memory again for as many images as are asked for.
    """
    values, tokens = largest_level(config.network), attention_positions(config.network)
    classes = config.network.num_classes
    if values > MAX_VALUES or tokens > MAX_TOKENS or classes > MAX_CLASSES:
        raise HubError(
            f"{name} is too large to sample on a shared server: {values:,} values per layer, "
            f"attention over {tokens:,} positions, {classes:,} classes; the limits "
            f"are {MAX_VALUES:,}, {MAX_TOKENS:,} and {MAX_CLASSES:,}."
        )
    try:
        check_memory(config, 1, MAX_PAGE_BYTES)
    except ValueError as error:
        raise HubError(f"{name} is too large to sample on a shared server: {error}") from error


def _check_hash(path: Path, name: HubName) -> None:
    """Compare a file with the hash that names its blob in the cache, as announced by the Hub.

    That is SHA-256 for large files and git's SHA-1 for small ones. The blob may itself be a link
    into the store that repositories share, where names are not hashes of the content. A file that
    fails is removed, so that the next look-up downloads it again.
    """
    # Only the first link is followed: its target's name is the hash, a second link's is not.
    blob = path.parent / path.readlink() if path.is_symlink() else path
    data = path.read_bytes()
    digests = {
        64: lambda: hashlib.sha256(data),
        40: lambda: hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False),
    }
    digest = digests.get(len(blob.name))
    if digest and digest().hexdigest() != blob.name:
        with suppress(OSError):  # a read-only cache, from which nothing can be removed
            blob.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        raise HubError(f"{name} is damaged: {path.name} does not have the hash announced.")
