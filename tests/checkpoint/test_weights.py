"""Safetensors files from strangers: refused by their header, in bounded time and memory."""

import json
import os
import resource
import struct
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dale_demo.checkpoint.files import CheckpointError, read_text
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.checkpoint.weights import MAX_TENSORS, read_tensors
from tests.tiny_network import save_tiny

WEIGHTS = "model.safetensors"
EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A sound network."""
    return save_tiny(tmp_path / "net")


def with_header(header: object, data: bytes = b"") -> bytes:
    """A safetensors file with this header, right or wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def header_of(folder: Path) -> dict[str, dict[str, object]]:
    data = (folder / WEIGHTS).read_bytes()
    return json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])


@pytest.mark.parametrize("name", ["t{}", "t{}" + "x" * 20])
def test_a_million_empty_tensors_are_refused_at_once(folder, name):
    empty = json.dumps(EMPTY)
    entries = ",".join(f'"{name.format(i)}":{empty}' for i in range(600_000))
    (folder / WEIGHTS).write_bytes(with_header(f"{{{entries}}}".encode()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    with pytest.raises(CheckpointError, match=r"its header would have .* more than 1,048,576"):
        load_checkpoint(folder)
    assert time.process_time() - began < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 20 * 1024  # KiB


def test_the_number_of_tensors_is_bounded_whatever_the_header_s_size(tmp_path):
    file = tmp_path / WEIGHTS
    for count in (MAX_TENSORS, MAX_TENSORS + 1):
        file.write_bytes(with_header({f"{i}": EMPTY for i in range(count)}))
        if count == MAX_TENSORS:
            assert len(read_tensors(file)) == count
        else:
            with pytest.raises(CheckpointError, match=r"holds 4,097 tensors, more than 4,096"):
                read_tensors(file)


def entry(**change: object) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | change}


BAD_HEADERS = {
    "no JSON": b"{",
    "deep": b"[" * 100_000,
    "a list": [],
    "a tensor that is a number": {"a": 1},
    "no shape": {"a": {"dtype": "F32"}},
    "no type": {"a": {"shape": [1]}},
    "a type that is a list": entry(dtype=["F32"]),
    "an unknown type": entry(dtype="F" * 100_000),
    "a shape that is text": entry(shape="1"),
    "half a value": entry(shape=[0.5]),
    "a negative size": entry(shape=[-1]),
    "a true size": entry(shape=[True]),
    "a huge size": entry(shape=[2**63]),
    "sizes whose product is huge": entry(shape=[2**62, 2**62]),
    "many dimensions": entry(shape=[1] * 1000),
    "offsets beyond the file": entry(data_offsets=[0, 2**40], shape=[2**38]),
    "offsets that are text": entry(data_offsets="0,4"),
}


@pytest.mark.parametrize("case", BAD_HEADERS)
def test_a_wrong_header_is_one_short_sentence(case, tmp_path):
    (tmp_path / WEIGHTS).write_bytes(with_header(BAD_HEADERS[case], bytes(4)))
    with pytest.raises(CheckpointError) as caught:
        read_tensors(tmp_path / WEIGHTS)
    assert len(str(caught.value)) <= 300
    (tmp_path / WEIGHTS).write_bytes(with_header(entry(), bytes(4)))
    assert read_tensors(tmp_path / WEIGHTS)["a"].tolist() == [0]


def test_names_and_shapes_are_compared_before_any_number_is_read(folder):
    header = header_of(folder)
    header["surplus" + "x" * 500_000] = EMPTY
    (folder / WEIGHTS).write_bytes(with_header(header))  # without any numbers
    with pytest.raises(CheckpointError, match=r"surplus 'surplusx+ …'") as caught:
        load_checkpoint(folder)
    assert len(str(caught.value)) <= 300


def test_a_file_cut_after_a_sound_header_is_refused(folder):
    (folder / WEIGHTS).write_bytes(with_header(header_of(folder)))
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        load_checkpoint(folder)


def test_many_surplus_names_are_counted(folder):
    tensors = read_tensors(folder / WEIGHTS) | {f"more{i}": torch.ones(1) for i in range(50)}
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(CheckpointError, match="missing nothing, surplus 'more0' and 49 more"):
        load_checkpoint(folder)


def replace_by_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("file", ["config.json", WEIGHTS])
@pytest.mark.parametrize(
    "replace",
    [
        replace_by_a_pipe,
        replace_by_a_device,
        replace_by_a_folder,
        replace_by_a_link_to_itself,
    ],
)
def test_what_is_not_a_file_is_refused_and_never_read(folder, file, replace):
    replace(folder / file)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert len(str(caught.value)) <= 300


def test_a_link_to_a_file_is_read(folder, tmp_path):
    (folder / WEIGHTS).rename(tmp_path / "blob")
    (folder / WEIGHTS).symlink_to(tmp_path / "blob")
    load_checkpoint(folder)


def test_a_text_is_read_to_its_limit_and_no_further(tmp_path):
    file = tmp_path / "text"
    file.write_text("x" * 2**20)
    assert len(read_text(file, 2**20)) == 2**20
    file.write_text("x" * (2**20 + 1))
    with pytest.raises(CheckpointError, match="larger than 1 MiB"):
        read_text(file, 2**20)
