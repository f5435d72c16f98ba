"""The bounded cache: size limit, least recently used removed first, networks in use kept.

The stand-in gives every repository's first commit the same name, as the Hub does for copies.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub import constants

from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.hub import client as hub_client
from dale_demo.hub.bounded_cache import BoundedCache, CacheFullError, touch
from dale_demo.hub.lookup import resolve
from dale_demo.hub.names import HubError
from dale_demo.hub.resolved import Resolved
from tests.hub.fixtures import files_of
from tests.hub.use_networks import use

ROOT = Path(__file__).resolve().parents[2]
CARD = 300_000
Fetch = Callable[..., Resolved]


def cache() -> Path:
    return Path(constants.HF_HOME, hub_client.PUBLIC_FOLDER)


def stored_bytes() -> int:
    """Bytes on disk, counted independently of the code under test."""
    total = 0
    for path in cache().rglob("*"):
        with suppress(FileNotFoundError):
            total += path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
    return total


def stored_names() -> set[str]:
    """Names of the repositories whose weights are in the cache."""
    weights = cache().glob("*/snapshots/*/model.safetensors")
    return {path.parts[-4].split("--")[-1] for path in weights if path.exists()}


@pytest.fixture
def fetch(hub, network) -> Fetch:
    """Look up ann/<name> as a visitor; all have the same size, and each its own card."""
    files = files_of(network)

    def fetch(name: str) -> Resolved:
        repository = hub.repository(f"ann/{name}")
        if not repository.commits:
            repository.commit(files | {"README.md": name.encode().ljust(CARD)})
        return resolve(f"ann/{name}", public=True)

    return fetch


@pytest.fixture
def one(network) -> int:
    """Bytes of one such network."""
    return sum(len(files_of(network)[f]) for f in ("config.json", "model.safetensors")) + CARD


@pytest.fixture
def bound(one, monkeypatch) -> Callable[[int], BoundedCache]:
    """Bound the cache to this many networks; the 1000 bytes are for the client's CACHEDIR.TAG."""

    def bound(count: int, networks: int = 99) -> BoundedCache:
        bounded = BoundedCache(count * one + 1000, networks)
        monkeypatch.setattr(hub_client, "PUBLIC_NETWORKS", bounded)
        return bounded

    return bound


@pytest.fixture(autouse=True)
def ordered_uses(monkeypatch) -> None:
    """Make uses one second apart, whatever the resolution of the file system's clock."""
    clock = iter(range(10**9))

    def note(folder: Path) -> bool:
        second = next(clock)
        os.utime(folder, (second, second))
        return True

    monkeypatch.setattr(hub_client, "touch", note)


def test_within_the_bound_nothing_is_removed(fetch, bound, one):
    """Negative control."""
    bound(3)
    found = [fetch(name) for name in "abc"]
    assert stored_names() == {*"abc"}
    assert 3 * one <= stored_bytes() <= 3 * one + 1000
    assert [load_checkpoint(each.folder).config.dataset for each in found]


def test_the_least_recently_used_is_removed(fetch, bound, one):
    bound(3)
    commits = {fetch(name).commit for name in "abc"}
    assert len(commits) == 1, "a commit alone does not identify a network"
    assert fetch("a").origin == "cache"
    load_checkpoint(fetch("d").folder)
    assert stored_names() == {*"acd"}
    load_checkpoint(fetch("e").folder)
    assert stored_names() == {*"ade"}
    assert stored_bytes() <= 3 * one + 1000
    assert fetch("b").origin == "downloaded"


@pytest.mark.parametrize(("vanished", "fits"), [(0, True), (3, True), (99, False)])
def test_a_file_that_vanishes_during_the_scan(fetch, bound, monkeypatch, vanished, fits):
    """As the temporary file does with which another session records a branch's commit."""
    bound(2)
    for name in "ab":
        fetch(name)
    passing = cache() / "models--ann--b" / "refs" / ".main.1.2"
    scans, scan = iter(range(100)), huggingface_hub.scan_cache_dir

    def rescan(folder: Path) -> huggingface_hub.HFCacheInfo:
        passing.unlink(missing_ok=True)
        if next(scans) < vanished:
            passing.symlink_to("gone")  # listed, but cannot be read
        return scan(folder)

    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", rescan)
    with nullcontext() if fits else pytest.raises(HubError):
        fetch("c")
    assert stored_names() == ({*"bc"} if fits else {*"ab"})


def test_old_revisions_are_removed_one_by_one(fetch, bound, hub, network, one):
    bounded = bound(3)
    first = fetch("a")
    files = files_of(network)
    for edition in range(4):
        hub.repository("ann/a").commit(files | {"README.md": b"%d" % edition * CARD})
        last = fetch("a")
    assert stored_bytes() <= 3 * one + 1000
    assert not first.folder.exists()
    assert len(list(last.folder.parent.iterdir())) > 1, "no more than needed"
    with bounded.hold(last.folder):
        fetch("b")
        fetch("c")
        fetch("d")
    assert [path.name for path in last.folder.parent.iterdir()] == [last.commit]
    load_checkpoint(last.folder)


def test_networks_in_use_are_kept(fetch, bound):
    bounded = bound(2)
    oldest, _ = fetch("a"), fetch("b")
    with bounded.hold(oldest.folder):
        fetch("c")
        assert stored_names() == {*"ac"}
        with bounded.hold(fetch("c").folder):
            with pytest.raises(HubError, match=r"^The cache has no room for ann/d now; try again"):
                fetch("d")
            assert stored_names() == {*"ac"}
    fetch("d")
    assert stored_names() == {*"cd"}, "after the block it may be removed"


@pytest.mark.parametrize("begun", [True, False])
def test_reservations_count(tmp_path, begun):
    """Also before the first file exists, when there is no cache to scan."""
    bounded, cache = BoundedCache(100, 9), tmp_path / "cache"
    if begun:
        cache.mkdir()
    with bounded.reserve(cache / "models--a--a", 60):
        with bounded.reserve(cache / "models--a--b", 40):
            pass
        with pytest.raises(CacheFullError), bounded.reserve(cache / "models--a--b", 41):
            pass
    with bounded.reserve(cache / "models--a--b", 100):
        pass


def test_a_file_being_downloaded_counts_once(tmp_path):
    bounded, repository = BoundedCache(100, 9), tmp_path / "models--a--a"
    with bounded.reserve(repository, 60):
        (repository / "blobs").mkdir(parents=True)
        (repository / "blobs" / "x.incomplete").write_bytes(bytes(50))
        with bounded.reserve(tmp_path / "models--a--b", 40):
            pass
        assert (repository / "blobs" / "x.incomplete").exists()
    with bounded.reserve(tmp_path / "models--a--b", 51):
        assert not repository.exists(), "no download owns it any more"


def test_the_number_of_networks_is_bounded(fetch, bound):
    bound(99, networks=2)
    for name in "abc":
        fetch(name)
    assert stored_names() == {*"bc"}
    assert {path.name for path in (cache() / ".locks").iterdir()} == {
        f"models--ann--{name}" for name in "bc"
    }


def cut_links(repository: Path) -> None:
    next(repository.glob("blobs/*")).unlink()


def cut_snapshots(repository: Path) -> None:
    shutil.rmtree(repository / "snapshots")


def cut_reference(repository: Path) -> None:
    (repository / "refs" / "main").write_text("0" * 40)


@pytest.mark.parametrize("cut", [cut_links, cut_snapshots, cut_reference])
def test_leftovers_are_removed_first(fetch, bound, cut, one):
    """Those of an interrupted removal, which no client would find again."""
    bound(3)
    for name in "abc":
        fetch(name)
    cut(cache() / "models--ann--c")
    fetch("d")
    assert stored_names() == {*"abd"}
    assert stored_bytes() <= 3 * one + 1000
    assert fetch("c").origin == "downloaded"


def test_touch_sets_the_folder_s_time(tmp_path):
    os.utime(tmp_path, (0, 0))
    began = time.time() - 1
    assert touch(tmp_path)
    assert tmp_path.stat().st_mtime > began
    assert not touch(tmp_path / "gone")


def test_a_network_that_cannot_be_removed(fetch, bound, monkeypatch):
    bound(1)
    fetch("a")
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(HubError, match="no room"):
        fetch("b")


def test_the_owner_s_cache_is_not_bounded(fetch, bound, hub):
    bound(1)
    fetch("a")
    fetch("b")
    assert stored_names() == {"b"}
    for name in "ab":
        resolve(f"ann/{name}")
    names = {path.name for path in Path(constants.HF_HUB_CACHE).glob("models--*")}
    assert names == {"models--ann--a", "models--ann--b"}


@pytest.fixture
def sizes() -> Iterator[list[int]]:
    """Bytes on disk, sampled while the test runs."""
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            with suppress(OSError):
                seen.append(stored_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    yield seen
    done.set()
    watcher.join()


def test_several_sessions_at_once(fetch, bound, one, sizes):
    bounded = bound(3)

    def visit(name: str) -> str:
        for _ in range(200):
            try:
                folder = fetch(name).folder
            except HubError as error:
                if "no room" not in str(error):
                    raise
                time.sleep(0.05)
                continue
            with bounded.hold(folder):
                if touch(folder):
                    load_checkpoint(folder)
                    return name
        raise TimeoutError(name)

    names = [name for name in "abcdef" for _ in range(3)]
    with ThreadPoolExecutor(8) as sessions:
        assert list(sessions.map(visit, names)) == names
    assert one < max(sizes) <= 3 * one + 1000
    assert stored_bytes() <= 3 * one + 1000
    assert fetch("f").commit


def test_two_processes_share_a_cache(fetch, bound, one, hub, monkeypatch):
    """Each may remove what the other reads, which is then missing; nothing worse happens."""
    bound(3)
    monkeypatch.setattr(hub_client, "touch", touch)  # both by the same clock
    for name in "abcdef":
        fetch(name)
    names = [f"ann/{name}" for name in "abcdef"] * 2
    before = len(hub.downloads())
    other = subprocess.Popen(
        [sys.executable, "-m", "tests.hub.use_networks", str(3 * one + 1000), *names[::-1]],
        env=os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": constants.HF_HOME},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "ready\n"
    outcomes = [use(names), json.loads(other.communicate(timeout=60)[0])]
    for loaded, errors in outcomes:
        assert loaded > len(names) / 2, errors
        assert loaded + len(errors) == len(names), "each look-up gave a network or a sentence"
    assert len(hub.downloads()) - before > 18, "each removed what the other had downloaded"
    assert stored_bytes() <= 4 * one + 1000, "the bound, and one network that the other added"
