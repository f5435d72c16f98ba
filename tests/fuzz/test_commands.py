"""Command lines: options with values that no one should give, and files that are none."""

import contextlib
import io
import json
import os
import sys
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from dale_demo.__main__ import main
from dale_demo.data import Dataset
from dale_demo.evaluation import classifier as classifiers
from tests.fuzz.harness import SEED, failures, fault_of
from tests.tiny_network import save_tiny

COUNT = 110
MALFORMED = (
    *("0", "-1", "nan", "inf", "-inf", "1e999", "1e308", "9" * 30, "9" * 5_000, "1e-400"),
    *("", " ", "x", "1,2", ",", "1,,2", "None", "True", "٣", "0x10", "x" * 5_000, "a\nb"),
    *("\udcff", "\\", "--", "-", "é" * 300, "0.5", "2147483648", "10000000000"),
)
PATHS = (
    *("/nowhere/at/all", "/dev/null", "/dev/zero", "/proc/self/mem", "", ".", "..", "x" * 5_000),
    *("FIFO", "FILE", "EMPTY", "NETWORK/config.json", "a\nb", "\udcff", "/proc/version", "~"),
)
NAMES = (*PATHS, "mnist@main", "a/b@", "a/b/c", "../..", "-", "a/" + "b" * 300, "ann/net", "@")
DATA = (
    *(
        "",
        "idx:",
        "folder:",
        "idx:a,b,c",
        "idx:FIFO,FIFO",
        "idx:/dev/zero,/dev/zero",
        "folder:FILE",
    ),
    *(
        "folder:/proc/self",
        "idx:FILE,FILE",
        "mnist,kmnist",
        "folder:" + "x" * 5_000,
        "folder:\udcff",
    ),
    *("folder:EMPTY", "idx:NETWORK,NETWORK", "x" * 3_000, "idx:/dev/null,/dev/null"),
)
COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "sample": (
        ("--checkpoint", "NETWORK", "--steps", "2", "--num-images", "2", "--out", "OUT.png"),
        {
            **dict.fromkeys(("--checkpoint",), NAMES),
            **dict.fromkeys(("--out",), (*PATHS, "OUT.exe", "OUT", "/root/../proc/a.png")),
            **dict.fromkeys(("--num-images", "--steps", "--seed", "--repeats"), MALFORMED),
            **dict.fromkeys(("--labels", "--noise-level", "--guidance", "--mu"), MALFORMED),
            **dict.fromkeys(("--annealing", "--step-size", "--batch-size"), MALFORMED),
            **dict.fromkeys(("--sampler", "--preset", "--grid", "--device"), MALFORMED),
        },
    ),
    "evaluate": (
        (
            *("--checkpoint", "NETWORK", "--classifier", "CLASSIFIER", "--num-images", "3"),
            *("--steps", "2", "--device", "cpu"),
        ),
        {
            **dict.fromkeys(("--checkpoint", "--classifier"), NAMES),
            **dict.fromkeys(("--json", "--inception", "--keep"), PATHS),
            **dict.fromkeys(("--num-images", "--steps", "--noise-level", "--guidance"), MALFORMED),
            **dict.fromkeys(("--min-noise-level", "--sampler", "--batch-size"), MALFORMED),
        },
    ),
    "train": (
        (
            *("--dataset", "folder:PICTURES", "--out", "RUN", "--images", "4", "--device", "cpu"),
            *("--batch-size", "2", "--width", "16", "--multipliers", "1"),
        ),
        {
            **dict.fromkeys(("--dataset",), DATA),
            **dict.fromkeys(("--out", "--data-root"), PATHS),
            **dict.fromkeys(("--from", "--teacher", "--weaker"), NAMES),
            **dict.fromkeys(("--learning-rate", "--log-noise-mean", "--log-noise-std"), MALFORMED),
            **dict.fromkeys(("--width", "--multipliers", "--dropout", "--guidance"), MALFORMED),
            **dict.fromkeys(("--images", "--batch-size"), ("0", "-1", "nan", "x", "9" * 5_000)),
            **dict.fromkeys(("--seed", "--guidance-below", "--map"), MALFORMED),
        },
    ),
    "push": (("NETWORK", "ann/net"), {"FOLDER": PATHS, "REPO_ID": NAMES, "--revision": NAMES}),
    "pull": (("ann/net", "RUN"), {"REPO_ID": NAMES, "FOLDER": PATHS}),
}
ARGUMENTS = {"push": ("FOLDER", "REPO_ID"), "pull": ("REPO_ID", "FOLDER")}


def cases(seed: int = SEED) -> list[tuple[str, list[str]]]:
    """For each command in turn, a sound line in which one or two values are replaced."""
    random, found = Random(seed), []
    orders = {
        name: random.sample(list(options), len(options)) for name, (_, options) in COMMANDS.items()
    }
    for number in range(COUNT):
        command = list(COMMANDS)[number % len(COMMANDS)]
        line, options = COMMANDS[command]
        words, turn = list(line), number // len(COMMANDS)
        spoiled = (orders[command][turn % len(options)], random.choice(list(options)))
        for option in dict.fromkeys(spoiled):
            value = random.choice(options[option])
            if option.isupper():
                words[ARGUMENTS[command].index(option)] = value
            else:
                words += [option, value]
        found.append((f"{number} {command} {' '.join(w[:40] for w in words)!r}", [command, *words]))
    return found


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the words in capitals stand for, in a folder of their own."""
    root = tmp_path_factory.mktemp("commands")
    save_tiny(root / "network", dataset="letters")
    generator = np.random.default_rng(0)
    for name in "abc":
        (root / "pictures" / name).mkdir(parents=True)
        for number in range(4):
            pixels = generator.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(root / "pictures" / name / f"{number}.png")
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    knows = classifiers.new_classifier(Dataset("letters", images, torch.arange(3), tuple("abc")))
    classifiers.save_classifier(root / "classifier", knows, knows.config)
    os.mkfifo(root / "fifo")
    (root / "empty").mkdir()
    (root / "file").write_text(json.dumps({"a": 1}))
    return {
        "NETWORK": str(root / "network"),
        "PICTURES": str(root / "pictures"),
        "CLASSIFIER": str(root / "classifier"),
        "FIFO": str(root / "fifo"),
        "EMPTY": str(root / "empty"),
        "FILE": str(root / "file"),
        "ROOT": str(root),
    }


@pytest.fixture
def attempt(places, tmp_path, monkeypatch):
    """Run a command line as a process does; it ends with 0, or with 2 and one line."""
    monkeypatch.chdir(tmp_path)
    folders = iter(range(10**6))

    def run(words: list[str]) -> None:
        fresh = tmp_path / str(next(folders))
        fresh.mkdir()
        stand = places | {"OUT": str(fresh / "out"), "RUN": str(fresh / "run")}
        for name, place in stand.items():
            words = [word.replace(name, place) for word in words]
        monkeypatch.setattr(sys, "argv", ["dale_demo", *words])
        said, code = io.StringIO(), 0
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            try:
                main()
            except SystemExit as stop:
                code = stop.code
        assert code in (0, 2), f"ended with {code}"
        if code == 2:
            last = said.getvalue().rstrip("\n").split("\n")[-1].split("\r")[-1]
            assert last.startswith("error: "), f"its last line is {last[:200]!r}"
            fault = fault_of(last.removeprefix("error: "))
            assert fault is None, fault

    return run


def test_no_command_line_hurts(stand_in, attempt):
    tried = cases()
    assert len(tried) >= 100
    for command in COMMANDS:  # imports, and the negative control: a sound line passes
        if command not in ("push", "pull"):
            attempt([command, *COMMANDS[command][0]])
    assert not (found := failures(tried, attempt, ())), "\n".join(found)
