"""The command line, in this process and in real ones."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image, ImageSequence
from torch._inductor.exc import InvalidCxxCompiler

from dale_demo.__main__ import cli, main
from dale_demo.checkpoint.folder import load_checkpoint, load_config
from dale_demo.cli.options import sampling_settings
from dale_demo.cli.train import train as train_command
from dale_demo.data import Dataset, PositiveMap
from dale_demo.evaluation import classifier as classifiers
from dale_demo.training.config import TrainingConfig
from dale_demo.training.state import STATE_FILE
from tests.tiny_network import save_tiny


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def invoke(*arguments: object) -> str:
    """Run a command that must succeed; returns what it printed."""
    result = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def sample(network: Path, out: Path, *options: object) -> Path:
    invoke("sample", "--checkpoint", network, "--steps", 3, "--out", out, *options)
    return out


@pytest.fixture
def refused(monkeypatch, capsys):
    """Run a command that must fail; returns its one line on standard error."""

    def run(*arguments: object, lines: int = 1) -> str:
        monkeypatch.setattr(sys, "argv", ["dale_demo", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.lstrip().startswith("error: ")
        assert printed.err.count("\n") == lines
        return printed.err

    return run


def test_npz_of_grey_images(network, tmp_path):
    out = sample(network, tmp_path / "a.npz", "--labels", "2,0", "--num-images", 5)
    with np.load(out) as data:
        assert (data["images"].dtype, data["images"].shape) == (np.uint8, (5, 8, 8))
        assert data["labels"].dtype == np.int64
        assert data["labels"].tolist() == [2, 0, 2, 0, 2]


def test_npz_of_unconditional_colour_images(tmp_path):
    network = save_tiny(tmp_path / "colour", channels=3)
    with np.load(sample(network, tmp_path / "a.npz", "--num-images", 2)) as data:
        assert data["images"].shape == (2, 8, 8, 3)
        assert data["labels"].tolist() == [-1, -1]


@pytest.mark.parametrize("sampler", ["bridge", "unconstrained"])
def test_images_do_not_depend_on_the_batch_size(network, tmp_path, sampler):
    images = []
    for size in (1, 4, 100):
        options = ("--sampler", sampler, "--labels", "0,1", "--num-images", 6, "--batch-size", size)
        with np.load(sample(network, tmp_path / f"{size}.npz", *options)) as data:
            images.append(data["images"].astype(int))
    np.testing.assert_allclose(images[0], images[2], atol=1)
    np.testing.assert_allclose(images[1], images[2], atol=1)
    assert np.abs(images[0][0] - images[0][2]).max() > 1


def test_png_is_the_grid_of_the_arrays(network, tmp_path):
    with np.load(sample(network, tmp_path / "a.npz", "--num-images", 4)) as data:
        first = data["images"][0]
    with Image.open(sample(network, tmp_path / "a.png", "--num-images", 4)) as image:
        assert (image.format, image.size) == ("PNG", (22, 22))
        np.testing.assert_array_equal(np.asarray(image)[2:10, 2:10], first)


@pytest.mark.parametrize(("ending", "sampler"), [("webp", "bridge"), ("gif", "unconstrained")])
def test_animations_show_every_step(network, tmp_path, ending, sampler):
    options = ("--num-images", 4, "--batch-size", 3, "--sampler", sampler)
    with Image.open(sample(network, tmp_path / f"a.{ending}", *options)) as animation:
        assert animation.format == ending.upper()
        lasting = []
        for frame in ImageSequence.Iterator(animation):
            frame.load()
            lasting.append(frame.info["duration"])
        assert len(lasting) > 1, "equal neighbours may become one frame"
        assert sum(lasting) == 3 * 60 + 1500
        assert animation.size == (22 + 8 + 22, 22)


def test_presets_and_single_settings(network, tmp_path):
    files = {}
    for name, options in {
        "paper": ("--preset", "paper"),
        "the same": (
            *("--sampler", "dale-langevin", "--noise-level", 0.8, "--grid", "uniform"),
            *("--start", "fitted", "--no-tweedie"),
        ),
        "annealed": ("--preset", "paper", "--annealing", 0.1),
        "cleaned": ("--preset", "paper", "--tweedie-steps", 2),
        "wide": (),
    }.items():
        with np.load(sample(network, tmp_path / f"{name}.npz", *options)) as data:
            files[name] = data["images"]
    np.testing.assert_array_equal(files["paper"], files["the same"])
    assert (files["paper"] != files["annealed"]).any()
    assert (files["paper"] != files["cleaned"]).any()
    assert (files["paper"] != files["wide"]).any()


def test_a_few_step_network_is_sampled_by_leaps(tmp_path):
    network = save_tiny(tmp_path / "net", levels=((8.0, 0.5), (8.0, 1.5, 0.6, 0.25)))
    files = {}
    for name, options in {
        "own": (),
        "the same": ("--sampler", "leap", "--levels", "8,1.5,0.6,0.25"),
        "two": ("--steps", 2),
    }.items():
        out = tmp_path / f"{name}.npz"
        command = ("sample", "--checkpoint", network, "--num-images", 2, "--device", "cpu")
        invoke(*command, "--out", out, *options)
        with np.load(out) as data:
            files[name] = data["images"]
    np.testing.assert_array_equal(files["own"], files["the same"])
    assert (files["own"] != files["two"]).any()


def test_the_annealed_preset_follows_the_start(tmp_path):
    network = load_checkpoint(save_tiny(tmp_path, dataset="kmnist"))

    def chosen(**options: object) -> tuple[object, ...]:
        given = {"sampler": "unconstrained", **options}
        settings = sampling_settings(network, (0,), 1, "paper-annealed", 1, **given)
        return settings.start, settings.step_size, settings.repeats, settings.annealing

    assert chosen() == ("fitted", 2.11e-4, 3, 1.0)
    assert chosen(start="class-averaged") == ("class-averaged", 3.36e-4, 2, 0.995)
    assert chosen(start="class-averaged", repeats=5)[1:3] == (3.36e-4, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--checkpoint", "nowhere"), "No checkpoint 'nowhere'"),
        (("--labels", "0,7"), "Label 7 is not one of this network's classes"),
        (("--labels", "0,x"), "separated by commas"),
        (("--labels", ""), "separated by commas"),
        (("--steps", "0"), "steps must be at least 1"),
        (("--steps", "many"), "not a valid integer"),
        (("--noise-level", "50"), "noise_level must be in"),
        (("--num-images", "0"), "not in the range"),
        (("--batch-size", "-1"), "not in the range"),
        (("--seed", "-1"), "seed must not be negative"),
        (("--sampler", "euler"), "is not one of"),
        (("--annealing", "0.9"), "belongs to the samplers dale-langevin and unconstrained"),
        (("--tweedie-steps", "2"), "--tweedie-steps belongs to the samplers"),
        (("--start", "fitted"), "belongs to noise level"),
        (("--levels", "8,1"), "levels belong to the sampler leap"),
        (("--sampler", "leap", "--levels", "1,8"), "must fall"),
        (("--sampler", "leap", "--levels", "8,1", "--steps", "3"), "--levels takes no --steps"),
        (("--preset", "paper-annealed"), "no annealed constants for 'tiny'"),
        (("--out", "a.jpg"), "Unknown ending"),
        (("--out", "nowhere/a.png"), "not a folder to write in"),
        (("--colour", "red"), "No such option"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(network, tmp_path, refused, options, message):
    out = tmp_path / "a.png"
    assert message in refused("sample", "--checkpoint", network, "--out", out, *options)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_one_line(tmp_path, refused):
    folder = save_tiny(tmp_path / "net")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    message = refused("sample", "--checkpoint", folder, "--out", tmp_path / "a.png")
    assert "not a safetensors file" in message


def test_mistakes_before_any_command(refused):
    assert "Missing command" in refused()
    assert "No such command 'dream'" in refused("dream")
    assert "separated by commas" in refused(
        *("train", "--dataset", "mnist", "--out", "x", "--multipliers", "1;2")
    )
    assert "Unknown data set" in refused("train", "--dataset", "letters", "--out", "x")
    recipe = ("train", "--dataset", "mnist", "--out", "x", "--recipe", "paper")
    assert "takes no --log-noise-mean" in refused(*recipe, "--log-noise-std", "1")
    adam = ("train", "--dataset", "mnist", "--out", "x")
    assert "is that of --rule eg" in refused(*adam, "--synapse-rate", "0.1")
    assert "needs --magnitudes or --rule eg" in refused(*adam, "--signs", "columns")
    assert "not of a trained network's" in refused(
        *adam, "--from", "mnist", "--magnitudes", "log-normal"
    )


def write_folder_set(root: Path) -> str:
    """40 images of 8×8 in two classes, dark and bright, as a folder data set."""
    values = np.random.default_rng(0).integers(0, 60, (40, 8, 8)).astype(np.uint8)
    for i, image in enumerate(values):
        folder = root / ("dark", "bright")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image + np.uint8(180 * (i % 2))).save(folder / f"{i}.png")
    return f"folder:{root}"


def test_train_sample_and_evaluate_on_own_images(tmp_path):
    dataset, network, place = write_folder_set(tmp_path / "set"), tmp_path / "net", tmp_path / "cnn"
    train = ("train", "--dataset", dataset, "--out", network, "--device", "cpu")
    invoke(*train, "--images", 64, "--batch-size", 16, "--width", 16, "--multipliers", "1")
    config = load_config(network)
    assert config.class_names == ("bright", "dark")
    assert config.training["images"] == 64
    assert config.training["held_out"] == 4, "a tenth of 40, which evaluate measures on"
    assert (
        "| Held out for testing | 4 images, a random tenth |" in (network / "README.md").read_text()
    )
    assert "cores used" in config.training["hardware"]
    assert "Test accuracy" in invoke(
        *("train-classifier", "--dataset", dataset, "--out", place, "--device", "cpu")
    )
    result, kept = tmp_path / "result.json", tmp_path / "kept"
    evaluate = (
        *("evaluate", "--checkpoint", network, "--classifier", place, "--num-images", 10),
        *("--sampler", "multistep,bridge", "--json", result, "--update-card", "--keep", kept),
    )
    printed = invoke(*evaluate, "--steps", 4)
    report = json.loads(result.read_text())
    assert [r["settings"]["sampler"] for r in report["evaluations"]] == ["multistep", "bridge"]
    assert [r["calls"] for r in report["evaluations"]] == [4, 4]
    assert report["evaluations"][0]["class_accuracy"]["count"] == 10
    assert report["floors"][0]["pictures"] == 10
    metrics = load_config(network).metrics
    assert metrics == {"evaluations": report["evaluations"], "floors": report["floors"]}
    card = (network / "README.md").read_text()
    assert printed[printed.index("| Sampler") :].strip() in card
    assert "| real images, the floor |" in card
    near = report["evaluations"][0]["nearest_training"]
    assert f"| {near['median']:.2f} ({near['lowest_percent']:.2f}) |" in card
    rows = printed[printed.index("| Sampler") :].strip().splitlines()
    assert {row.count("|") for row in rows} == {14}, "every row has every column"
    assert {path.name for path in kept.iterdir()} >= {"bridge-4-8-1.npz", "multistep-4-8-1.npz"}

    invoke(*evaluate, "--steps", "4,5")
    again = json.loads(result.read_text())["evaluations"]
    assert again[:2] == report["evaluations"], "what was there is not measured again"
    assert [r["settings"]["steps"] for r in again] == [4, 4, 5, 5]


def test_a_network_learns_from_two_others(tmp_path, refused):
    dataset, teacher, weaker, out = (tmp_path / name for name in ("set", "good", "weak", "out"))
    train = ("train", "--dataset", write_folder_set(dataset), "--device", "cpu", "--width", 16)
    train += ("--images", 32, "--batch-size", 16, "--multipliers", "1")
    for folder, seed in ((teacher, 0), (weaker, 1)):
        invoke(*train, "--out", folder, "--seed", seed)
    guided = (*train, "--from", teacher, "--weaker", weaker)
    for folder in (teacher, weaker):
        assert "learns from" in refused(*guided, "--guidance", 2, "--out", folder)
        assert load_config(folder).training["settings"]["guidance"] == 1
    assert "all three or none" in refused(*train, "--guidance", 2, "--out", out)
    invoke(*guided, "--guidance", 2, "--out", out)
    training = load_config(out).training
    assert training["settings"]["guidance"] == 2
    assert training["before"] == load_config(teacher).training

    apart = (*train, "--teacher", teacher, "--weaker", weaker, "--guidance", 2)
    assert "learns from" in refused(*apart, "--out", teacher)
    invoke(*apart, "--guidance-below", 1, "--out", tmp_path / "fresh")
    training = load_config(tmp_path / "fresh").training
    assert training["settings"]["guidance_below"] == 1
    assert "before" not in training


def test_a_wider_network_cannot_start_from_a_narrower_one(tmp_path, refused):
    train = ("train", "--dataset", write_folder_set(tmp_path / "set"), "--device", "cpu")
    train += ("--images", 16, "--batch-size", 16, "--multipliers", "1")
    invoke(*train, "--width", 16, "--out", tmp_path / "narrow")
    wide = (*train, "--width", 32, "--from", tmp_path / "narrow", "--out", tmp_path / "wide")
    assert "has another shape" in refused(*wide)
    assert not (tmp_path / "wide").exists()


def test_the_defaults_of_training_are_those_of_the_library():
    defaults = {parameter.name: parameter.default for parameter in train_command.params}
    for name, value in dataclasses.asdict(TrainingConfig()).items():
        if name in defaults:
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            assert defaults[name] == shown, name
    assert {"images", "width", "guidance_below"} < defaults.keys()


def test_a_network_of_raw_pixels_is_trained_under_another_map(tmp_path):
    dataset, out = write_folder_set(tmp_path / "set"), tmp_path / "net"
    train = ("train", "--dataset", dataset, "--out", out, "--device", "cpu", "--map", "exp")
    invoke(*train, "--images", 16, "--batch-size", 16, "--width", 16, "--multipliers", "1")
    config = load_config(out)
    assert config.positive_map is PositiveMap.EXP
    assert config.data_distribution.log_mean == pytest.approx(120 / 255, abs=0.02), "of the pixels"


@pytest.fixture
def classifier(tmp_path) -> Path:
    """The folder of a classifier that has learned nothing."""
    data = Dataset("tiny", torch.zeros(1, 1, 8, 8), torch.zeros(1), ("a", "b", "c"))
    model = classifiers.new_classifier(data).eval()
    classifiers.save_classifier(tmp_path / "classifier", model, model.config)
    return tmp_path / "classifier"


def test_evaluate_without_the_data_measures_recognition(network, classifier, tmp_path):
    result = tmp_path / "result.json"
    printed = invoke(
        *("evaluate", "--checkpoint", network, "--classifier", classifier),
        *("--num-images", 4, "--steps", 2, "--json", result),
    )
    assert "No distances to real images: Unknown data set 'tiny'" in printed
    report = json.loads(result.read_text())
    assert report["floors"] == []
    assert report["evaluations"][0]["class_accuracy"]["count"] == 4
    assert "frechet" not in report["evaluations"][0]


def test_evaluate_sets_where_the_runs_of_a_network_end(classifier, tmp_path, refused):
    network = save_tiny(tmp_path / "net")
    evaluate = (
        *("evaluate", "--checkpoint", network, "--classifier", classifier),
        *("--num-images", 4, "--steps", 2, "--json", tmp_path / "result.json"),
    )
    invoke(*evaluate, "--last-level", 0.02)
    assert load_config(network).min_noise_level == 0.005, "only for this once"
    assert "end at noise level 0.02, not at 0.005" in refused(*evaluate)
    (tmp_path / "result.json").unlink()
    invoke(*evaluate, "--min-noise-level", 0.02, "--update-card")
    assert load_config(network).min_noise_level == 0.02
    invoke(*evaluate)
    assert json.loads((tmp_path / "result.json").read_text())["min_noise_level"] == 0.02
    assert "0.002<=x<=1" in refused(*evaluate, "--last-level", 3)


def test_evaluate_without_a_fitting_classifier(network, tmp_path, refused):
    evaluate = ("evaluate", "--checkpoint", network, "--device", "cpu")
    assert "no classifier of 'tiny'" in refused(*evaluate)
    assert "not a folder to write in" in refused(*evaluate, "--json", tmp_path / "no" / "x.json")
    inception = ("--inception", tmp_path / "none.safetensors")
    assert "none.safetensors is missing" in refused(*evaluate, *inception)
    assert "hold distances in a classifier's" in refused(*evaluate, *inception, "--update-card")
    data = Dataset("other", torch.zeros(1, 3, 8, 8), torch.zeros(1), ("a", "b"))
    classifier = classifiers.new_classifier(data)
    classifiers.save_classifier(tmp_path / "other", classifier, classifier.config)
    message = refused(*evaluate, "--classifier", tmp_path / "other")
    assert "knows a, b in 3 channels, but the network makes a, b, c in 1" in message


def test_help_is_quick():
    code = "import sys, dale_demo.__main__; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert printed.stdout.strip() == b"[]"


@pytest.fixture
def progress_bars(monkeypatch):
    """Have processes draw them, whatever the environment in which the tests were started."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)


@pytest.mark.usefixtures("progress_bars")
def test_progress_goes_to_standard_error(network, tmp_path, monkeypatch, capsys):
    out = tmp_path / "a.npz"
    command = ("sample", "--checkpoint", str(network), "--steps", "2", "--out", str(out))
    monkeypatch.setattr(sys, "argv", ["dale_demo", *command])
    main()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "2/2" in printed.err, "a progress bar"
    assert out.exists()


def test_a_mistake_in_a_real_process():
    command = [sys.executable, "-m", "dale_demo", "sample", "--steps", "x"]
    bad = subprocess.run(command, capture_output=True, text=True)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "error: Invalid value for '--steps': 'x' is not a valid integer.\n"


@pytest.mark.usefixtures("progress_bars")
def test_a_training_run_that_is_stopped_from_outside_is_kept(tmp_path):
    """By SIGTERM, as schedulers and containers do it, in a real process."""
    network = tmp_path / "net"
    training = subprocess.Popen(
        [
            *(sys.executable, "-m", "dale_demo", "train", "--device", "cpu"),
            *("--dataset", write_folder_set(tmp_path / "set"), "--out", str(network)),
            *("--images", "1000000", "--batch-size", "16", "--width", "16", "--multipliers", "1"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with training:
        assert training.stderr
        shown = b""
        while b"loss=" not in shown:
            shown += training.stderr.read1()
            assert training.poll() is None, shown
        training.terminate()
        printed, rest = training.communicate(timeout=60)
    assert (training.returncode, printed) == (2, b"")
    assert b"Interrupted; a training run is continued by the same command." in rest
    assert b"Exception ignored" not in rest
    assert (network / STATE_FILE).exists()
    assert load_config(network).training["images"] > 0


@pytest.fixture
def train(tmp_path):
    """A command that trains a tiny network in 4 steps of 16 images."""
    return (
        *("train", "--dataset", write_folder_set(tmp_path / "set"), "--device", "cpu"),
        *("--batch-size", 16, "--width", 16, "--multipliers", "1", "--out", tmp_path / "net"),
    )


def test_a_finished_network_is_not_overwritten_unless_asked(train, tmp_path, refused):
    invoke(*train, "--images", 64)
    config = load_config(tmp_path / "net")
    for options in (("--images", 64), ("--images", 64, "--seed", 5), ("--images", 128)):
        said = refused(*train, *options)
        assert all(way in said for way in ("--continue-to", "--overwrite", "another --out"))
    assert load_config(tmp_path / "net") == config
    invoke(*train, "--images", 32, "--seed", 5, "--overwrite")
    assert load_config(tmp_path / "net").training["settings"]["seed"] == 5


def test_a_finished_network_is_gone_on_with(train, tmp_path, refused):
    """Under the settings of its last run, where none are given."""
    invoke(*train, "--images", 64, "--learning-rate", 0.005, "--map", "exp")
    first = load_config(tmp_path / "net")
    further = ("train", "--dataset", train[2], "--device", "cpu", "--out", tmp_path / "net")
    invoke(*further, "--continue-to", 96)
    config = load_config(tmp_path / "net")
    assert config.training["before"] == first.training
    assert config.positive_map is PositiveMap.EXP
    changed = {"images": 32, "seed": 1}
    assert config.training["settings"] == first.training["settings"] | changed
    assert "has seen 96 images" in refused(*further, "--continue-to", 96)
    assert "other images" in refused(*further, "--continue-to", 128, "--map", "shift")
    for option in (("--images", 64), ("--overwrite",), ("--from", "mnist")):
        assert "beside it" in refused(*further, "--continue-to", 128, *option)
    assert "holds no network" in refused(*further[:-1], tmp_path / "no", "--continue-to", 9)


def test_a_trained_network_is_distilled_for_few_evaluations(train, tmp_path, refused):
    invoke(*train, "--images", 64)
    command = ("distill", "--from", tmp_path / "net", "--device", "cpu", "--batch-size", 16)
    few = (*command, "--images", 32, "--out", tmp_path / "few")
    invoke(*few, "--levels", "4,1", "--levels", "2")
    config = load_config(tmp_path / "few")
    assert config.levels == ((4.0, 1.0), (2.0,))
    assert config.dataset == load_config(tmp_path / "net").dataset
    assert config.training["settings"]["recipe"] == "consistency"
    matched = ("--method", "matching", "--images", 16, "--out", tmp_path / "matched")
    invoke(*command, *matched)
    config = load_config(tmp_path / "matched")
    assert config.levels == ((1.1, 0.4), (1.1,))
    assert config.training["settings"]["learning_rate"] == 3e-4
    assert "holds a finished network" in refused(*few)
    assert "must fall" in refused(*few, "--overwrite", "--levels", "1,4")
    assert "this run learns from" in refused(*command, "--out", tmp_path / "net", "--overwrite")


def test_a_network_too_large_to_save_is_refused_before_training(train, tmp_path, refused):
    said = refused(*train, "--width", 1024)
    assert "more than the 67,108,864 of a checkpoint" in said
    assert not (tmp_path / "net").exists()


def test_a_classifier_does_not_replace_a_network(tmp_path, refused):
    folder = save_tiny(tmp_path / "net")
    before = (folder / "model.safetensors").read_bytes()
    said = refused("train-classifier", "--dataset", "folder:none", "--out", folder)
    assert "holds a network; replace it by --overwrite" in said
    assert (folder / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("command", "left"),
    [
        ("train", "a training run is continued by the same command"),
        ("train-classifier", "nothing was saved, the same command starts again"),
        ("sample", "no file was written"),
        ("evaluate", "is kept where --json or --update-card was given"),
        ("push", "Interrupted."),
    ],
)
def test_an_interruption_says_what_it_leaves(command, left, monkeypatch, refused):
    def interrupted(self, ctx):
        raise KeyboardInterrupt

    monkeypatch.setattr("click.Command.invoke", interrupted)
    arguments = {"push": ("x", "y/z")}.get(command, ("--dataset", "x", "--out", "x"))
    arguments = {"sample": ("--out", "x.npz"), "evaluate": ()}.get(command, arguments)
    # click leaves the line of ^C by a line of its own
    said = refused(command, *arguments, lines=2)
    assert left in said
    assert ("continued" in said) == (command == "train")


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_to_compile_needs_a_compiler(command, tmp_path, monkeypatch, refused):
    def search(names):
        raise InvalidCxxCompiler

    monkeypatch.setattr("torch._inductor.cpp_builder.cpp_compiler_search", search)
    arguments = {"train": ("--dataset", "folder:none", "--out", tmp_path / "net"), "evaluate": ()}
    said = refused(command, *arguments[command], "--device", "cpu", "--compile")
    assert "--compile needs a C++ compiler on a CPU" in said


HUGE = ("1" + "0" * 10, "1" + "0" * 30, "9" * 5000, "-1", "inf", "nan", "1e10")


@pytest.mark.parametrize("number", HUGE, ids=lambda number: number[:12])
@pytest.mark.parametrize("option", ["--num-images", "--steps", "--repeats", "--batch-size"])
def test_huge_numbers_are_refused_at_once(option, number, network, tmp_path, refused):
    out = tmp_path / "a.npz"
    said = refused("sample", "--checkpoint", network, "--out", out, option, number)
    assert len(said) <= 320
    assert not out.exists()


@pytest.mark.parametrize("number", HUGE, ids=lambda number: number[:12])
@pytest.mark.parametrize(
    "option", ["--images", "--batch-size", "--learning-rate", "--width", "--log-noise-std"]
)
def test_huge_numbers_are_refused_in_training(option, number, tmp_path, refused):
    train = ("train", "--dataset", "folder:none", "--out", tmp_path / "net")
    assert len(refused(*train, option, number)) <= 320


def test_an_animation_that_memory_would_not_hold_is_refused(network, tmp_path, refused):
    sample = ("sample", "--checkpoint", network, "--num-images", 10**6)
    said = refused(*sample, "--steps", 1000, "--out", tmp_path / "a.gif")
    assert "write .npz or .png" in said


@pytest.mark.parametrize("kind", ["pipe", "device", "large", "text"])
def test_a_report_that_is_none_is_refused(kind, network, classifier, tmp_path, refused):
    file = tmp_path / "report.json"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "device":
        file.symlink_to("/dev/zero")
    else:
        file.write_text("x" * (17 * 2**20 if kind == "large" else 3))
    evaluate = ("evaluate", "--checkpoint", network, "--classifier", classifier, "--device", "cpu")
    assert "report" in refused(*evaluate, "--json", file)


def test_evaluate_says_what_few_images_do_not_tell(train, tmp_path):
    """Eight images: one is kept to test on."""
    invoke(*train, "--images", 64)
    few, place, result = tmp_path / "few", tmp_path / "cnn", tmp_path / "result.json"
    for kind in ("dark", "bright"):
        (few / kind).mkdir(parents=True)
        for file in sorted((tmp_path / "set" / kind).iterdir())[:4]:
            (few / kind / file.name).write_bytes(file.read_bytes())
    invoke("train-classifier", "--dataset", train[2], "--out", place, "--device", "cpu")
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    (tmp_path / "net" / "config.json").write_text(json.dumps(config | {"dataset": f"folder:{few}"}))
    printed = invoke(
        *("evaluate", "--checkpoint", tmp_path / "net", "--classifier", place, "--steps", 2),
        *("--num-images", 8, "--json", result, "--device", "cpu"),
    )
    assert "Not measured of 8 images and 1 real ones: Fréchet distance (needs 2 of" in printed
    assert "0.00 ± 0.00" not in printed
    (record,) = json.loads(result.read_text())["evaluations"]
    assert {"class_accuracy", "pixel_law", "nearest_training"} < record.keys()
    assert "frechet" not in record
