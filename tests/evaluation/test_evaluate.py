"""Evaluations: what they report, their floor, the same images in any number of processes."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from dale_demo.checkpoint.folder import find_checkpoint, load_checkpoint, speed_up
from dale_demo.checkpoint.results import distances
from dale_demo.data import Dataset
from dale_demo.evaluation import classifier, metrics
from dale_demo.evaluation import evaluate as evaluation
from dale_demo.evaluation.evaluate import Reference
from dale_demo.evaluation.report import Report
from dale_demo.sampling import SamplingSettings, cycle_labels, sample_images
from tests.conftest import ROOT
from tests.tiny_network import save_tiny

SETTINGS = SamplingSettings(steps=3, labels=cycle_labels((0, 1, 2), 8), guidance=2.0)


def real(count: int, seed: int) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 8, 8), generator=generator).to(torch.uint8)
    return Dataset("tiny", images, torch.arange(count) % 3, ("a", "b", "c"))


@pytest.fixture
def network(tmp_path):
    return load_checkpoint(save_tiny(tmp_path / "net"))


def sped_up(network, compiled=False, bf16=False):
    speed_up(network, compiled, bf16)
    return network


@pytest.fixture
def untrained():
    """A classifier with random weights."""
    return classifier.new_classifier(real(1, 0)).eval()


@pytest.fixture
def reference(untrained):
    return Reference(untrained, real(60, 1), real(30, 2))


def test_an_evaluation_reports_what_was_measured(network, untrained, reference):
    images, seconds = evaluation.sample(network, SETTINGS, batch_size=3)
    record = evaluation.measure(network, untrained, SETTINGS, images, seconds, reference)
    assert json.loads(json.dumps(record))["settings"]["sampler"] == "multistep-bridge"
    assert "labels" not in record["settings"]
    assert "tweedie_steps" not in record["settings"], "as in records made before there were any"
    assert (record["settings"]["count"], record["settings"]["conditional"]) == (8, True)
    assert record["calls"] == 2 * 3
    assert record["seconds"] == round(seconds, 2) > 0
    assert {k: v["count"] for k, v in record["per_class"].items()} == {"a": 3, "b": 3, "c": 2}

    assert (images == sample_images(network, SETTINGS, batch_size=8)).all()
    tensors = torch.from_numpy(images).permute(0, 3, 1, 2)
    recognised = (untrained.predict(tensors) == torch.tensor(SETTINGS.labels)).double().mean()
    assert record["class_accuracy"]["share"] == pytest.approx(recognised.item())
    features, test = untrained.describe(tensors), untrained.describe(reference.test.images)
    assert record["frechet"]["value"] == metrics.FrechetDistance(test)(features)
    assert record["precision"]["value"] == metrics.precision_recall(features, test)[0].value


def test_a_network_in_bfloat16_samples_nearly_the_same_images():
    settings = SamplingSettings(steps=3, labels=cycle_labels(range(10), 5))
    exact, narrow = (
        evaluation.sample(sped_up(load_checkpoint(find_checkpoint("mnist")), bf16=bf16), settings)
        for bf16 in (False, True)
    )
    errors = np.abs(exact[0].astype(int) - narrow[0])
    assert errors.max() > 0, "bfloat16 rounds"
    assert errors.mean() < 0.5, "by less than half a grey level"


def test_a_record_says_that_its_network_ran_in_bfloat16(network, untrained):
    images, seconds = evaluation.sample(network, SETTINGS)
    for bf16 in (False, True):
        record = evaluation.measure(
            sped_up(network, bf16=bf16), untrained, SETTINGS, images, seconds
        )
        assert ("bfloat16" in record["hardware"]) == bf16


def test_a_compiled_network_samples_the_same_images(network, monkeypatch):
    """Traced as for a long run, but without the minute in which C++ is generated and compiled."""
    unet = network.model.unet
    monkeypatch.setattr(unet, "compile", partial(unet.compile, backend="aot_eager"))
    plain, _ = evaluation.sample(network, SETTINGS)
    compiled, _ = evaluation.sample(sped_up(network, compiled=True), SETTINGS)
    assert unet._compiled_call_impl is not None
    assert np.abs(plain.astype(int) - compiled).max() <= 1


def test_without_classes_the_balance_is_that_of_the_test_images(network, untrained, reference):
    settings = replace(SETTINGS, labels=(-1,) * 6, guidance=1.0)
    images, seconds = evaluation.sample(network, settings)
    record = evaluation.measure(network, untrained, settings, images, seconds, reference)
    assert "class_accuracy" not in record
    seen = untrained.predict(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert record["imbalance"] == metrics.imbalance(seen, reference.test.labels, 3)
    mixed = replace(settings, labels=(-1, 0, 1, 2, 0, 1))
    with pytest.raises(ValueError, match="have a class, or none"):
        evaluation.measure(network, untrained, mixed, images, seconds)


def test_the_floor_is_that_of_real_images(untrained):
    data = real(60, 1)
    same = Reference(untrained, data, data)
    floor = same.floor(60, conditional=True)
    assert floor["frechet"]["value"] == pytest.approx(0, abs=1e-6)
    assert floor["precision"]["value"] == floor["recall"]["value"] == 1
    assert floor["pictures"] == 60
    other = Reference(untrained, data, real(30, 2)).floor
    floor = other(40, conditional=True)
    assert floor["frechet"]["value"] > 0
    assert floor == other(40, conditional=True)
    expected, _ = metrics.nearest(real(30, 2).images, data.images)
    assert floor["nearest_training"]["median"] == pytest.approx(expected.median().item(), rel=0.1)


def test_the_floor_has_as_many_images_of_each_class_as_the_samples(untrained):
    """Of unequal classes, real images in turn are further from the test images than at random."""
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 30)
    images = (40 * labels.reshape(-1, 1, 1, 1) + real(120, 1).images // 8).to(torch.uint8)
    uneven = Dataset("tiny", images, labels, ("a", "b", "c"))
    reference = Reference(untrained, uneven, uneven)
    some = reference.some_training(45, in_turn=True).labels
    assert some.reshape(15, 3).sort(1).values.eq(torch.arange(3)).all(), "they go round"
    assert reference.some_training(120, in_turn=True).labels.bincount().tolist() == [60, 30, 30]
    assert reference.some_training(120).labels[:90].bincount()[0] > 40, "at random they do not"
    in_turn, mixed = (reference.floor(90, conditional=c) for c in (True, False))
    assert (in_turn["conditional"], mixed["conditional"]) == (True, False)
    assert in_turn["frechet"]["value"] > 3 * mixed["frechet"]["value"]


def test_neighbours_of_training_images_are_themselves(reference):
    own = reference.train.images[[5, 7]].permute(0, 2, 3, 1).numpy()
    sheet = reference.neighbours(own)
    rows = [sheet[2 + 10 * i : 10 + 10 * i] for i in range(3)]
    assert (rows[0] == rows[1]).all()
    assert (rows[0] == rows[2]).all()
    strangers = reference.test.images[[5, 7]].permute(0, 2, 3, 1).numpy()
    assert (reference.neighbours(strangers)[2:10] != rows[1]).any()


def test_images_are_saved(network, reference, tmp_path):
    images, _ = evaluation.sample(network, SETTINGS)
    evaluation.save_images(tmp_path / "saved", images, SETTINGS, reference)
    with np.load(tmp_path / "saved" / "multistep-bridge-3-8-2.npz") as arrays:
        assert (arrays["images"] == images).all()
        assert arrays["labels"].tolist() == list(SETTINGS.labels)
    assert (tmp_path / "saved" / "multistep-bridge-3-8-2-neighbours.png").stat().st_size > 100


def test_a_report_resumes_where_it_stopped(network, untrained, tmp_path):
    folder, file = tmp_path / "net", tmp_path / "report.json"
    runs = [replace(SETTINGS, steps=steps) for steps in (2, 3)]
    report = Report.resume("net", folder, file)
    assert report.missing(runs) == runs
    images, seconds = evaluation.sample(network, runs[0])
    report.evaluations.append(evaluation.measure(network, untrained, runs[0], images, seconds))
    report.save(file)

    again = Report.resume("net", folder, file)
    assert again.to_markdown() == report.to_markdown()
    assert again.missing(runs) == runs[1:]
    assert again.missing([replace(runs[0], labels=runs[0].labels[:5])]), "fewer images"
    assert again.missing([replace(runs[0], tweedie_steps=1)])
    assert "| multistep-bridge | 2 | 4 |" in again.to_markdown()

    other = save_tiny(tmp_path / "other", channels=3)
    with pytest.raises(ValueError, match="report of another network"):
        Report.resume("other", other, file)
    with pytest.raises(ValueError, match="features of a classifier, not of Inception"):
        Report.resume("net", folder, file, "Inception")
    with pytest.raises(ValueError, match=r"end at noise level 0.005, not at 0.02"):
        Report.resume("net", folder, file, min_noise_level=0.02)
    file.write_text("[]")
    with pytest.raises(ValueError, match="holds no report"):
        Report.resume("net", folder, file)


def test_a_report_reads_the_former_name_of_the_lowest_noise_level(network, tmp_path):
    file = tmp_path / "report.json"
    Report.resume("net", tmp_path / "net", file, min_noise_level=0.02).save(file)
    text = file.read_text()
    assert '"min_noise_level": 0.02' in text
    file.write_text(text.replace("min_noise_level", "last_level"))
    assert (
        Report.resume("net", tmp_path / "net", file, min_noise_level=0.02).min_noise_level == 0.02
    )


WORKER = """
import os
import sys
from pathlib import Path
import numpy as np
from accelerate import PartialState
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.evaluation.evaluate import sample
from dale_demo.training.distributed import leave
from dale_demo.sampling import SamplingSettings

folder, out, port = sys.argv[1:]
child = os.fork()  # two processes for one import of PyTorch
rank = "1" if child == 0 else "0"
os.environ |= {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
state = PartialState(cpu=True)
settings = SamplingSettings(steps=3, labels=(0, 1, 2, 0, 1, 2, 0, 1), guidance=2.0)
images, _ = sample(load_checkpoint(folder), settings, batch_size=2)
np.save(f"{out}-{state.process_index}-of-{state.num_processes}", images)
tasks = Path("/proc/self/task")  # Linux names every thread there
talking = lambda: [name for name in tasks.glob("*/comm") if "gloo" in name.read_text()]
assert talking() or not tasks.exists()
leave()
assert not talking(), "a thread that is still there when Python ends crashes it"
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="needs torch.distributed")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_two_processes_sample_the_same_images(network, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [tmp_path / "net", tmp_path / "images", port]
    done = subprocess.run(
        [sys.executable, "-c", WORKER, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=270,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    alone = sample_images(network, SETTINGS, batch_size=8).astype(int)
    for rank in range(2):
        shared = np.load(tmp_path / f"images-{rank}-of-2.npy")
        assert np.abs(shared - alone).max() <= 1, "up to the last bit of float arithmetic"


def sound_report(network, untrained, folder):
    report = Report.resume("net", folder, None)
    images, seconds = evaluation.sample(network, SETTINGS)
    report.evaluations.append(evaluation.measure(network, untrained, SETTINGS, images, seconds))
    report.floors.append({"pictures": 8, "conditional": True})
    return json.loads(json.dumps(vars(report)))


DAMAGES = {
    "no JSON": "{",
    "deep": "[" * 100_000,
    "a number": "5",
    "null": "null",
    "not UTF-8": b"\xff\xfe",
    **{
        f"{key} {str(value)[:20]}": {key: value}
        for key, value in (
            *((key, bad) for key in ("checkpoint", "weights", "features") for bad in (5, None, "")),
            *(("min_noise_level", bad) for bad in ("a", None, True, -1, 10**400)),
            *(("floors", bad) for bad in (5, None, "a", {}, ["a"], [5], [{}], [{"pictures": []}])),
            *(("evaluations", bad) for bad in (5, None, "a", {}, [5], [{}], [{"settings": 5}])),
            ("evaluations", [{"settings": {"sampler": "bridge"}}]),
            ("unknown", 1),
            ("weights", ...),
        )
    },
}


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_report_is_refused(change, network, untrained, tmp_path):
    file = tmp_path / "report.json"
    sound = sound_report(network, untrained, tmp_path / "net")
    file.write_text(json.dumps(sound))
    assert Report.resume("net", tmp_path / "net", file).find(SETTINGS), "sound, it is read"
    if isinstance(change, dict):
        change = json.dumps({k: v for k, v in (sound | change).items() if v is not ...})
    file.write_bytes(change if isinstance(change, bytes) else change.encode())
    with pytest.raises(ValueError, match=r"holds no report|cannot be read") as refusal:
        Report.resume("net", tmp_path / "net", file)
    assert len(str(refusal.value)) <= 300


def test_a_report_that_is_no_file_or_too_large_is_refused(network, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(ValueError, match="a pipe or a device"):
            Report.resume("net", tmp_path / "net", tmp_path / name)
    (tmp_path / "large").write_bytes(b" " * (16 * 2**20 + 1))
    with pytest.raises(ValueError, match="is larger than 16 MiB"):
        Report.resume("net", tmp_path / "net", tmp_path / "large")


MEASURES = {"frechet", "kernel", "precision", "recall"}


@pytest.mark.parametrize(
    ("count", "real_count", "missing"),
    [
        (1, 30, MEASURES),
        (30, 1, MEASURES),
        (3, 30, {"precision", "recall"}),
        (30, 3, {"precision", "recall"}),
        (4, 4, set()),
    ],
)
def test_of_few_images_the_rest_is_measured(count, real_count, missing, untrained):
    reference = Reference(untrained, real(9, 1), real(real_count, 2))
    record = reference.compare(real(count, 3).images, real(count, 3).labels)
    assert MEASURES - record.keys() == missing
    assert {"pixel_law", "imbalance", "nearest_training"} < record.keys()
    assert all(record[name]["error"] > 0 for name in MEASURES - missing)
    told = metrics.needs(count, real_count)
    assert [name for name in ("Fréchet", "kernel", "precision", "recall") if name in told] == [
        title
        for title, name in zip(
            ("Fréchet", "kernel", "precision", "recall"),
            ("frechet", "kernel", "precision", "recall"),
            strict=True,
        )
        if name in missing
    ]


def test_images_without_spread_have_no_distance_of_zero_give_or_take_nothing(untrained):
    same = real(1, 1).images.expand(10, -1, -1, -1)
    data = replace(real(10, 1), images=same)
    record = Reference(untrained, data, data).compare(same, data.labels)
    assert not {"frechet", "kernel"} & record.keys()


def test_a_small_error_is_not_shown_as_zero():
    small = {"frechet": {"value": 0.003, "error": 0.0012}}
    assert next(distances(small)) == "3.0e-03 ± 1.2e-03"
    assert next(distances({"frechet": {"value": 0.3, "error": 0.02}})) == "0.30 ± 0.02"
