"""Networks: hostile config.json beside sound weights, and damaged weights beside a sound one."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from dale_demo.checkpoint.card import model_card
from dale_demo.checkpoint.files import CONFIG_FILE, WEIGHTS_FILE, CheckpointError
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.sampling import SamplingSettings, run
from dale_demo.trajectory import Recorder, record
from tests.fuzz.harness import SEED, failures, fault_of
from tests.fuzz.mutations import json_text, spoiled_bytes, spoiled_text, spoiled_tree
from tests.tiny_network import save_tiny

CONFIGS, WEIGHTS = 240, 80
SETTINGS = SamplingSettings(labels=(0,), steps=2)
NUMBERS = (True, 0, -1, 2**63, 10**20, 10**309, 1e200, -1e200, 1e20, 5e-324, float("nan"), "1")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def folder(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy whose files each case replaces."""
    folder = tmp_path_factory.mktemp("hostile")
    for file in network.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def each_number(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number of the network, its process and its start, in turn set to each of `NUMBERS`."""
    for part in ("network", "process", "start"):
        for field in config[part]:
            for number in NUMBERS:
                changed = config | {part: config[part] | {field: number}}
                yield f"{part}.{field} = {str(number)[:12]}", changed


def configs(network: Path, seed: int = SEED) -> list[tuple[str, bytes]]:
    """Each number in turn, then several fields at once, then text that is no JSON."""
    random, text = Random(seed), (network / CONFIG_FILE).read_text()
    config = json.loads(text)
    numbers = random.sample(list(each_number(config)), CONFIGS // 2)
    found = [(name, json_text(tree).encode()) for name, tree in numbers]
    for number in range(CONFIGS // 3):
        tree = spoiled_tree(random, config)
        found.append((f"fields {number}", json_text(tree).encode()))
    found += [(f"text {n}", spoiled_text(random, text)) for n in range(CONFIGS // 6)]
    long = (900_000 * "9", json.dumps("v" * 900_000))
    versions = [text.replace('"format_version": 1', f'"format_version": {v}', 1) for v in long]
    return [*found, *((f"version of 900 kB {n}", v.encode()) for n, v in enumerate(versions))]


def weights(network: Path, seed: int = SEED) -> list[tuple[str, bytes]]:
    """Damaged headers, shapes, types and numbers."""
    random, data = Random(seed), (network / WEIGHTS_FILE).read_bytes()
    found = list(handmade_weights(data))
    while len(found) < WEIGHTS:
        found.append((f"damaged {len(found)}", spoiled_weights(random, data)))
    return found


def spoiled_weights(random: Random, data: bytes) -> bytes:
    """Weights damaged in the header, read as JSON or not, or in the numbers."""
    size = int.from_bytes(data[:8], "little")
    match random.randrange(3):
        case 0:
            return spoiled_bytes(random, data)
        case 1:
            header = spoiled_bytes(random, data[8 : 8 + size])
        case _:
            header = json_text(spoiled_tree(random, json.loads(data[8 : 8 + size]))).encode()
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def handmade_weights(data: bytes) -> Iterator[tuple[str, bytes]]:
    size = int.from_bytes(data[:8], "little")
    header, numbers = json.loads(data[8 : 8 + size]), data[8 + size :]
    first = next(key for key in header if key != "__metadata__")

    def file(tensors: dict[str, Any], numbers: bytes = numbers) -> bytes:
        text = json.dumps(tensors).encode()
        return len(text).to_bytes(8, "little") + text + numbers

    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    yield "no bytes", b""
    yield "a pickle", b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94."
    yield "a header of 2⁶³ bytes", (2**63).to_bytes(8, "little") + data[8:]
    yield "100,000 empty tensors", file({f"t{n}": empty for n in range(100_000)})
    yield "1,000 surplus tensors", file(header | {f"t{n}": empty for n in range(1_000)})
    yield "a name of 5 MB", file(header | {"n" * 5_000_000: empty})
    yield "a name of two lines", file(header | {"a\nb": empty})
    yield "a surrogate as a name", file(header | {"\ud800": empty})
    yield "a shape of 1,000 axes", file(header | {first: header[first] | {"shape": [1] * 1_000}})
    yield "a huge shape", file(header | {first: header[first] | {"shape": [2**62, 4]}})
    for kind in ("F16", "F64", "BF16", "I64", "BOOL", "F8_E4M3", "F4", "X"):
        yield f"of type {kind}", file(header | {first: header[first] | {"dtype": kind}})
    yield "all NaN", file(header, b"\xff" * len(numbers))
    yield "all huge", file(header, np.full(len(numbers) // 4, 3e38, "f4").tobytes())


def attempt(folder: Path, file: str, data: bytes) -> None:
    """Load the folder, and use what was loaded as the app and `push` do."""
    (folder / file).write_bytes(data)
    checkpoint = load_checkpoint(folder)
    config = checkpoint.config
    config.to_json().encode()
    model_card(config).encode()
    for settings in (SETTINGS, replace(SETTINGS, start="class-averaged")):
        try:
            trajectory = record(run(checkpoint, settings), Recorder.of(config, settings))
        except ValueError as error:  # the page and `push` say it
            if fault := fault_of(str(error)):
                raise AssertionError(f"a run {fault}") from error
            continue
        if file == CONFIG_FILE:
            assert np.isfinite(trajectory.theory).all(), "the theory of a run is not finite"
            assert np.isfinite(trajectory.log_range).all(), "a run is not finite"


def test_no_config_hurts(network, folder):
    tried = configs(network)
    (folder / WEIGHTS_FILE).write_bytes((network / WEIGHTS_FILE).read_bytes())
    found = failures(tried, lambda data: attempt(folder, CONFIG_FILE, data), (CheckpointError,))
    assert len(tried) >= 200
    assert not found, "\n".join(found)


def test_no_weights_hurt(network, folder):
    tried = weights(network)
    (folder / CONFIG_FILE).write_bytes((network / CONFIG_FILE).read_bytes())
    found = failures(tried, lambda data: attempt(folder, WEIGHTS_FILE, data), (CheckpointError,))
    assert len(tried) >= 60
    assert not found, "\n".join(found)


def test_the_oracle_tells_a_sound_network_from_one_that_is_refused(network, folder):
    """The negative control: without hostile bytes nothing is refused."""
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        for part in (CONFIG_FILE, WEIGHTS_FILE):
            (folder / part).write_bytes((network / part).read_bytes())
        sound = (network / file).read_bytes()
        assert not failures([("sound", sound)], lambda d, f=file: attempt(folder, f, d), ())
