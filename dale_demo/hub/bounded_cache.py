"""What strangers' networks take of the disk: at most so much, and the longest unused goes first.

The folder is a cache of the Hub's client, which knows how to take a revision out of it. When a
network was last used is noted on its folder and not on its files: revisions share those, and many
disks do not tell when a file was read.
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

SCANS, PAUSE = 5, 0.05
"""How often to look again at a cache that changes under the look, and after how many seconds."""


class FullError(OSError):
    """There is no room, for all that is there is being fetched or loaded."""


class Shelf:
    """Bounds a cache for all threads of this process.

    Another process that shares the cache may take away what this one is about to read; it is then
    missing, and fetched anew.

    Args:
        max_bytes: What the cache may hold, with what is still to come.
        max_networks: How many; without this, small ones without number would take their time.
    """

    def __init__(self, max_bytes: int, max_networks: int):
        self._max_bytes, self._max_networks = max_bytes, max_networks
        self._lock = threading.Lock()
        self._held = Counter[Path]()
        self._promised = 0

    @contextmanager
    def hold(self, folder: Path) -> Iterator[None]:
        """Keep a network, or all of a repository, where it is for the length of the block."""
        folder = folder.resolve()
        with self._lock:
            self._held[folder] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held -= Counter([folder])

    @contextmanager
    def room(self, repository: Path, size: int) -> Iterator[None]:
        """Keep `size` bytes free for what the block fetches into a repository's folder.

        Raises:
            FullError: There is not enough that could go.
        """
        with self._lock:
            self._make_room(repository.parent.resolve(), size)
            self._promised += size
        try:
            with self.hold(repository):
                yield
        finally:
            with self._lock:
                self._promised -= size

    def _make_room(self, cache: Path, size: int) -> None:
        """Remove remains, then networks, until one more of `size` bytes fits."""
        if self._fits(cache, size):
            return
        cache.mkdir(parents=True, exist_ok=True)  # all room may be promised before anything came
        self._sweep(cache)
        while not self._fits(cache, size):
            if not self._remove_oldest(cache):
                raise FullError(f"no room for {size:,} bytes")

    def _fits(self, cache: Path, size: int) -> bool:
        """Whether there is room; what is just arriving counts by what was promised for it."""
        if sum(1 for _ in cache.glob("*/snapshots/*")) >= self._max_networks:
            return False
        files = (Path(folder, name) for folder, _, names in os.walk(cache) for name in names)
        there = sum(_size(path) for path in files if not self._arriving(path))
        return there + self._promised + size <= self._max_bytes

    def _arriving(self, path: Path) -> bool:
        return path.suffix == ".incomplete" and self._busy(path)

    def _busy(self, path: Path) -> bool:
        """Whether it is, is part of, or has within it, what somebody holds."""
        return any(path.is_relative_to(h) or h.is_relative_to(path) for h in self._held)

    def _sweep(self, cache: Path) -> None:
        """Remove what is no network: broken-off downloads, and repositories half removed."""
        sound = {repo.repo_path for repo in _scan(cache).repos}
        for path in cache.glob("*--*"):
            if path not in sound and not self._busy(path):
                shutil.rmtree(path, ignore_errors=True)
        for path in cache.glob("*/blobs/*.incomplete"):
            if not self._busy(path):
                path.unlink(missing_ok=True)

    def _remove_oldest(self, cache: Path) -> bool:
        """Remove the network that was not used for the longest time; whether there was one."""
        info = _scan(cache)
        idle = [
            (revision.snapshot_path.stat().st_mtime_ns, revision.commit_hash, repo)
            for repo in info.repos
            for revision in repo.revisions
            if not self._busy(revision.snapshot_path)
        ]
        if not idle:
            return False
        _, commit, repo = min(idle, key=lambda each: each[:2])
        # A commit may stand in several repositories, of which this one alone is meant.
        strategy = replace(info, repos=frozenset([repo])).delete_revisions(commit)
        with suppress(OSError):  # another process may be at work in the same folder
            strategy.execute()
        if not repo.repo_path.exists():
            shutil.rmtree(cache / ".locks" / repo.repo_path.name, ignore_errors=True)
        return not Path(repo.repo_path, "snapshots", commit).exists()


STRANGERS = Shelf(512 * 2**20, 256)
"""The one of this process, for networks that visitors ask for: room for seven of the largest."""


def touch(folder: Path) -> bool:
    """Note that a network is used now; whether it is still there."""
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    except OSError:  # of a disk that takes no notes, what was fetched first goes first
        pass
    return True


def _scan(cache: Path) -> "HFCacheInfo":
    """What the Hub's client finds in a cache.

    It fails over a file that goes between its listing and its reading, as those do with which
    others at work in the same cache replace one by another.
    """
    from huggingface_hub import scan_cache_dir  # takes a quarter of a second

    for _ in range(SCANS - 1):
        with suppress(FileNotFoundError):
            return scan_cache_dir(cache)
        time.sleep(PAUSE)
    return scan_cache_dir(cache)


def _size(path: Path) -> int:
    """Bytes of a file; 0 for a link, and for what has just gone."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    return status.st_size if S_ISREG(status.st_mode) else 0
