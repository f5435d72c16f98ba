"""Reading any model on the Hub: one file, several by their index, wrong ones, a Hub that stops."""

import hashlib
import json
import threading
import time

import numpy as np
import pytest
from safetensors.numpy import save

from dale_demo.hub import client as hub_client
from dale_demo.hub import model_files
from dale_demo.hub.idle_timeout import IdleTimeoutError, stream_with_idle_timeout
from dale_demo.hub.model_files import describe, files_of, find_model, read_model
from dale_demo.hub.names import HubError, HubName
from dale_demo.weights.analyse import analyse
from dale_demo.weights.tensors import WeightsError, of_arrays

NAME = HubName("ann/model")
INDEX = "model.safetensors.index.json"
RANDOM = np.random.default_rng(5)
LAYERS = {f"layer.{i}.weight": RANDOM.normal(size=(200, 100 + i)).astype("f4") for i in range(3)}
LAYERS["norm.weight"] = np.ones(100, "f4")
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def in_shards(folder: str = "") -> dict[str, bytes]:
    """The layers in two files, the norm in the second, with their index."""
    names = list(LAYERS)
    parts = dict(zip(SHARDS, (names[:2], names[2:]), strict=True))
    index = {"weight_map": {name: shard for shard, held in parts.items() for name in held}}
    files = {shard: save({name: LAYERS[name] for name in held}) for shard, held in parts.items()}
    files[INDEX] = json.dumps(index).encode()
    return {folder + path: data for path, data in files.items()}


def read(path: str | None = None):
    """The report of ann/model, and the bytes that came, by piece."""
    model, came = find_model(NAME), []
    files = files_of(model, path or model.choices[0])
    return analyse(read_model(model, files, came.append)), came


def test_a_file_is_read_as_it_comes_and_nothing_is_stored(hub, tmp_path):
    data = save(LAYERS)
    files = {"model.safetensors": data, "pytorch_model.bin": b"pickle", "README.md": b"#"}
    hub.repository("ann/model").commit(files)
    report, came = read()
    assert report == analyse(of_arrays(dict(sorted(LAYERS.items())))), "as in memory"
    assert report.others == 100
    assert sum(came) == len(data)
    assert hub.downloads() == ["model.safetensors"]
    assert hub.authorised.count(True) == 0
    assert not list(tmp_path.rglob("*.safetensors"))


def test_choices_and_their_sizes(hub):
    files = {"z.safetensors": save(LAYERS), "a/b.safetensors": b"1234", "a.txt": b""} | in_shards()
    hub.repository("ann/model").commit(files)
    model = find_model(NAME)
    assert model.choices == [INDEX, "a/b.safetensors", *SHARDS, "z.safetensors"]
    assert describe(model, INDEX) == "model.safetensors, in several files"
    assert describe(model, "z.safetensors") == "z.safetensors, 0.2 MiB"


@pytest.mark.parametrize("folder", ["", "unet/"])
def test_a_model_in_several_files_is_read_by_its_index(hub, folder):
    hub.repository("ann/model").commit(in_shards(folder))
    report, _ = read(folder + INDEX)
    assert [layer.name for layer in report.layers] == [n for n in LAYERS if n != "norm.weight"]
    assert report.whole.count == sum(w.size for w in LAYERS.values() if w.ndim > 1)
    assert report.others == 100, "a vector in a part is no list of strengths"
    assert hub.downloads() == [INDEX, *SHARDS]


@pytest.mark.parametrize(
    "index",
    [
        b"{}",
        b"[]",
        b"nonsense",
        b"[" * 50_000,
        json.dumps({"weight_map": {"a": "../../etc/passwd"}}).encode(),
        json.dumps({"weight_map": {"a": "other.safetensors"}}).encode(),
        json.dumps({"weight_map": {"a": ["model.safetensors"]}}).encode(),
        json.dumps({"weight_map": {str(i): "model.safetensors" for i in range(5000)}}).encode(),
    ],
)
def test_a_wrong_index_is_one_sentence(hub, index):
    hub.repository("ann/model").commit({INDEX: index, SHARDS[0]: save(LAYERS)})
    with pytest.raises(HubError, match=r"^ann/model has an index that names no files of it\.$"):
        files_of(find_model(NAME), INDEX)


def test_what_is_too_large_is_refused_before_a_byte_of_it_is_asked_for(hub):
    hub.repository("ann/model").commit(in_shards())
    hub.announced.update(dict.fromkeys(SHARDS, 2**29 + 1))
    with pytest.raises(HubError, match=r"too large: 1,024\.0 MiB of weights; at most 1,024\.0 MiB"):
        files_of(find_model(NAME), INDEX)
    assert files_of(find_model(NAME), SHARDS[0]), "one of its files can be chosen"
    assert hub.downloads() == [INDEX]
    hub.announced[INDEX] = 2**23
    with pytest.raises(HubError, match=r"its index has 8\.0 MiB\.$"):
        files_of(find_model(NAME), INDEX)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"pytorch_model.bin": b"x"}, "holds no safetensors file; weights in other formats"),
        (None, "The Hub has no repository ann/model, or it is private"),
    ],
)
def test_no_weights_and_no_repository(hub, files, sentence):
    if files is not None:
        hub.repository("ann/model").commit(files)
    with pytest.raises(HubError, match=sentence):
        find_model(NAME)


def test_a_file_that_is_none_is_a_sentence(hub):
    hub.repository("ann/model").commit({"model.safetensors": b"<!doctype html>" * 9})
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read()
    with pytest.raises(HubError, match="has no file 'gone'"):
        files_of(find_model(NAME), "gone")


def test_a_wrong_hash_is_found_when_the_last_byte_has_come(hub):
    hub.repository("ann/model").commit({"model.safetensors": save(LAYERS)})
    assert read()[0].layers
    hub.mangle = lambda data: data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(HubError, match="does not have the hash announced"):
        read()


@pytest.mark.parametrize("change", [lambda data: data + b"more", lambda data: data[:-1000]])
def test_another_size_than_announced(hub, change):
    hub.repository("ann/model").commit({"model.safetensors": save(LAYERS)})
    hub.mangle = change
    with pytest.raises((HubError, WeightsError), match=r"larger than announced|ends too early"):
        read()


def test_a_hub_that_stops_is_given_up(hub, monkeypatch):
    hub.repository("ann/model").commit({"model.safetensors": save(LAYERS)})
    model = find_model(NAME)
    monkeypatch.setattr(model_files, "IDLE_TIMEOUT", 0.3)
    hub.hangs = "body"
    began = time.monotonic()
    with pytest.raises(HubError, match=r"^The Hub does not answer\.$|cannot be reached"):
        list(read_model(model, files_of(model, "model.safetensors"), lambda _: None))
    assert time.monotonic() - began < 5


def test_a_hub_that_drips_is_given_up_in_the_end(hub, monkeypatch):
    monkeypatch.setattr(model_files, "LONGEST_SECONDS", 0.3)
    hub.repository("ann/model").commit({"model.safetensors": save(LAYERS)})
    hub.pause = 0.2
    with pytest.raises(HubError, match="comes too slowly"):
        read()


def test_a_large_file_is_checked_by_its_sha256(hub):
    data = save(LAYERS)
    hub.repository("ann/model").commit({"model.safetensors": data})
    (file,) = files_of(find_model(NAME), "model.safetensors")
    assert file.hash == hashlib.sha256(data).hexdigest()


def test_a_stream_waits_for_its_reader_and_ends_with_it():
    made, ended = [], threading.Event()

    def source():
        try:
            for i in range(1000):
                made.append(i)
                yield bytes([i % 256])
        finally:
            ended.set()

    stream = stream_with_idle_timeout(source, 1)
    assert [next(stream) for _ in range(3)] == [b"\0", b"\1", b"\2"]
    stream.close()
    assert ended.wait(5)
    assert len(made) < 100
    assert b"".join(stream_with_idle_timeout(lambda: [b"ab", b"c"], 1)) == b"abc"


def test_a_stream_that_stops_or_fails():
    never = threading.Event()

    def hanging():
        yield b"a"
        never.wait()

    stream = stream_with_idle_timeout(hanging, 0.2)
    assert next(stream) == b"a"
    with pytest.raises(IdleTimeoutError):
        next(stream)
    never.set()

    def failing():
        yield b"a"
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(stream_with_idle_timeout(failing, 1))


def test_the_idle_time_is_the_client_s():
    assert model_files.IDLE_TIMEOUT == hub_client.IDLE_TIMEOUT


@pytest.mark.usefixtures("logged_in")
def test_this_machine_s_token_is_not_sent(hub):
    hub.repository("ann/model").commit(in_shards())
    read(INDEX)
    assert len(hub.authorised) > 4
    assert not any(hub.authorised)
    hub.repository("ann/model").private = True
    with pytest.raises(HubError, match="or it is private"):
        find_model(NAME)
