"""LRU disk cache for networks that visitors ask for.

The folder is an ordinary cache of the Hub's client, which also removes revisions from it. The time
of last use is the modification time of a revision's folder, not of its files: revisions share
files, and many file systems do not record when a file was read.
"""

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huggingface_hub import HFCacheInfo

SCAN_ATTEMPTS, SCAN_PAUSE = 5, 0.05
"""How often to scan a cache that changes during the scan, and the pause between, in seconds."""


class CacheFullError(OSError):
    """No room: everything in the cache is being downloaded or loaded."""


class BoundedCache:
    """Bounds the size of a cache folder, for all threads of this process.

    Another process that shares the folder may remove what this one is about to read; that network
    is then missing, and downloaded again.

    Args:
        max_bytes: Bytes that the cache may hold, those still to be downloaded included.
        max_networks: Revisions that it may hold; without this, scanning very many small ones would
            be slow.
    """

    def __init__(self, max_bytes: int, max_networks: int):
        self._max_bytes, self._max_networks = max_bytes, max_networks
        self._lock = threading.Lock()
        self._held = Counter[Path]()
        self._reserved = 0

    @contextmanager
    def hold(self, folder: Path) -> Iterator[None]:
        """Protect a revision's folder, or a whole repository's, from removal during the block."""
        folder = folder.resolve()
        with self._lock:
            self._held[folder] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= Counter([folder])

    @contextmanager
    def reserve(self, repository: Path, size: int) -> Iterator[None]:
        """Keep `size` bytes free for what the block downloads into a repository's folder.

        Raises:
            CacheFullError: Removing everything that is not in use would not be enough.
        """
        with self._lock:
            self._make_room(repository.parent.resolve(), size)
            self._reserved += size
        try:
            with self.hold(repository):
                yield
        finally:
            with self._lock:
                self._reserved -= size

    def _make_room(self, cache: Path, size: int) -> None:
        """Remove leftovers, then networks, until one more of `size` bytes fits."""
        if self._fits(cache, size):
            return
        cache.mkdir(parents=True, exist_ok=True)  # reservations may fill it before any file exists
        self._remove_leftovers(cache)
        while not self._fits(cache, size):
            if not self._remove_oldest(cache):
                raise CacheFullError(f"no room for {size:,} bytes")

    def _fits(self, cache: Path, size: int) -> bool:
        if sum(1 for _ in cache.glob("*/snapshots/*")) >= self._max_networks:
            return False
        files = (Path(folder, name) for folder, _, names in os.walk(cache) for name in names)
        # A file that is still being downloaded is part of what is reserved: count it once.
        stored = sum(_size(path) for path in files if not self._downloading(path))
        return stored + self._reserved + size <= self._max_bytes

    def _downloading(self, path: Path) -> bool:
        return path.suffix == ".incomplete" and self._in_use(path)

    def _in_use(self, path: Path) -> bool:
        """Whether a held folder is `path`, contains it, or lies in it."""
        return any(path.is_relative_to(h) or h.is_relative_to(path) for h in self._held)

    def _remove_leftovers(self, cache: Path) -> None:
        """Remove interrupted downloads and repositories whose removal was interrupted."""
        complete = {repo.repo_path for repo in _scan(cache).repos}
        for path in cache.glob("*--*"):
            if path not in complete and not self._in_use(path):
                shutil.rmtree(path, ignore_errors=True)
        for path in cache.glob("*/blobs/*.incomplete"):
            if not self._in_use(path):
                path.unlink(missing_ok=True)

    def _remove_oldest(self, cache: Path) -> bool:
        """Remove the least recently used network that is not in use; whether one was removed."""
        info = _scan(cache)
        idle = [
            (revision.snapshot_path.stat().st_mtime_ns, revision.commit_hash, repo)
            for repo in info.repos
            for revision in repo.revisions
            if not self._in_use(revision.snapshot_path)
        ]
        if not idle:
            return False
        _, commit, repo = min(idle, key=lambda each: each[:2])
        # `delete_revisions` takes a commit's name alone, and copies of a repository share commits.
        strategy = replace(info, repos=frozenset([repo])).delete_revisions(commit)
        with suppress(OSError):  # another process may be removing the same folder
            strategy.execute()
        if not repo.repo_path.exists():
            shutil.rmtree(cache / ".locks" / repo.repo_path.name, ignore_errors=True)
        return not Path(repo.repo_path, "snapshots", commit).exists()


PUBLIC_NETWORKS = BoundedCache(512 * 2**20, 256)
"""The process's bound on networks that visitors ask for: room for seven of the largest."""


def touch(folder: Path) -> bool:
    """Record that a network is used now; whether its folder still exists."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    except OSError:  # a read-only file system: networks are then removed in order of download
        pass
    return True


def _scan(cache: Path) -> "HFCacheInfo":
    """List a cache as the Hub's client does, which fails on a file that vanishes meanwhile.

    Files do vanish: other sessions replace them by renaming temporary ones.
    """
    from huggingface_hub import scan_cache_dir  # a quarter of a second to import

    for _ in range(SCAN_ATTEMPTS - 1):
        with suppress(FileNotFoundError):
            return scan_cache_dir(cache)
        time.sleep(SCAN_PAUSE)
    return scan_cache_dir(cache)


def _size(path: Path) -> int:
    """Bytes of a regular file; 0 for a link, and for a file that has just been removed."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if S_ISREG(status.st_mode) else 0
