"""Strangers' networks on the disk: within the bound, the longest unused goes, what is in use stays.

The stand-in gives every repository's first commit the same name, as the Hub does to copies.
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
from dale_demo.hub.bounded_cache import FullError, Shelf, touch
from dale_demo.hub.lookup import Resolved, resolve
from dale_demo.hub.names import HubError
from tests.hub.fixtures import files_of

CARD = 300_000
Fetch = Callable[..., Resolved]


def cache() -> Path:
    return Path(constants.HF_HOME, hub_client.PUBLIC_CACHE)


def taken() -> int:
    """Bytes on the disk, counted apart from the code under test."""
    total = 0
    for path in cache().rglob("*"):
        with suppress(FileNotFoundError):
            total += path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
    return total


def there() -> set[str]:
    """Names of the repositories whose weights are in the cache."""
    weights = cache().glob("*/snapshots/*/model.safetensors")
    return {path.parts[-4].split("--")[-1] for path in weights if path.exists()}


@pytest.fixture
def fetch(hub, network) -> Fetch:
    """Fetch ann/<name> as a stranger; all have the same size, and each its own card."""
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
def bound(one, monkeypatch) -> Callable[[int], Shelf]:
    """Give strangers room for so many networks, and for the client's own mark of a cache."""

    def bound(count: int, networks: int = 99) -> Shelf:
        shelf = Shelf(count * one + 1000, networks)
        monkeypatch.setattr(hub_client, "STRANGERS", shelf)
        return shelf

    return bound


@pytest.fixture(autouse=True)
def one_after_the_other(monkeypatch) -> None:
    """Uses a second apart, however coarse the disk's clock: its notes are made by hand here."""
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
    assert there() == {*"abc"}
    assert 3 * one <= taken() <= 3 * one + 1000
    assert [load_checkpoint(each.folder).config.dataset for each in found]


def test_the_longest_unused_goes(fetch, bound, one):
    bound(3)
    commits = {fetch(name).commit for name in "abc"}
    assert len(commits) == 1, "a commit alone does not tell which network is meant"
    assert fetch("a").origin == "cache"
    load_checkpoint(fetch("d").folder)
    assert there() == {*"acd"}
    load_checkpoint(fetch("e").folder)
    assert there() == {*"ade"}
    assert taken() <= 3 * one + 1000
    assert fetch("b").origin == "downloaded"


@pytest.mark.parametrize(("vanished", "room"), [(0, True), (3, True), (99, False)])
def test_a_file_that_goes_while_the_cache_is_looked_through(
    fetch, bound, monkeypatch, vanished, room
):
    """As that goes with which another session writes where a branch stands."""
    bound(2)
    for name in "ab":
        fetch(name)
    passing = cache() / "models--ann--b" / "refs" / ".main.1.2"
    looks, scan = iter(range(100)), huggingface_hub.scan_cache_dir

    def look(folder: Path) -> huggingface_hub.HFCacheInfo:
        passing.unlink(missing_ok=True)
        if next(looks) < vanished:
            passing.symlink_to("gone")  # is listed, and cannot be read
        return scan(folder)

    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", look)
    with nullcontext() if room else pytest.raises(HubError):
        fetch("c")
    assert there() == ({*"bc"} if room else {*"ab"})


def test_old_revisions_go_one_by_one(fetch, bound, hub, network, one):
    shelf = bound(3)
    first = fetch("a")
    files = files_of(network)
    for edition in range(4):
        hub.repository("ann/a").commit(files | {"README.md": b"%d" % edition * CARD})
        last = fetch("a")
    assert taken() <= 3 * one + 1000
    assert not first.folder.exists()
    assert len(list(last.folder.parent.iterdir())) > 1, "no more than needed"
    with shelf.hold(last.folder):
        fetch("b")
        fetch("c")
        fetch("d")
    assert [path.name for path in last.folder.parent.iterdir()] == [last.commit]
    load_checkpoint(last.folder)


def test_what_is_in_use_stays(fetch, bound):
    shelf = bound(2)
    oldest, _ = fetch("a"), fetch("b")
    with shelf.hold(oldest.folder):
        fetch("c")
        assert there() == {*"ac"}
        with shelf.hold(fetch("c").folder):
            with pytest.raises(HubError, match=r"^There is no room for ann/d just now; try again"):
                fetch("d")
            assert there() == {*"ac"}
    fetch("d")
    assert there() == {*"cd"}, "after the block it may go"


@pytest.mark.parametrize("begun", [True, False])
def test_what_is_promised_counts(tmp_path, begun):
    """Also before the first file has come, when there is no cache yet to look through."""
    shelf, cache = Shelf(100, 9), tmp_path / "cache"
    if begun:
        cache.mkdir()
    with shelf.room(cache / "models--a--a", 60):
        with shelf.room(cache / "models--a--b", 40):
            pass
        with pytest.raises(FullError), shelf.room(cache / "models--a--b", 41):
            pass
    with shelf.room(cache / "models--a--b", 100):
        pass


def test_an_arriving_file_counts_once(tmp_path):
    shelf, repository = Shelf(100, 9), tmp_path / "models--a--a"
    with shelf.room(repository, 60):
        (repository / "blobs").mkdir(parents=True)
        (repository / "blobs" / "x.incomplete").write_bytes(bytes(50))
        with shelf.room(tmp_path / "models--a--b", 40):
            pass
        assert (repository / "blobs" / "x.incomplete").exists()
    with shelf.room(tmp_path / "models--a--b", 51):
        assert not repository.exists(), "nobody waits for it any more"


def test_small_networks_without_number(fetch, bound):
    bound(99, networks=2)
    for name in "abc":
        fetch(name)
    assert there() == {*"bc"}
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
def test_remains_go_first(fetch, bound, cut, one):
    """Where a removal was broken off; else they would take room for ever."""
    bound(3)
    for name in "abc":
        fetch(name)
    cut(cache() / "models--ann--c")
    fetch("d")
    assert there() == {*"abd"}
    assert taken() <= 3 * one + 1000
    assert fetch("c").origin == "downloaded"


def test_a_use_is_noted_on_the_folder(tmp_path):
    os.utime(tmp_path, (0, 0))
    began = time.time() - 1
    assert touch(tmp_path)
    assert tmp_path.stat().st_mtime > began
    assert not touch(tmp_path / "gone")


def test_what_cannot_be_removed_is_no_room(fetch, bound, monkeypatch):
    bound(1)
    fetch("a")
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(HubError, match="no room"):
        fetch("b")


def test_an_owner_s_cache_has_no_bound(fetch, bound, hub):
    bound(1)
    fetch("a")
    fetch("b")
    assert there() == {"b"}
    for name in "ab":
        resolve(f"ann/{name}")
    names = {path.name for path in Path(constants.HF_HUB_CACHE).glob("models--*")}
    assert names == {"models--ann--a", "models--ann--b"}


@pytest.fixture
def watch() -> Iterator[list[int]]:
    """Bytes on the disk, again and again while the test runs."""
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            with suppress(OSError):
                seen.append(taken())

    watcher = threading.Thread(target=look)
    watcher.start()
    yield seen
    done.set()
    watcher.join()


def test_several_sessions_at_once(fetch, bound, one, watch):
    shelf = bound(3)

    def visit(name: str) -> str:
        for _ in range(200):
            try:
                folder = fetch(name).folder
            except HubError as error:
                if "no room" not in str(error):
                    raise
                time.sleep(0.05)
                continue
            with shelf.hold(folder):
                if touch(folder):
                    load_checkpoint(folder)
                    return name
        raise TimeoutError(name)

    names = [name for name in "abcdef" for _ in range(3)]
    with ThreadPoolExecutor(8) as sessions:
        assert list(sessions.map(visit, names)) == names
    assert one < max(watch) <= 3 * one + 1000
    assert taken() <= 3 * one + 1000
    assert fetch("f").commit


VISITS = """
import json, sys
from dale_demo.checkpoint import folder as checkpoint
from dale_demo.hub import lookup as hub, client as hub_client
from dale_demo.hub.bounded_cache import Shelf

hub_client.STRANGERS = Shelf(int(sys.argv[1]), 99)
seen, refused = 0, []
for name in sys.argv[2:]:
    try:
        checkpoint.load_checkpoint(hub.resolve(name, public=True).folder)
        seen += 1
    except checkpoint.CheckpointError as error:
        refused.append(str(error))
print(json.dumps([seen, refused]))
"""


def test_two_processes_share_a_cache(fetch, bound, one, hub):
    """Each may take away what the other reads, which is then missing; nothing worse happens."""
    bound(3)
    for name in "abcdef":
        fetch(name)
    names = [f"ann/{name}" for name in "abcdef"] * 10
    downloads = len(hub.downloads())
    environment = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": constants.HF_HOME}
    command = [sys.executable, "-c", VISITS, str(3 * one + 1000)]
    visitors = [
        subprocess.Popen(command + order, env=environment, stdout=subprocess.PIPE, text=True)
        for order in (names, names[::-1])
    ]
    for visitor in visitors:
        seen, refused = json.loads(visitor.communicate(timeout=120)[0])
        assert seen > 40, refused
        assert seen + len(refused) == len(names), "each visit gave a network or a sentence"
    assert len(hub.downloads()) - downloads > 90, "each took away what the other had fetched"
    assert taken() <= 4 * one + 1000, "the bound, and one network that each did not see coming"
