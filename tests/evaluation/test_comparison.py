"""The comparison of samplers: its methods, its table and curves, and the benchmark in small."""

import importlib
import json
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import benchmarks.quality as benchmark
from benchmarks import levels
from dale_demo.checkpoint import folder as checkpoint
from dale_demo.data import Dataset, PositiveMap
from dale_demo.datasets import DATASETS
from dale_demo.evaluation import classifier, comparison, metrics
from dale_demo.evaluation.trade_off import from_json
from dale_demo.network import UNetConfig
from tests.test_data import write_idx
from tests.tiny_network import save_tiny

page = importlib.import_module("dale_demo.ui.sample.trade_off")
DIGITS = DATASETS["mnist"].class_names


def of_kind(kind, dataset="mnist"):
    return [method for method in comparison.all_methods(dataset) if method.kind == kind]


@pytest.mark.parametrize(("kind", "samplers"), [("ours", 5), ("additive", 4)])
def test_quick_methods_take_the_network_evaluations_that_are_promised(kind, samplers):
    methods, evaluations = of_kind(kind), {}
    for method in methods:
        evaluations.setdefault(method.label, []).append(method.settings.network_evaluations)
    assert len(evaluations) == samplers
    for several in evaluations.values():
        assert all(n - 1 <= e <= n for e, n in zip(several, comparison.BUDGETS, strict=True))
    assert all(m.settings.noise_level == 8 and m.settings.guidance == 1 for m in methods)
    assert all(method.network == kind and not method.slow for method in methods)


def test_training_and_sampling_can_be_told_apart():
    """The same settings on both networks: ours and the paper's, from the paper's noise level."""
    methods = comparison.all_methods("mnist")
    ours, paper = (
        [m.settings for m in methods if m.network == network and m.settings.noise_level == 0.8]
        for network in ("ours", "paper")
    )
    of_dale_langevin = [s for s in ours if s.sampler != "unconstrained"]
    assert paper == of_dale_langevin
    narrow = of_kind("narrow")
    assert len(narrow) == 4
    assert all(m.settings.network_evaluations == 20 and not m.slow for m in narrow)
    assert {m.settings.start for m in narrow} == {"exact", "class-averaged"}
    assert all(m.slow and m.network == "paper" for m in of_kind("recipe"))


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist", "kmnist-10k"])
def test_the_papers_settings_are_the_papers(dataset):
    methods = comparison.paper_methods(dataset)
    assert all(m.slow and m.settings.steps == 1000 and not m.settings.tweedie for m in methods)
    assert {(m.settings.noise_level, m.settings.grid) for m in methods} == {(0.8, "uniform")}
    found = {(m.kind, m.settings.sampler, m.settings.start): m.settings for m in methods}
    assert len(found) == len(methods) == 8
    for (kind, sampler, start), settings in found.items():
        expected = (None, 1, 1.0)
        if kind == "annealed":
            expected = astuple(DATASETS[dataset].annealed_from(start)[sampler])
        assert (settings.step_size, settings.repeats, settings.annealing) == expected
    from_noise, from_averages = (
        found["annealed", "unconstrained", start].step_size for start in comparison.STARTS
    )
    assert (from_noise == from_averages) == (dataset == "mnist")
    unknown = comparison.paper_methods("folder:x")
    assert [m.kind for m in unknown] == ["paper"] * 4, "no constants there"


def test_every_label_is_one_curve_of_one_network():
    labels = {}
    for method in comparison.all_methods("mnist"):
        key = (method.network, method.kind, method.settings.sampler)
        assert labels.setdefault(method.label, key) == key


def test_labels_go_round_all_classes_and_few_are_the_first_of_many():
    method = comparison.all_methods("mnist")[0]
    many, few = method.with_labels(3, 300), method.with_labels(3, 30)
    assert many.labels[:30] == few.labels
    assert [many.labels.count(k) for k in range(3)] == [100] * 3
    assert replace(many, labels=few.labels) == few


def record(method, frechet):
    measures = {name: {"value": 0.5, "error": 0.1} for name in ("kernel", "precision", "recall")}
    return {
        "calls": method.settings.network_evaluations,
        "seconds": 30.0,
        "hardware": "two cores",
        "class_accuracy": {"share": 0.9, "interval": [0.8, 0.95], "hits": 9, "count": 10},
        "frechet": {"value": frechet, "error": 0.01},
        **measures,
    }


@pytest.fixture
def results():
    """Two methods measured on ten images."""
    one, two = comparison.all_methods("mnist")[0], comparison.paper_methods("mnist")[0]
    return [(one, record(one, 0.2)), (two, record(two, 0.4))]


@pytest.fixture
def floor(results):
    return record(results[0][0], 0.1) | {"pictures": 10, "conditional": True}


def test_the_table_ends_with_the_floor(results, floor):
    rows = comparison.table(results, floor).splitlines()
    assert len(rows) == 2 + 3
    assert rows[2].startswith(
        "| multistep: DPM-Solver++(2M) | exact | 10 | 30 | 90.0% (80.0% to 95.0%)"
    )
    assert "| 2.00 | 0.20 ± 0.01 | 500.00 ± 100.00 |" in rows[2]
    assert rows[3].startswith("| dale-langevin: Euler–Maruyama in ln x, paper’s settings | fitted ")
    assert "| 1,000 |" in rows[3]
    assert "| 4.00 |" in rows[3]
    assert rows[4].startswith("| real images, the floor | — |")
    assert "| 1.00 | 0.10 ± 0.01 |" in rows[4]


def test_the_trade_off_holds_the_same_numbers(results, floor):
    measured = comparison.trade_off("mnist", results, floor, {"ours": 7})
    assert (measured.images, measured.floor, measured.hardware) == (10, 0.1, "two cores")
    assert (measured.dataset, measured.images_seen) == ("mnist", {"ours": 7})
    ours, theirs = measured.points
    assert (ours.kind, ours.network_evaluations, ours.seconds, ours.frechet) == ("ours", 10, 3, 0.2)
    assert (theirs.kind, theirs.start, theirs.network_evaluations) == ("paper", "fitted", 1000)
    results[1][1]["hardware"] = "another machine"
    ours, theirs = comparison.trade_off("mnist", results, floor, {}).points
    assert (ours.seconds, theirs.seconds) == (3.0, None)
    assert theirs.network_evaluations == 1000


def save_network(folder, positive_map=PositiveMap.SHIFT, **fields):
    """A network of ten classes of 8×8 images."""
    network = UNetConfig(image_size=8, num_classes=10, width=16, multipliers=(1,))
    fields |= {"dataset": "mnist", "class_names": DIGITS, "positive_map": positive_map}
    return save_tiny(folder, network=network, **fields)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Tiny stand-ins for the bundled network, its classifier, MNIST and the folder of the page."""
    random = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 30)):
        raw, labels = tmp_path / "data" / "MNIST" / "raw", np.arange(count, dtype=np.uint8) % 10
        images = random.integers(0, 256, (count, 8, 8), dtype=np.uint8)
        write_idx(raw / f"{part}-images-idx3-ubyte", images)
        write_idx(raw / f"{part}-labels-idx1-ubyte", labels)
    save_network(tmp_path / "nets" / "mnist")
    save_network(tmp_path / "additive", PositiveMap.EXP)
    save_network(tmp_path / "paper", training={"settings": {"recipe": "paper"}})
    data = Dataset("mnist", torch.zeros(1, 1, 8, 8), torch.zeros(1), DIGITS)
    untrained = classifier.new_classifier(data).eval()
    classifier.save_classifier(tmp_path / "classifiers" / "mnist", untrained, untrained.config)
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path / "nets")
    monkeypatch.setattr(classifier, "CLASSIFIERS", tmp_path / "classifiers")
    monkeypatch.setenv("DALE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    monkeypatch.setattr(metrics, "RESAMPLES", 2)
    monkeypatch.setattr(comparison, "BUDGETS", (4,))
    return tmp_path


def invoke(*arguments, command=benchmark.main):
    return CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)


def stored(place):
    """Number of images → number of points, as the page would show them."""
    curves = from_json((place / "trade-off-mnist.json").read_text())
    return [(curve.images, len(curve.points)) for curve in curves]


def test_the_whole_comparison_in_small(place, monkeypatch):
    options = ("--quick", "--additive", place / "additive", "--recipe-paper", place / "paper")
    options += ("--json", place / "r.json", "--store")
    printed = invoke("--dataset", "mnist", *options).stdout
    few, many = (part.strip().split("\n\n")[0] for part in printed.split(" images\n")[1:])
    methods = comparison.all_methods("mnist")
    quick = sum(not method.slow for method in methods)
    assert len(few.splitlines()) == 2 + len(methods) + 1
    assert len(many.splitlines()) == 2 + quick + 1
    assert "parameters" in printed

    ours, other = (json.loads((place / name).read_text()) for name in ("r.json", "r-additive.json"))
    assert [floor["pictures"] for floor in ours["floors"]] == [4, 8]
    assert len(other["evaluations"]) == 2 * len(of_kind("additive"))
    assert {r["settings"]["count"] for r in other["evaluations"]} == {4, 8}
    assert stored(place) == [(4, len(methods)), (8, quick)]
    assert (place / "trade-off-mnist.svg").read_text().startswith("<svg")

    monkeypatch.setattr(benchmark, "sample", lambda *_: pytest.fail("measured again"))
    again = invoke("--dataset", "mnist", *options)
    assert again.stdout == printed


def test_an_interrupted_comparison_prints_what_it_has_and_resumes(place, monkeypatch):
    options = ("--quick", "--json", place / "r.json", "--store")
    asked, sample = [], benchmark.sample

    def interrupted(*arguments):
        asked.append(arguments)
        if len(asked) > 3:  # one method on both numbers of images, and another on the first
            raise KeyboardInterrupt
        return sample(*arguments)

    monkeypatch.setattr(benchmark, "sample", interrupted)
    printed = invoke(*options).stdout
    assert printed.count(" images\n") == 2
    assert "multistep" in printed
    assert "Heun" not in printed
    assert stored(place) == [(4, 2), (8, 1)]

    monkeypatch.setattr(benchmark, "sample", sample)
    invoke(*options)
    assert stored(place) == [(4, 15), (8, 7)]


def test_the_loss_of_quality_by_noise_level(place, monkeypatch):
    """A run from almost no noise returns the training images that it started from."""
    monkeypatch.setattr(levels, "LEVELS", (0.0021, 2.0))
    options = ("--num-images", 12, "--steps", 2, "--batch-size", 5)
    printed = invoke(*options, command=levels.main).stdout
    rows = [row.split("|") for row in printed.splitlines() if row.startswith("| ")][2:]
    assert [row[1].strip() for row in rows] == ["0.0021", "2", "not noised"]
    near, far, _ = (float(row[-2].split()[0]) for row in rows)  # to the nearest training image
    assert near < 0.1
    assert far > 1


def test_a_network_of_the_other_map_is_refused(place):
    with pytest.raises(ValueError, match="trained with --map exp; --map shift is needed"):
        invoke("--dataset", place / "additive", "--quick")
    with pytest.raises(ValueError, match="trained with --map shift; --map exp is needed"):
        invoke("--quick", "--additive", place / "nets" / "mnist")
