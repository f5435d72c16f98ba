"""Damaged files of the other kinds: reports, IDX data, image folders, classifiers, states."""

import gzip
import json
import shutil
import struct
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from dale_demo import training
from dale_demo.checkpoint.files import CONFIG_FILE, CheckpointError
from dale_demo.data import DataError, Dataset, load, load_split
from dale_demo.evaluation import classifier as classifiers
from dale_demo.evaluation.report import Report
from dale_demo.sampling import SamplingSettings
from dale_demo.training.config import TrainingConfig
from dale_demo.training.state import STATE_FILE
from tests.fuzz.harness import SEED, failures
from tests.fuzz.mutations import json_text, spoiled_bytes, spoiled_text, spoiled_tree
from tests.tiny_network import save_tiny

COUNT = 60
EVALUATION = {
    "settings": {
        "sampler": "bridge",
        "steps": 2,
        "noise_level": 8.0,
        "guidance": 1.0,
        "count": 40,
        "seed": 0,
        "grid": "karras",
        "start": "exact",
        "mu": None,
    },
    "calls": 2,
    "seconds": 1.5,
    "class_accuracy": {"share": 0.9, "interval": [0.8, 0.95], "count": 40},
    **{name: {"value": 0.1, "error": 0.01} for name in ("frechet", "kernel", "precision")},
    "recall": {"value": 0.5, "error": 0.1},
    "nearest_training": {"median": 2.0, "lowest_percent": 1.0},
}
FLOOR = {key: EVALUATION[key] for key in ("frechet", "kernel", "precision", "recall")}
KINDS = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""IDX's codes of its number types."""


def json_cases(tree: object, count: int = COUNT, seed: int = SEED) -> list[tuple[str, bytes]]:
    """Half of them with other fields, half damaged as text."""
    random, text = Random(seed), json_text(tree)
    fields = [json_text(spoiled_tree(random, tree)).encode() for _ in range(count // 2)]
    texts = [spoiled_text(random, text) for _ in range(count - count // 2)]
    return [(f"case {number}", data) for number, data in enumerate((*fields, *texts))]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def test_no_report_hurts(network, tmp_path):
    file = tmp_path / "report.json"
    empty = Report.resume("tiny", network, None)
    settings = SamplingSettings(sampler="bridge", steps=2)

    def attempt(data: bytes) -> None:
        file.write_bytes(data)
        report = Report.resume("tiny", network, file)
        assert report.missing([settings]) == [settings]
        report.floor(40, True)
        report.to_markdown().encode()
        report.save(file)

    floors = [{"pictures": 40, "conditional": True, **FLOOR}]
    whole = {
        "checkpoint": "tiny",
        "weights": empty.weights,
        "features": empty.features,
        "floors": floors,
        "evaluations": [EVALUATION],
        "min_noise_level": empty.min_noise_level,
    }
    assert not failures([("sound", json_text(whole).encode())], attempt, ())
    assert not (found := failures(json_cases(whole), attempt, (ValueError,))), "\n".join(found)


def idx(data: np.ndarray, code: int = 0x08, shape: tuple[int, ...] | None = None) -> bytes:
    """An IDX file, whose header may claim another type or shape."""
    sizes = data.shape if shape is None else shape
    head = struct.pack(f">HBB{len(sizes)}I", 0, code, len(sizes), *sizes)
    return head + data.astype(KINDS.get(code, "u1")).tobytes()


def idx_cases(seed: int = SEED) -> list[tuple[str, tuple[bytes, bytes]]]:
    """Damaged files, and sound ones of other types, shapes and lengths."""
    random, generator = Random(seed), np.random.default_rng(seed)
    pixels, classes = generator.integers(0, 256, (12, 8, 8)), np.arange(12) % 3
    images, labels = idx(pixels), idx(classes)
    found = [
        *((f"images of type {code:#x}", (idx(pixels, code), labels)) for code in (*KINDS, 0, 255)),
        *((f"labels of type {code:#x}", (images, idx(classes, code))) for code in (*KINDS, 0, 255)),
        ("labels that are not finite", (images, idx(classes * np.nan, 0x0D))),
        ("labels below 0", (images, idx(classes - 1, 0x09))),
        ("2³² images", (idx(pixels, shape=(2**32 - 1, 8, 8)), labels)),
        ("2⁹⁶ pixels", (idx(pixels, shape=(2**32 - 1,) * 3), labels)),
        ("no images", (idx(pixels[:0]), idx(classes[:0]))),
        ("no pixels", (idx(pixels[:, :0]), labels)),
        ("one image", (idx(pixels[:1]), idx(classes[:1]))),
        ("oblong", (idx(pixels[:, :4]), labels)),
        ("colour", (idx(np.repeat(pixels[..., None], 3, -1)), labels)),
        ("flat", (idx(pixels.reshape(12, 64)), labels)),
        ("200 axes", (idx(pixels, shape=(1,) * 200), labels)),
        ("exchanged", (labels, images)),
        ("packed", (gzip.compress(images), gzip.compress(labels))),
        ("an image file", (b"\x89PNG\r\n\x1a\n", labels)),
        ("empty", (b"", b"")),
    ]
    while len(found) < COUNT:
        files = (spoiled_bytes(random, images), labels)
        if random.random() < 0.4:
            files = (images, spoiled_bytes(random, labels))
        found.append((f"damaged {len(found)}", files))
    return found


def test_no_idx_file_hurts(tmp_path):
    files = tmp_path / "images", tmp_path / "labels"

    def attempt(contents: tuple[bytes, bytes]) -> None:
        for file, data in zip(files, contents, strict=True):
            file.write_bytes(data)
        data = load("idx:" + ",".join(map(str, files)))
        assert data.images.dtype == torch.uint8
        assert data.images.ndim == 4
        assert len(data.images) == len(data.labels)
        assert 0 <= data.labels.min() <= data.labels.max() < len(data.class_names)
        load_split(data.name)
        assert data.log_moments()[0].isfinite().all(), "moments that are not finite"
        assert data.fit_log_normal()

    found = failures(idx_cases(), attempt, (DataError,))
    assert not found, "\n".join(found)


def test_no_classifier_config_hurts(tmp_path):
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    made = classifiers.new_classifier(Dataset("letters", images, torch.arange(3), tuple("abc")))
    classifiers.save_classifier(tmp_path, made, made.config)
    text = (tmp_path / CONFIG_FILE).read_text()

    def attempt(data: bytes) -> None:
        (tmp_path / CONFIG_FILE).write_bytes(data)
        loaded = classifiers.load_classifier(tmp_path)
        assert loaded.predict(images).shape == (3,)

    tried = json_cases(json.loads(text))
    assert not (found := failures(tried, attempt, (CheckpointError,))), "\n".join(found)


def test_no_training_state_hurts(halves, tmp_path):
    config = TrainingConfig(images=32, batch_size=8, width=16, multipliers=(1,))
    run = training.train(halves, tmp_path / "run", config, report_every=1, cpu=True)
    next(run)
    run.close()
    data = (tmp_path / "run" / STATE_FILE).read_bytes()
    random, size = Random(SEED), int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    state = json.loads(header["__metadata__"]["state"])

    def with_state(text: str) -> bytes:
        whole = json_text(header | {"__metadata__": {"state": text}}).encode()
        return len(whole).to_bytes(8, "little") + whole + data[8 + size :]

    tried = [
        (f"state {n}", with_state(json_text(spoiled_tree(random, state))))
        for n in range(COUNT // 4)
    ]
    tried += [(f"bytes {number}", spoiled_bytes(random, data)) for number in range(COUNT // 6)]
    tried += [
        (f"no state {n[:9]}", with_state(n)) for n in ("", "[]", "3", "{", "[" * 100_000, "{}")
    ]
    assert not (found := failures(tried, _continuing(halves, config, tmp_path), (ValueError,))), (
        "\n".join(found)
    )


def _continuing(data: Dataset, config: TrainingConfig, root: Path):
    """Continue the run in a copy of its folder, for one batch."""

    def attempt(state: bytes) -> None:
        folder = root / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(root / "run", folder)
        (folder / STATE_FILE).write_bytes(state)
        run = training.train(data, folder, config, report_every=1, cpu=True)
        next(run, None)
        run.close()

    return attempt
