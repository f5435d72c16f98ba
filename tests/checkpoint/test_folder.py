"""Checkpoints: a round trip is bit for bit, and damage gives one clear error."""

import dataclasses
import json
import math
import pickle
import resource
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dale_demo.checkpoint import folder as checkpoint
from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import (
    MAX_CONFIG_BYTES,
    MAX_WEIGHT_BYTES,
    CheckpointError,
    write_atomically,
)
from dale_demo.checkpoint.folder import (
    find_checkpoint,
    load_checkpoint,
    load_config,
    save_checkpoint,
)
from dale_demo.checkpoint.weights import read_tensors
from dale_demo.checks import shown
from dale_demo.data import PositiveMap
from dale_demo.network import Denoiser
from dale_demo.process import GeometricBrownianMotion, LogNormal


@pytest.fixture
def config(tiny_config):
    return CheckpointConfig(
        dataset="halves",
        class_names=("α", "β", "γ"),
        network=tiny_config,
        process=GeometricBrownianMotion(0.32, 0.8),
        start=LogNormal(0.1, 1 / 3),
        training={"loss_curve": [[128, 0.1]]},
    )


@pytest.fixture
def folder(tmp_path, tiny_denoiser, config) -> Path:
    """A sound checkpoint."""
    save_checkpoint(tmp_path / "net", tiny_denoiser, config, "# card\n")
    return tmp_path / "net"


def test_round_trip_is_bit_for_bit(folder, tiny_denoiser, config, generator, tmp_path):
    loaded = load_checkpoint(folder)
    assert loaded.config == config == load_config(folder)
    for key, value in tiny_denoiser.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[key], value), key
    u, s = torch.randn(2, 1, 8, 8, generator=generator), torch.tensor([0.1, 1.0])
    with torch.inference_mode():
        assert torch.equal(loaded.model(u, s), tiny_denoiser(u, s))
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    save_checkpoint(tmp_path / "again", loaded.model, loaded.config, "# card\n")
    for file in ("config.json", "model.safetensors", "README.md"):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_the_map_is_kept_and_an_old_config_means_the_papers(folder, config):
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    assert raw.pop("positive_map") == "shift"
    path.write_text(json.dumps(raw))
    assert load_checkpoint(folder).config == config
    other = dataclasses.replace(config, positive_map=PositiveMap.EXP)
    assert CheckpointConfig.from_json(other.to_json()) == other != config


def test_the_minimum_noise_level_is_kept_and_an_old_config_means_the_usual(folder, config):
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    assert raw.pop("min_noise_level") == 0.005
    path.write_text(json.dumps(raw))
    assert load_config(folder) == config
    other = dataclasses.replace(config, min_noise_level=0.02)
    assert CheckpointConfig.from_json(other.to_json()) == other != config


def test_the_levels_of_a_few_step_network_are_kept_and_others_have_none(folder, config):
    path, few = folder / "config.json", ((8.0, 0.5), (1.1,))
    raw = json.loads(path.read_text())
    assert "levels" not in raw, "which earlier programs would refuse"
    few_step = dataclasses.replace(config, levels=few)
    path.write_text(few_step.to_json())
    assert load_config(folder) == few_step
    assert load_config(folder).levels == few
    for wrong in ("8", [8], [[0.5, 8.0]], [["8"]], [[]], [[8.0], [1.1]], [[1e9]], {"1": [8.0]}):
        path.write_text(json.dumps(raw | {"levels": wrong}))
        with pytest.raises(CheckpointError, match=r"config\.json is wrong: "):
            load_config(folder)


def test_the_former_name_of_the_minimum_noise_level_is_read(folder):
    path = folder / "config.json"
    raw = json.loads(path.read_text())
    raw["last_level"] = raw.pop("min_noise_level") + 0.01
    path.write_text(json.dumps(raw))
    assert load_config(folder).min_noise_level == 0.015


@pytest.mark.parametrize("level", [0, 0.001, 2, math.nan, "0.02", None])
def test_a_minimum_noise_level_out_of_range_is_one_clear_error(folder, level):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"min_noise_level": level}))
    with pytest.raises(CheckpointError, match=r"config\.json is wrong"):
        load_config(folder)


def test_what_was_read_stays_as_it_was_read(folder):
    """A file that is written over later cannot change it, as it could if it were mapped."""
    path = folder / "model.safetensors"
    sound = {key: value.clone() for key, value in load_file(path).items()}
    tensors = read_tensors(path)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert tensors.keys() == sound.keys()
    for key, value in tensors.items():
        assert torch.equal(value, sound[key]), key


def test_half_precision_weights_load_as_single_precision(folder):
    weights = folder / "model.safetensors"
    save_file({k: v.half() for k, v in load_file(weights).items()}, weights)
    model = load_checkpoint(folder).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}


class Exploit:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self):
        return Path.touch, (Path("unpickled"),)


def weights(change):
    """Damage that rewrites the tensors of model.safetensors."""

    def damage(folder):
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return damage


def content(data):
    """Damage that replaces model.safetensors by `data`."""
    return lambda folder: (folder / "model.safetensors").write_bytes(data)


def truncated(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def oversized(folder):
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(MAX_WEIGHT_BYTES + 1)


BIAS = "unet.first.bias"
HEADER = json.dumps({BIAS: {"dtype": "F6_E2M3", "shape": [4], "data_offsets": [0, 3]}}).encode()
SIX_BITS = struct.pack("<Q", len(HEADER)) + HEADER + bytes(3)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 7275496\n"
BAD_WEIGHTS = {
    "truncated": (truncated, "not a safetensors file"),
    "missing key": (weights(lambda w: w.pop(BIAS)), "missing .*unet.first.bias"),
    "surplus key": (weights(lambda w: w.update(extra=torch.ones(1))), "surplus .*extra"),
    "wrong shape": (weights(lambda w: w.update({BIAS: torch.ones(17)})), r"has shape \(17,\)"),
    "NaN": (weights(lambda w: w[BIAS].fill_(torch.nan)), "NaN or infinite"),
    "infinite": (weights(lambda w: w[BIAS].fill_(torch.inf)), "NaN or infinite"),
    "wrong dtype": (weights(lambda w: w.update({BIAS: w[BIAS].long()})), "dtype torch.int64"),
    "unknown dtype": (content(SIX_BITS), "numbers of an unknown type, 'F6_E2M3'"),
    "pickle": (content(pickle.dumps(Exploit())), "not a safetensors file"),
    "huge header": (content(struct.pack("<Q", 2**62) + b"{}"), "not a safetensors file"),
    "empty": (content(b""), "not a safetensors file"),
    "empty header": (content(struct.pack("<Q", 2) + b"{}"), "missing"),
    "Git LFS pointer": (content(LFS), "not a safetensors file"),
    "web page": (content(b"<!doctype html>\n<html><title>404</title></html>\n"), "not a safetens"),
    "missing": (lambda folder: (folder / "model.safetensors").unlink(), "is missing"),
    "too large": (oversized, "at most"),
}


def settings(change):
    """Damage that rewrites the fields of config.json."""

    def damage(folder):
        raw = json.loads((folder / "config.json").read_text())
        change(raw)
        (folder / "config.json").write_text(json.dumps(raw))

    return damage


def text(data):
    """Damage that replaces config.json by `data`."""
    return lambda folder: (folder / "config.json").write_bytes(data)


def network(**values):
    return settings(lambda raw: raw["network"].update(values))


def nested(depth):
    """A training record with so many runs before it."""
    record = {}
    for _ in range(depth):
        record = {"before": record}
    return settings(lambda raw: raw.update(training=record))


ABSURD = (10**309, 1e200, 10**20, True, math.nan, math.inf, -math.inf, "0.5", None, [0.5], {})
"""Values that none of the numbers of a network can have."""
NUMBERS = [
    *(("network", name) for name in ("log_mean", "log_std", "dropout", "width", "image_size")),
    *(("network", name) for name in ("image_channels", "num_classes", "patch")),
    *(("process", name) for name in ("mu", "sigma", "horizon")),
    *(("start", name) for name in ("log_mean", "log_std")),
]
SMALL = [("network", "log_std"), ("process", "sigma"), ("process", "horizon"), ("start", "log_std")]


@pytest.mark.parametrize("value", ABSURD, ids=shown)
@pytest.mark.parametrize("place", NUMBERS, ids=".".join)
def test_an_absurd_number_is_one_short_sentence(place, value, folder):
    part, name = place
    settings(lambda raw: raw[part].update({name: value}))(folder)
    with pytest.raises(CheckpointError, match=rf"config\.json is wrong: {name} must be") as caught:
        load_checkpoint(folder)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("value", [5e-324, 0, -1])
@pytest.mark.parametrize("place", SMALL, ids=".".join)
def test_a_spread_of_nothing_is_refused(place, value, folder):
    part, name = place
    settings(lambda raw: raw[part].update({name: value}))(folder)
    with pytest.raises(CheckpointError, match=f"{name} must be a number from 1e-"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["", "\ud800", "x" * 256, 5, None, ["a"]], ids=shown)
def test_class_names_are_text_that_can_be_shown(folder, name):
    settings(lambda raw: raw["class_names"].__setitem__(1, name))(folder)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    str(caught.value).encode()
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("size", [1, 2, 3])
def test_images_too_small_to_follow_pixels_in_are_refused(folder, size):
    network(image_size=size, patch=1, multipliers=[1])(folder)
    with pytest.raises(CheckpointError, match="image_size must be an integer from 4"):
        load_checkpoint(folder)


@pytest.mark.parametrize("channels", [0, 2, 4, 5, 64, 4096])
def test_images_are_grey_or_of_three_colours(folder, channels):
    network(image_channels=channels)(folder)
    with pytest.raises(CheckpointError, match=f"must be 1 or 3, got {channels}"):
        load_checkpoint(folder)


def test_runs_before_a_run_are_kept_up_to_a_depth(folder):
    nested(50)(folder)
    assert len(load_config(folder).runs) == 50


BAD_CONFIGS = {
    "not JSON": (text(b"{'format_version': 1}"), "is not JSON"),
    "empty": (text(b""), "is not JSON"),
    "too deep": (text(b"[" * 100_000), "is not JSON"),
    "not UTF-8": (text(b"\xff\xfe{}"), "cannot be read"),
    "too large": (text(b" " * (MAX_CONFIG_BYTES + 1)), "larger than 1 MiB"),
    "a list": (text(b"[]"), "does not describe"),
    "another architecture": (settings(lambda r: r.update(architecture="bert")), "does not desc"),
    "another version": (settings(lambda r: r.update(format_version=2)), "format version 2"),
    "missing field": (settings(lambda r: r.pop("start")), "lacks the field 'start'"),
    "unknown field": (settings(lambda r: r.update(colour=1)), "unexpected keyword .*colour"),
    "missing file": (lambda folder: (folder / "config.json").unlink(), "it has no config.json"),
    "class names": (settings(lambda r: r["class_names"].pop()), "3 classes but 2 class names"),
    "no network": (settings(lambda r: r.update(network=None)), "is wrong"),
    "negative volatility": (settings(lambda r: r["process"].update(sigma=-1)), "sigma must be"),
    "NaN volatility": (settings(lambda r: r["process"].update(sigma=float("nan"))), "sigma must"),
    "text for a number": (settings(lambda r: r["start"].update(log_mean="0")), "is wrong"),
    "a long version": (settings(lambda r: r.update(format_version="9" * 900_000)), "version '999"),
    "a long map": (settings(lambda r: r.update(positive_map="s" * 900_000)), "is wrong: 'sss"),
    "a long field": (settings(lambda r: r.update({"f" * 900_000: 1})), "unexpected keyword"),
    "a map that is a list": (settings(lambda r: r.update(positive_map=[])), "is wrong"),
    "an empty data set": (settings(lambda r: r.update(dataset="")), "dataset must be text"),
    "a data set that is a number": (settings(lambda r: r.update(dataset=1)), "dataset must be"),
    "a long data set": (settings(lambda r: r.update(dataset="d" * 900_000)), "dataset must be"),
    "half a character": (settings(lambda r: r.update(dataset="\ud800")), "not valid Unicode"),
    "half a character in notes": (
        settings(lambda r: r.update(metrics={"notes": "\udfff"})),
        "not valid Unicode",
    ),
    "many class names": (
        settings(lambda r: r.update(class_names=["a"] * 100_000)),
        "3 classes but 100000",
    ),
    "class names that are text": (settings(lambda r: r.update(class_names="abc")), "be a list"),
    "a process that is a list": (settings(lambda r: r.update(process=[0.3, 0.8])), "be an object"),
    "a start that is text": (settings(lambda r: r.update(start="0.3")), "be an object"),
    "training that is text": (settings(lambda r: r.update(training="x")), "must be JSON objects"),
    "a run before that is text": (
        settings(lambda r: r.update(training={"before": "x"})),
        'Each "before"',
    ),
    "runs without end": (nested(300), "nested more than 64 levels"),
    "all sizes 4096": (
        network(
            **dict.fromkeys(("image_size", "num_classes", "patch", "width"), 4096),
            multipliers=[4096],
        ),
        "4096 classes but 3",
    ),
    "levels that are text": (network(multipliers="12"), "a list of 1 to 8 multipliers"),
    "a level of nothing": (network(multipliers=[1, 0]), "multipliers must be an integer"),
    "a level of one pixel": (
        network(image_size=4, patch=4, multipliers=[1]),
        "A level of one pixel",
    ),
    "unknown map": (settings(lambda r: r.update(positive_map="sinh")), "'sinh' is not a valid"),
    "metrics": (settings(lambda r: r.update(metrics=[])), "must be JSON objects"),
    "absurd width": (network(width=2**40), "from 1 to"),
    "absurd size": (network(image_size=10**4000), "from 4 to 4096, got an integer of about"),
    "absurd levels": (network(multipliers=[1] * 10_000), "1 to 8 multipliers"),
    "wide within limits": (network(width=4096, multipliers=[2048, 4096]), "has shape"),
    "large within limits": (network(image_size=4096, num_classes=3), "has shape"),
}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(*case, id=f"{file}: {name}")
        for file, cases in (("weights", BAD_WEIGHTS), ("config", BAD_CONFIGS))
        for name, case in cases.items()
    ],
)
def test_a_bad_checkpoint_gives_one_clear_error(damage, message, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load_checkpoint(folder)
    damage(folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(folder)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) <= 300
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB
    assert not Path("unpickled").exists()


def test_the_pickle_would_have_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Exploit()))
    assert Path("unpickled").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "net").write_text("hello")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(tmp_path / "net")


def test_a_network_too_large_to_load_is_not_saved(tmp_path, tiny_denoiser, config, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_WEIGHT_BYTES", 1000)
    with pytest.raises(CheckpointError, match=r"The network has .* at most 1,000"):
        save_checkpoint(tmp_path / "net", tiny_denoiser, config, "")
    assert not (tmp_path / "net" / "model.safetensors").exists()


def test_names_resolve_to_bundled_folders_first_and_then_to_paths(folder, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", folder.parent)
    assert find_checkpoint("net") == folder
    assert find_checkpoint(str(folder)) == folder
    with pytest.raises(CheckpointError, match="neither a folder nor one of net"):
        find_checkpoint("absent")


def test_a_file_whose_writing_fails_keeps_its_old_content(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(self, target):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_wide_network_would_have_needed_that_memory(tiny_config):
    """Negative control of the memory bound: the same sizes on no device, counted."""
    with torch.device("meta"):
        model = Denoiser(dataclasses.replace(tiny_config, width=4096, multipliers=(2048, 4096)))
    assert sum(p.nbytes for p in model.parameters()) > 2**40


@pytest.mark.parametrize(
    ("settings", "teacher"),
    [
        ({"guidance": 2.0}, True),
        ({"guidance": 1.0}, False),
        ({"guidance": "much"}, False),
        ("odd", False),
    ],
)
def test_a_configuration_says_whether_its_network_had_a_teacher(config, settings, teacher):
    last = {"settings": settings}
    assert dataclasses.replace(config, training=last).had_teacher == teacher
    assert not dataclasses.replace(config, training={"before": last}).had_teacher, (
        "not the last run"
    )
