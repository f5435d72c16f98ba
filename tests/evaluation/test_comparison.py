"""The comparison: which settings it holds, what its tables say, and all of it once in small."""

import importlib
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import benchmarks.quality as benchmark
from benchmarks import levels
from dale_demo import paper
from dale_demo.checkpoint import folder as checkpoint
from dale_demo.data import CLASS_NAMES, Dataset, PositiveMap
from dale_demo.evaluation import classifier, metrics
from dale_demo.evaluation import comparison as quality
from dale_demo.evaluation.comparison import (
    CALLS,
    Comparison,
    additive_methods,
    our_methods,
    paper_methods,
)
from dale_demo.evaluation.evaluate import described
from dale_demo.evaluation.report import Report
from dale_demo.evaluation.trade_off import from_json
from dale_demo.network import UNetConfig
from tests.test_data import write_idx
from tests.tiny_network import save_tiny

page = importlib.import_module("dale_demo.ui.sample.trade_off")
DIGITS = CLASS_NAMES["mnist"]


def test_ours_take_the_calls_that_are_promised():
    for methods, lines in ((our_methods(), 5), (additive_methods(), 4)):
        calls = {}
        for method in methods:
            calls.setdefault(method.name, []).append(method.settings.network_evaluations)
        assert len(calls) == lines
        for several in calls.values():
            assert all(most - 1 <= n <= most for n, most in zip(several, CALLS, strict=True))
        assert all(m.settings.noise_level == 8 and m.settings.guidance == 1 for m in methods)
        assert not any(method.slow for method in methods)


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist", "kmnist-10k"])
def test_the_papers_settings_are_the_papers(dataset):
    methods = paper_methods(dataset)
    assert all(m.slow and m.settings.steps == 1000 and not m.settings.tweedie for m in methods)
    assert {(m.settings.noise_level, m.settings.grid) for m in methods} == {(0.8, "uniform")}
    found = {(m.kind, m.settings.sampler, m.settings.start): m.settings for m in methods}
    assert len(found) == len(methods) == 8
    for (kind, sampler, _), settings in found.items():
        expected = (None, 1, 1.0)
        if kind == "annealed":
            expected = paper.ANNEALED[paper.known_as(dataset), sampler]
        assert (settings.step_size, settings.repeats, settings.annealing) == expected
    assert [m.kind for m in paper_methods("folder:x")] == ["paper"] * 4, "no constants there"


def test_labels_go_round_all_classes_and_few_are_the_first_of_many():
    method = our_methods()[0]
    many, few = method.drawing(3, 300), method.drawing(3, 30)
    assert many.labels[:30] == few.labels
    assert [many.labels.count(k) for k in range(3)] == [100] * 3
    assert replace(many, labels=few.labels) == few


def record(settings, frechet):
    measures = {name: {"value": 0.5, "error": 0.1} for name in ("kernel", "precision", "recall")}
    return {
        "settings": described(settings),
        "calls": settings.network_evaluations,
        "seconds": 30.0,
        "hardware": "two cores",
        "class_accuracy": {"share": 0.9, "interval": [0.8, 0.95], "hits": 9, "count": 10},
        "frechet": {"value": frechet, "error": 0.01},
        **measures,
    }


@pytest.fixture
def comparison():
    """Two methods measured on ten pictures, one of them on a hundred, and their floors."""
    one, two = our_methods()[0], paper_methods("mnist")[0]
    floors = [
        record(one.drawing(2, n), 0.1) | {"pictures": n, "conditional": True} for n in (10, 100)
    ]
    done = [record(one.drawing(2, 10), 0.2), record(two.drawing(2, 10), 0.4)]
    report = Report("net", "hash", floors, [*done, record(one.drawing(2, 100), 0.15)])
    return Comparison("mnist", 2, [(one, report), (two, report)], report, {"ours": 7})


def test_each_number_of_pictures_has_a_table_with_its_floor(comparison):
    few, many = comparison.table(10).splitlines(), comparison.table(100).splitlines()
    assert len(few) == 2 + 3
    assert len(many) == 2 + 2
    assert few[2].startswith(
        "| multistep (DPM-Solver++) | exact | 10 | 30 | 90.0% (80.0% to 95.0%)"
    )
    assert "| 2.00 | 0.20 ± 0.01 | 500.00 ± 100.00 |" in few[2]
    assert few[3].startswith("| Dale–Langevin, paper | fitted | 1,000 |")
    assert "| 4.00 |" in few[3]
    assert "| 1.50 |" in many[2]
    assert few[4].startswith("| real pictures, the floor | — |")
    with pytest.raises(ValueError, match="floor of 5 pictures has not been measured"):
        comparison.table(5)


def test_the_trade_off_holds_the_same_numbers(comparison):
    curve = comparison.trade_off(10)
    assert (curve.pictures, curve.floor, curve.hardware) == (10, 0.1, "two cores")
    assert curve.seen == {"ours": 7}
    ours, theirs = map(asdict, curve.points)
    assert (ours["kind"], ours["calls"], ours["seconds"], ours["frechet"]) == ("ours", 10, 3.0, 0.2)
    assert (theirs["kind"], theirs["start"], theirs["calls"]) == ("paper", "fitted", 1000)
    assert len(comparison.trade_off(100).points) == 1
    comparison.ours.evaluations[1]["hardware"] = "another machine"
    ours, theirs = comparison.trade_off(10).points
    assert (ours.seconds, theirs.seconds) == (3.0, None)
    assert theirs.calls == 1000


def save_network(folder, positive_map=PositiveMap.SHIFT):
    """Ten classes of 8×8 pictures."""
    network = UNetConfig(image_size=8, num_classes=10, width=16, multipliers=(1,))
    return save_tiny(
        folder, dataset="mnist", class_names=DIGITS, network=network, positive_map=positive_map
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Tiny stand-ins for the bundled network, its classifier, MNIST and the pages' folder."""
    random = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 30)):
        raw, labels = tmp_path / "data" / "MNIST" / "raw", np.arange(count, dtype=np.uint8) % 10
        images = random.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", labels)
    save_network(tmp_path / "nets" / "mnist")
    save_network(tmp_path / "additive", PositiveMap.EXP)
    data = Dataset("mnist", torch.zeros(1, 1, 8, 8), torch.zeros(1), DIGITS)
    judge = classifier.new_classifier(data).eval()
    classifier.save_classifier(tmp_path / "judges" / "mnist", judge, judge.config)
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path / "nets")
    monkeypatch.setattr(classifier, "CLASSIFIERS", tmp_path / "judges")
    monkeypatch.setenv("DALE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    monkeypatch.setattr(metrics, "RESAMPLES", 2)
    monkeypatch.setattr(quality, "CALLS", (4,))
    return tmp_path


def invoke(*arguments, command=benchmark.main):
    return CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)


def test_the_whole_comparison_in_small(place, monkeypatch):
    options = ("--quick", "--additive", place / "additive", "--json", place / "r.json", "--store")
    printed = invoke("--dataset", "mnist", *options).stdout
    few, many = (part.strip().split("\n\n")[0] for part in printed.split(" pictures\n")[1:])
    quick = len(our_methods()) + len(additive_methods())
    assert len(few.splitlines()) == 2 + quick + len(paper_methods("mnist")) + 1
    assert len(many.splitlines()) == 2 + quick + 1
    assert "parameters" in printed

    ours, other = (json.loads((place / name).read_text()) for name in ("r.json", "r-additive.json"))
    assert [floor["pictures"] for floor in ours["floors"]] == [4, 8]
    assert len(other["evaluations"]) == 2 * len(additive_methods())
    assert {r["settings"]["count"] for r in other["evaluations"]} == {4, 8}
    curves = from_json((place / "trade-off-mnist.json").read_text())
    assert [(c.pictures, len(c.points)) for c in curves] == [(4, quick + 8), (8, quick)]
    assert (place / "trade-off-mnist.svg").read_text().startswith("<svg")

    monkeypatch.setattr(benchmark, "sample", lambda *_: pytest.fail("measured again"))
    again = invoke("--dataset", "mnist", *options)
    assert again.stdout == printed


def test_an_interrupted_comparison_tells_what_it_has_and_goes_on(place, monkeypatch):
    options = ("--quick", "--json", place / "r.json", "--store")
    asked, sample = [], benchmark.sample

    def sample_twice(*arguments):
        asked.append(arguments)
        if len(asked) > 2:
            raise KeyboardInterrupt
        return sample(*arguments)

    monkeypatch.setattr(benchmark, "sample", sample_twice)
    printed = invoke(*options).stdout
    assert printed.count(" pictures\n") == 2
    assert "multistep" in printed
    assert "Heun" not in printed
    curves = from_json((place / "trade-off-mnist.json").read_text())
    assert [(c.pictures, len(c.points)) for c in curves] == [(4, 2), (8, 2)]

    monkeypatch.setattr(benchmark, "sample", sample)
    invoke(*options)
    curves = from_json((place / "trade-off-mnist.json").read_text())
    assert [(c.pictures, len(c.points)) for c in curves] == [(4, 13), (8, 5)]


def test_first_pictures_of_many_are_measured_as_few_are(place):
    """A report made with few pictures only agrees with that of the first of many."""
    records = {}
    for name, counts in (("both", (8, 4)), ("few", (4,))):
        judge = classifier.load_classifier(place / "judges" / "mnist", "cpu")
        network = benchmark.Network.open("mnist", PositiveMap.SHIFT, judge, None, "cpu")
        reference = benchmark.Reference(judge, *benchmark.load_split("mnist", place / "data"))
        missing = network.missing(our_methods()[3], counts)
        network.measure(missing, reference, 3, lambda step: None)
        records[name] = network.report.evaluations[-1]
    for measure in ("settings", "frechet", "precision", "pixel_law", "class_accuracy"):
        assert records["both"][measure] == records["few"][measure]


def test_the_loss_of_quality_by_noise_level(place, monkeypatch):
    """A walk from almost no noise returns the training pictures that it began with."""
    monkeypatch.setattr(levels, "LEVELS", (0.0021, 2.0))
    options = ("--num-images", 12, "--steps", 2, "--batch-size", 5)
    printed = invoke(*options, command=levels.main).stdout
    rows = [row.split("|") for row in printed.splitlines() if row.startswith("| ")][2:]
    assert [row[1].strip() for row in rows] == ["0.0021", "2", "not noised"]
    near, far, _ = (float(row[-2].split()[0]) for row in rows)  # to the nearest training picture
    assert near < 0.1
    assert far > 1


def test_a_network_of_the_other_map_is_refused(place):
    with pytest.raises(ValueError, match="trained with --map exp; --map shift is needed"):
        invoke("--dataset", place / "additive", "--quick")
    with pytest.raises(ValueError, match="trained with --map shift; --map exp is needed"):
        invoke("--quick", "--additive", place / "nets" / "mnist")
