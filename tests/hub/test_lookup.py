"""Looking up networks: origin, commit, number of requests, errors, timeouts, damage."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import load_file, save

from dale_demo.checkpoint import folder as checkpoint
from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.hub import client as hub_client
from dale_demo.hub.errors import translate
from dale_demo.hub.idle_timeout import IdleTimeoutError
from dale_demo.hub.lookup import pull, resolve
from dale_demo.hub.names import HubError, HubName, NotStoredError, UnreachableError, offered
from tests.hub.fixtures import files_of
from tests.tiny_network import save_tiny, tiny_config


def test_downloads_then_serves_from_the_cache(hub, commits, network):
    commit = next(commits)
    first = resolve("ann/net")
    assert (first.origin, first.commit, first.doubt) == ("downloaded", commit, "")
    assert first.account == f"Downloaded from the Hugging Face Hub at commit {commit[:7]}."
    assert first.url == f"{hub.address}/ann/net/tree/{commit}"
    assert hub.downloads() == ["config.json", "README.md", "model.safetensors"]
    assert (first.folder / "model.safetensors").read_bytes() == (
        network / "model.safetensors"
    ).read_bytes()
    hub.requests.clear()
    again = resolve("ann/net")
    assert (again.origin, again.commit, again.folder) == ("cache", commit, first.folder)
    assert hub.requests == ["GET /api/models/ann/net/revision/main"]


def test_a_pinned_revision_in_the_cache_needs_no_request(hub, commits):
    commit = next(commits)
    assert resolve(f"ann/net@{commit}").origin == "downloaded"
    hub.requests.clear()
    assert resolve(f"ann/net@{commit}").origin == "cache"
    assert hub.requests == []


def test_a_branch_follows_the_hub_and_a_pin_does_not(hub, commits):
    old = next(commits)
    resolve("ann/net")
    new = next(commits)
    moved = resolve("ann/net")
    assert (moved.origin, moved.commit) == ("downloaded", new)
    assert b"Edition 1" in (moved.folder / "README.md").read_bytes()
    pinned = resolve(f"ann/net@{old}")
    assert (pinned.origin, pinned.commit) == ("cache", old)
    assert b"Edition 0" in (pinned.folder / "README.md").read_bytes()


def test_a_branch_by_name(hub, commits, network):
    next(commits)
    commit = hub.repository("ann/net").commit(files_of(network), "refs/pr/1")
    assert resolve("ann/net@refs/pr/1").commit == commit


def test_without_the_hub_the_cached_copy_is_used(stand_in, commits):
    commit = next(commits)
    resolve("ann/net")
    next(commits)
    stand_in.stop()
    found = resolve("ann/net")
    assert (found.origin, found.commit) == ("cache", commit)
    assert found.account.endswith("could not check for a newer commit: The Hub cannot be reached.")
    stand_in.start()
    assert resolve("ann/net").commit != commit


def test_bundled_names_and_folders_need_no_request(hub, network, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", network.parent)
    assert resolve("tiny").account == "Bundled with the app."
    assert resolve(str(network)).origin == "folder"
    assert hub.requests == []


@pytest.mark.parametrize(
    "name",
    [
        *(
            "nowhere",
            "",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "../../etc",
            "a/..",
            "..",
            "a/b@",
            "a/b@../../x",
        ),
        *(
            "a/b@x/..",
            "a/b@/etc/x",
            "a/b@-x",
            "a /b",
            "a/b ",
            "a/b\n",
            "-a/b",
            "a/-b",
            ".a/b",
            "a/b.",
            "a--b/c",
            "ä/b",
        ),
        *("a/b.git", "a/b.git@" + "0" * 40, "\ud800/b", "a" * 10**6),
        *("https://huggingface.co/a/b", "a/b?x=1", "a/b#c", "a\\b", "~/net", "a/b@x@y", "a" * 99),
    ],
)
def test_invalid_names_are_refused_without_a_request(hub, name):
    with pytest.raises(HubError, match="expected one of") as refusal:
        resolve(name, public=True)
    assert hub.requests == []
    assert "\n" not in str(refusal.value)


def test_a_visitor_reaches_no_folder(network, monkeypatch, hub):
    """Neither by a path, nor by one that looks like a repository's name."""
    monkeypatch.chdir(network.parent.parent)
    for path in (str(network), "./" + network.name):
        with pytest.raises(HubError, match="expected one of"):
            resolve(path, public=True)
    like_a_name = f"{network.parent.name}/{network.name}"
    assert HubName.parse(like_a_name).repo_id == like_a_name
    assert resolve(like_a_name).origin == "folder", "on the command line it is a folder"
    with pytest.raises(HubError, match="has no repository"):
        resolve(like_a_name, public=True)


def test_a_visitor_sees_nothing_private(hub, commits, logged_in):
    commit = next(commits)
    hub.repository("ann/net").private = True
    assert resolve("ann/net").commit == commit
    for name in ("ann/net", f"ann/net@{commit}"):
        hub.authorised.clear()
        with pytest.raises(HubError, match="has no repository ann/net, or it is private"):
            resolve(name, public=True)
        assert hub.authorised == [False]


def test_only_three_files_are_read(hub, network):
    files = files_of(network) | {
        "pytorch_model.bin": b"\x80\x04.",
        "modeling.py": b"raise SystemExit",
        "big.safetensors": bytes(200_000),
    }
    hub.repository("ann/net").commit(files)
    folder = resolve("ann/net").folder
    assert sorted(path.name for path in folder.iterdir()) == sorted(files_of(network))


def test_a_card_is_not_required(hub, network):
    files = files_of(network)
    del files["README.md"]
    hub.repository("ann/net").commit(files)
    load_checkpoint(resolve("ann/net").folder)


def test_weights_are_read_once(hub, commits, reads):
    """The load that verifies a network is the one that is used."""
    next(commits)
    for origin in "downloaded", "cache":
        reads.clear()
        found = resolve("ann/net")
        found.load()
        assert found.origin == origin
        assert reads["weights"] == 1
        assert reads["config"] == 1


def test_a_folder_is_read_when_it_is_loaded(hub, network, reads):
    found = resolve(str(network))
    assert not reads
    found.load()
    assert reads == {"config": 1, "weights": 1}


def test_moving_a_loaded_network_leaves_the_original(hub, commits):
    next(commits)
    found = resolve("ann/net")
    moved = found.load("meta").model
    assert {p.device.type for p in moved.parameters()} == {"meta"}
    assert {p.device.type for p in found.checkpoint.model.parameters()} == {"cpu"}
    loaded, read = found.load().model, load_checkpoint(found.folder).model
    for one, other in zip(loaded.parameters(), read.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
        assert one.stride() == other.stride(), "the memory format decides the last bits"
    assert not any(module.training for module in loaded.modules())


BIAS = "unet.first.bias"
NOT_OURS = {
    "no config": (lambda files: files.pop("config.json"), "has no config.json"),
    "no weights": (lambda files: files.pop("model.safetensors"), "has no model.safetensors"),
    "another program's": (
        lambda files: files.update({"config.json": b'{"architectures": ["BertModel"]}'}),
        "does not describe a 'log-denoiser-unet'",
    ),
    "not JSON": (lambda files: files.update({"config.json": b"<html>"}), "is not JSON"),
    "a later version": (
        lambda files: files.update(
            {"config.json": files["config.json"].replace(b'version": 1', b'version": 9')}
        ),
        "format version 9",
    ),
    "a pickle": (
        lambda files: files.update({"model.safetensors": b"\x80\x04]."}),
        "not a safetensors file",
    ),
}


@pytest.mark.parametrize("case", NOT_OURS)
def test_a_repository_that_is_not_a_checkpoint(hub, network, case):
    damage, message = NOT_OURS[case]
    files = files_of(network)
    damage(files)
    hub.repository("ann/net").commit(files)
    for _ in "once from the Hub", "once from the cache":
        with pytest.raises(HubError, match=message) as refusal:
            resolve("ann/net")
        assert str(refusal.value).startswith("ann/net is not a checkpoint of this program: ")
        assert str(network.parent) not in str(refusal.value), "no path of this machine is shown"


@pytest.mark.parametrize("case", ["another program's", "not JSON", "a later version"])
def test_weights_are_not_downloaded_for_an_invalid_config(hub, network, case):
    files = files_of(network)
    NOT_OURS[case][0](files)
    hub.repository("ann/net").commit(files)
    with pytest.raises(HubError):
        resolve("ann/net")
    assert hub.downloads() == ["config.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w[BIAS].fill_(torch.nan), "NaN or infinite"),
        (lambda w: w.update({BIAS: torch.ones(17)}), r"has shape \(17,\), expected \(16,\)"),
        (lambda w: w.pop(BIAS), "missing .*unet.first.bias"),
        (lambda w: w.update({BIAS: w[BIAS].long()}), "dtype torch.int64"),
    ],
)
def test_weights_that_do_not_fit(hub, network, change, message):
    tensors = load_file(network / "model.safetensors")
    change(tensors)
    hub.repository("ann/net").commit(files_of(network) | {"model.safetensors": save(tensors)})
    with pytest.raises(HubError, match=message):
        resolve("ann/net")


@pytest.mark.parametrize("file", ["config.json", "README.md", "model.safetensors"])
def test_a_file_that_is_too_large_is_refused_before_its_first_byte(hub, commits, file):
    next(commits)
    hub.announced[file] = hub_client.LIMITS[file] + 1
    with pytest.raises(HubError, match=f"too large: {file} has"):
        resolve("ann/net")
    assert hub.downloads() == []


def test_a_network_that_would_exhaust_the_memory_is_refused_for_visitors(hub, network):
    raw = json.loads((network / "config.json").read_text())
    raw["network"] |= {"image_size": 4096}
    files = files_of(network) | {"config.json": json.dumps(raw).encode()}
    hub.repository("ann/net").commit(files)
    with pytest.raises(HubError, match=r"too large to sample .* attention over 4,194,304"):
        resolve("ann/net", public=True)
    assert hub.downloads() == ["config.json"]


def test_a_network_of_large_images_but_few_features_is_refused_for_visitors(hub, network):
    raw = json.loads((network / "config.json").read_text())
    raw["network"] |= {"image_size": 4096, "patch": 128}
    files = files_of(network) | {"config.json": json.dumps(raw).encode()}
    hub.repository("ann/net").commit(files)
    with pytest.raises(HubError, match=r"too large to sample .* GB of memory") as caught:
        resolve("ann/net", public=True)
    assert len(str(caught.value)) <= 300
    assert hub.downloads() == ["config.json"]


def test_the_bundled_networks_are_small_enough_for_visitors(hub):
    for name, folder in checkpoint.bundled_checkpoints().items():
        hub.repository(f"ann/{name}").commit(files_of(folder))
        assert resolve(f"ann/{name}", public=True).origin == "downloaded"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, r"server error \(HTTP 500\)"),
        (503, r"server error \(HTTP 503\)"),
        (429, "too many requests"),
        (401, "denies access to ann/net: log in"),
        (403, "denies access to ann/net: log in"),
        (404, "is not a Hub"),
        (418, "is not a Hub"),
    ],
)
def test_bad_statuses(hub, commits, status, message):
    next(commits)
    hub.status = status
    with pytest.raises(HubError, match=message):
        resolve("ann/net")
    hub.status = 0
    found = resolve("ann/net")
    hub.status = status
    if status in (401, 403):
        with pytest.raises(HubError, match=message):
            resolve("ann/net")
    else:
        assert resolve("ann/net").folder == found.folder, "the cached copy is used"


def test_missing_private_and_gated_repositories(hub, commits, logged_in, monkeypatch):
    next(commits)
    for name, message in {
        "ann/other": "has no repository ann/other, or it is private",
        "ann/net@v9": "ann/net has no revision v9",
        f"ann/net@{'0' * 40}": "has no revision 0000",
    }.items():
        with pytest.raises(HubError, match=message):
            resolve(name)
    hub.repository("ann/net").gated = True
    with pytest.raises(HubError, match="ann/net is gated: accept its terms at http"):
        resolve("ann/net", public=True)
    assert resolve("ann/net").origin == "downloaded", "with a token it is not"


def test_offline_mode(hub, commits, monkeypatch):
    next(commits)
    monkeypatch.setattr(hub_client.constants, "is_offline_mode", lambda: True)
    with pytest.raises(UnreachableError, match="HF_HUB_OFFLINE turns access to the Hub off"):
        resolve("ann/net")
    assert hub.requests == []


def test_a_web_page_is_not_a_hub(hub, commits):
    next(commits)
    hub.page = True
    with pytest.raises(UnreachableError, match=f"The server at {hub.address} is not a Hub"):
        resolve("ann/net")


def seconds_until_refused(name: str = "ann/net") -> tuple[float, str]:
    began = time.monotonic()
    with pytest.raises(HubError) as refusal:
        resolve(name)
    return time.monotonic() - began, str(refusal.value)


def test_a_refused_connection_is_an_error_at_once(stand_in):
    stand_in.stop()
    seconds, message = seconds_until_refused()
    assert seconds < 5
    assert message == "The Hub cannot be reached."


def test_within_five_seconds_when_it_hangs(hub, commits):
    """With the timeout that the app has; the tests below use shorter ones."""
    next(commits)
    hub.hangs = "all"
    seconds, message = seconds_until_refused()
    assert seconds < 5
    assert message == "The Hub does not answer."


@pytest.fixture
def timeout(monkeypatch) -> float:
    """A shorter timeout, in seconds."""
    monkeypatch.setattr(hub_client, "IDLE_TIMEOUT", 2.0)
    return hub_client.IDLE_TIMEOUT


def test_a_body_that_hangs(hub, commits, timeout):
    next(commits)
    hub.hangs = "body"
    seconds, message = seconds_until_refused()
    assert seconds < timeout + 1
    assert message == "The Hub does not answer."


@pytest.mark.parametrize("answered", [1, 2])
def test_slow_answers_use_up_the_timeout(hub, commits, timeout, answered):
    next(commits)
    slow = 0.5 * timeout
    hub.hangs, hub.answers, hub.seconds = "all", answered, slow / answered
    seconds, message = seconds_until_refused()
    assert slow < seconds < timeout + 0.8, "the whole timeout is not granted again"
    assert message == "The Hub does not answer."
    assert len(hub.requests) > answered, "it did hang, after the answers"


def test_a_host_name_that_is_never_resolved(stand_in, timeout, monkeypatch):
    """Resolving a host name is subject to no timeout of the client."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: time.sleep(9))
    seconds, message = seconds_until_refused()
    assert seconds < timeout + 1
    assert message == "The Hub does not answer."


def test_many_slow_answers_are_progress(hub, commits, timeout):
    """Each answer takes a fifth of the timeout, all of them together more than the whole."""
    next(commits)
    hub.seconds = timeout / 5
    began = time.monotonic()
    assert resolve("ann/net").origin == "downloaded"
    assert time.monotonic() - began > timeout


def test_a_slow_connection_makes_progress(hub, tmp_path, timeout):
    """A network that takes longer than the timeout to download, while bytes keep coming."""
    wide = replace(tiny_config().network, width=64)
    hub.repository("ann/net").commit(files_of(save_tiny(tmp_path / "wide", network=wide)))
    pieces = len(hub.repository("ann/net").at("main")[1]["model.safetensors"]) // 2**16
    assert pieces > 10
    hub.pause = 1.2 * timeout / pieces
    began = time.monotonic()
    assert resolve("ann/net").origin == "downloaded"
    assert time.monotonic() - began > 1.2 * timeout


def test_a_body_that_breaks_off(hub, commits, timeout):
    """The client retries again and again, but no new byte arrives."""
    next(commits)
    hub.cut = 100
    seconds, message = seconds_until_refused()
    assert seconds < timeout + 1
    assert message == "The Hub does not answer."
    hub.cut = None
    assert resolve("ann/net").origin == "downloaded"


@pytest.mark.parametrize("large", [1, 10**9], ids=["SHA-256", "SHA-1"])
def test_a_wrong_hash_is_refused_and_downloaded_again(hub, commits, large, monkeypatch):
    monkeypatch.setattr("tests.hub.stand_in.LARGE", large)
    next(commits)
    sound = hub.repository("ann/net").at("main")[1]["model.safetensors"]
    hub.mangle = lambda data: data[:-1] + b"x" if data == sound else data
    message = "ann/net is damaged: model.safetensors does not have the hash announced"
    with pytest.raises(HubError, match=message):
        resolve("ann/net")
    hub.mangle = None
    load_checkpoint(resolve("ann/net").folder)


def test_damage_in_the_cache_is_detected(hub, commits):
    commit = next(commits)
    weights = resolve(f"ann/net@{commit}").folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.resolve().write_bytes(data)
    found = resolve(f"ann/net@{commit}")
    assert found.origin == "downloaded"
    load_checkpoint(found.folder)


@pytest.fixture
def large(hub, network, monkeypatch) -> str:
    """The valid network, whose weights the stand-in stores as the Hub stores large files."""
    monkeypatch.setattr("tests.hub.stand_in.LARGE", 10_000)
    return hub.repository("ann/net").commit(files_of(network))


def test_large_files_use_plain_http(hub, large):
    assert resolve("ann/net").origin == "downloaded"
    assert "model.safetensors" in hub.downloads()
    assert not [request for request in hub.requests if "xet" in request]


def test_by_default_the_client_uses_xet(hub, large, monkeypatch):
    """Negative control: the stand-in offers Xet, as the real Hub does."""
    monkeypatch.setattr(hub_client.constants, "HF_HUB_DISABLE_XET", False)
    with pytest.raises(HubError):
        resolve("ann/net")
    assert [request for request in hub.requests if "xet" in request]


def test_a_blob_in_the_store_that_repositories_share(hub, large):
    """Where another program downloaded the network, its blob may be a link into Xet's store."""
    blob = (resolve("ann/net").folder / "model.safetensors").readlink()
    blob = resolve("ann/net").folder / blob
    store = Path(hub_client.constants.HF_HUB_CACHE) / "blobs" / "ab" / ("ab" * 32)
    store.parent.mkdir(parents=True)
    blob.rename(store)
    blob.symlink_to(store)
    hub.requests.clear()
    assert resolve("ann/net").origin == "cache"
    assert hub.downloads() == []
    store.write_bytes(bytes(store.stat().st_size))
    assert resolve("ann/net").origin == "downloaded", "damage is detected there as well"


def test_pull_is_byte_for_byte(hub, commits, tmp_path):
    next(commits)
    found = pull(HubName.parse("ann/net"), tmp_path / "copy")
    assert files_of(tmp_path / "copy") == files_of(found.folder)
    pull(HubName.parse("ann/net"), tmp_path / "copy")
    next(commits)
    with pytest.raises(HubError, match="contains other files"):
        pull(HubName.parse("ann/net"), tmp_path / "copy")
    assert files_of(tmp_path / "copy") == files_of(found.folder)


def wrapped(cause: Exception) -> RuntimeError:
    """As the client raises what went wrong with a large file."""
    error = RuntimeError("Error while uploading 'model.safetensors' to the Hub.")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (LocalEntryNotFoundError("x"), UnreachableError, "The Hub stopped before a/b was here."),
        (EntryNotFoundError("x"), HubError, "A file of a/b was removed during the download."),
        (FileNotFoundError("x"), HubError, "a/b was removed from the cache meanwhile; try again."),
        (OSError("no\nspace."), NotStoredError, "a/b was not transferred completely: no space."),
        (
            OSError(28, "No space left on device", "/home/ann/.cache/x"),
            NotStoredError,
            "a/b was not transferred completely: No space left on device.",
        ),
        (
            AttributeError("get"),
            UnreachableError,
            "The server at https://huggingface.co is not a Hub.",
        ),
        (ImportError("no socksio"), HubError, "The Hub's client rejects a/b: no socksio."),
        (
            wrapped(IdleTimeoutError("cancelled")),
            UnreachableError,
            "The Hub does not answer.",
        ),
        (ValueError("odd"), HubError, "The Hub's client rejects a/b: odd."),
        (KeyError("sha"), UnreachableError, "The server at https://huggingface.co is not a Hub."),
        (CheckpointError("ours"), CheckpointError, "ours"),
        (ZeroDivisionError("ours"), ZeroDivisionError, "ours"),
    ],
)
def test_errors_that_are_hard_to_provoke(monkeypatch, error, kind, sentence):
    monkeypatch.setattr(hub_client.constants, "ENDPOINT", "https://huggingface.co")
    translated = translate(error, HubName("a/b"))
    assert (type(translated), str(translated)) == (kind, sentence)


def test_offers(tmp_path, monkeypatch):
    file = tmp_path / "networks.txt"
    monkeypatch.setattr("dale_demo.hub.names.OFFERS", file)
    monkeypatch.delenv("DALE_NETWORKS", raising=False)
    assert offered() == []
    file.write_text("# comment\nann/a  # another\n\nann/b@v1\n")
    assert offered() == ["ann/a", "ann/b@v1"]
    monkeypatch.setenv("DALE_NETWORKS", "bob/c, bob/d\tbob/e")
    assert offered() == ["bob/c", "bob/d", "bob/e"]
    monkeypatch.setenv("DALE_NETWORKS", "")
    assert offered() == [], "an empty variable means no network"
