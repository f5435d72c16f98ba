"""Model cards: front matter, facts, escapes, and results stored afterwards."""

import json
import re
import shlex

import pytest
import torch
from click.testing import CliRunner
from huggingface_hub import ModelCard

from dale_demo.__main__ import cli
from dale_demo.checkpoint.card import add_evaluation, completed, model_card
from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import BUNDLED, load_config
from dale_demo.checkpoint.results import quality_table
from dale_demo.data import PositiveMap
from dale_demo.drawing.markdown import clock, fenced, plain, text_table
from dale_demo.evaluation.classifier import (
    ClassifierConfig,
    classifier_card,
    load_classifier,
)
from dale_demo.hardware import hardware
from tests.tiny_network import save_tiny, tiny_config

TRAINING = {
    "command": "python -m dale_demo train --dataset mnist --out OUT",
    "hardware": "two cores",
    "images": 1234567,
    "seconds": 2 * 3600 + 5 * 60,
    "loss_curve": [[100 * i, 1 / i] for i in range(1, 101)],
}
RECORD = {
    "settings": {
        "sampler": "bridge",
        "steps": 40,
        "noise_level": 8.0,
        "guidance": 1.0,
        "count": 2000,
        "conditional": True,
    },
    "class_accuracy": {"share": 0.985, "interval": [0.979, 0.99], "hits": 1970, "count": 2000},
    "calls": 40,
    "seconds": 61.7,
}
FLOOR = {
    "pictures": 2000,
    "conditional": True,
    "frechet": {"value": 0.51, "error": 0.04},
    "kernel": {"value": 0.00012, "error": 0.00003},
    "precision": {"value": 0.99, "error": 0.002},
    "recall": {"value": 0.98, "error": 0.003},
}


def test_a_card_says_which_run_had_a_teacher():
    with_teacher = TRAINING | {"settings": {"guidance": 1.75}, "before": TRAINING}
    first, last = model_card(tiny_config(training=with_teacher)).split("Then, from the weights")
    assert "M-DSM, preconditioned; 1 is no better" in first
    assert "guided away from a weaker one with w = 1.75\n(" in last
    assert "M-ESM, preconditioned; 0 is the teacher's own score" in last
    assert "teacher" not in first
    assert "M-DSM, preconditioned" not in last
    assert "noise levels up to" not in last

    partly = TRAINING | {"settings": {"guidance": 1.75, "guidance_below": 1.0}}
    assert "w = 1.75 at noise levels up to 1\n(" in model_card(tiny_config(training=partly))
    back = TRAINING | {"settings": {"guidance": 0.5}}
    assert "guided back towards a weaker one with w = 0.5" in model_card(tiny_config(training=back))


def test_a_card_says_which_run_had_options_that_are_no_more():
    card = model_card(tiny_config(training=TRAINING))
    assert "later versions lack" not in card
    partly = TRAINING | {"settings": {"guidance": 1.75, "guidance_below": 1.0}}
    three = model_card(tiny_config(training=partly | {"towards": True, "code": "c782210"}))
    assert "code of commit c782210, which had options that later versions lack" in three
    assert "w − 1 times the difference" in three
    assert "w = 1.75 at noise levels up to 1. It takes three" in three
    for record in (
        {"settings": {"guidance": 1.75, "fine_guidance": 0.5, "fine_guidance_below": 0.02}},
        {"made": True},
        {"towards": True},
    ):
        earlier = model_card(tiny_config(training=TRAINING | record))
        assert "earlier code, which had options that later versions lack" in earlier
    neutral = {"settings": {"fine_guidance": 1.0, "fine_guidance_below": 0.0}}
    assert model_card(tiny_config(training=TRAINING | neutral)) == card


def test_a_card_says_which_run_saw_sampled_images():
    made = TRAINING | {"made": True, "before": TRAINING}
    first, last = model_card(tiny_config(training=made)).split("Then, from the weights")
    assert "sampled from a network" in last
    assert "sampled from a network" not in first


def test_notes_stand_with_what_they_are_about():
    before = TRAINING | {"notes": "The **first** run."}
    training = TRAINING | {"notes": "The second run.", "before": before}
    metrics = {"evaluations": [RECORD], "notes": "About the results."}
    card = model_card(tiny_config(training=training, metrics=metrics))
    places = [
        card.index(text)
        for text in (
            *("The **first** run.", "Then, from the weights", "The second run."),
            *("## Measured quality", "About the results.", "## Limits"),
        )
    ]
    assert places == sorted(places)


def blocks(card: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)\n```", card, re.DOTALL)


def test_front_matter_is_what_the_hub_reads():
    data = ModelCard(model_card(tiny_config(dataset="mnist"))).data
    assert data.license == "mit"
    assert data.library_name == "dale-demo"
    assert data.pipeline_tag == "unconditional-image-generation"
    assert data.datasets == "ylecun/mnist"
    assert "diffusion" in data.tags
    assert ModelCard(model_card(tiny_config())).data.datasets is None


def test_the_card_states_how_it_was_trained():
    card = model_card(tiny_config(training=TRAINING))
    assert TRAINING["command"] in blocks(card, "bash")
    for fact in ("two cores", "1,234,567", "2:05", "| 100 | 1.0000 |", "| 10,000 | 0.0100 |"):
        assert fact in card
    assert card.count("\n| ") < 60, "the curve is thinned"
    again = {"command": "python -m dale_demo train --from x", "before": TRAINING}
    commands = blocks(model_card(tiny_config(training=again)), "bash")
    assert commands[-2:] == [TRAINING["command"], again["command"]], "in the order of the runs"


def test_what_is_not_known_is_said():
    card = model_card(tiny_config())
    assert "Not recorded." in card
    assert "Not measured yet." in card


RECIPES = pytest.mark.parametrize("recipe", ["edm", "paper"])


def of_recipe(folder, recipe):
    return save_tiny(folder, training={"settings": {"recipe": recipe}})


@RECIPES
def test_the_library_example_runs(tmp_path, capsys, recipe):
    folder = of_recipe(tmp_path / "net", recipe)
    (code,) = blocks((folder / "README.md").read_text(), "python")
    scope: dict[str, object] = {}
    exec(code.replace("FOLDER", str(folder)), scope)
    images = scope["images"]
    assert isinstance(images, torch.Tensor)
    assert (images.dtype, images.shape) == (torch.uint8, (2, 1, 8, 8))
    assert f"# uint8 {list(images.shape)}" in code
    assert "20 20" in capsys.readouterr().out


def test_the_card_of_an_additive_network_says_so():
    sober, additive = (
        model_card(tiny_config(positive_map=positive_map)) for positive_map in PositiveMap
    )
    assert "additive" not in sober
    assert "x = 1 + pixel" in sober
    assert "ordinary additive diffusion" in additive
    assert "x = e^pixel" in additive


def test_the_card_says_which_noise_levels_were_learned():
    edm, paper = (
        model_card(tiny_config(training={"settings": {"recipe": recipe}}))
        for recipe in ("edm", "paper")
    )
    assert "at any noise level" in edm
    assert "at noise levels up to 0.8" in paper


@RECIPES
def test_the_command_runs(tmp_path, recipe):
    folder = of_recipe(tmp_path / "net", recipe)
    (command,) = blocks((folder / "README.md").read_text(), "bash")
    command = command.replace("FOLDER", str(folder)).replace("samples.png", f"{tmp_path}/s.png")
    python, _, module, *arguments = shlex.split(command)
    assert (python, module) == ("python", "dale_demo")
    result = CliRunner().invoke(cli, [*arguments, "--steps", "2"], catch_exceptions=False)
    assert result.exit_code == 0
    assert (tmp_path / "s.png").stat().st_size > 0


NASTY = "a|b\n# `x` <script>*_[l](u)\n---\n"


def test_names_cannot_break_the_card():
    config = tiny_config(
        dataset=NASTY,
        class_names=("| c", "``` d", "<e>\n\n## f"),
        training=TRAINING | {"command": f"train {NASTY}```\n# not a heading"},
    )
    card, sober = model_card(config), model_card(tiny_config(training=TRAINING))
    assert ModelCard(card).data.license == "mit"
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", card)
    assert "<script>" not in outside
    assert "<e>" not in outside
    headings = [re.findall(r"(?m)^#+ ", text) for text in (outside, sober)]
    assert len(headings[0]) == len(re.findall(r"(?m)^#+ ", re.sub(r"```.*?```", "", sober)))
    (row,) = [line for line in outside.splitlines() if line.startswith("| Classes")]
    assert len(re.findall(r"(?<!\\)\|", row)) == 3


def test_helpers():
    assert plain("a  *b*\n|") == r"a \*b\* \|"
    assert fenced("x ```` y").startswith("`````\n")
    assert text_table(("a", "b"), [(1, "x|y")]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |"
    assert [clock(s) for s in (0, 59 * 60, 3600, 36000 + 29)] == ["0:00", "0:59", "1:00", "10:00"]
    assert re.search(r"\S with \S.*, \d+ of \d+ cores used, PyTorch \d", hardware("cpu"))


def test_a_result_is_stored_without_touching_the_weights(tmp_path):
    folder = save_tiny(tmp_path, training=TRAINING)
    weights = (folder / "model.safetensors").read_bytes()
    other = RECORD | {"settings": RECORD["settings"] | {"steps": 10}}
    worse = RECORD | {"class_accuracy": RECORD["class_accuracy"] | {"share": 0.5}}
    for record in (worse, other, RECORD):
        add_evaluation(folder, record, FLOOR)
    config = load_config(folder)
    assert config.metrics == {"evaluations": [other, RECORD], "floors": [FLOOR]}
    card = (folder / "README.md").read_text()
    assert card == model_card(config)
    row = "| bridge | 40 | 40 | 62 | 8 | 1 | 2,000 | 98.5% (97.9% to 99.0%) | — | — | — | — |"
    assert row in card
    assert "| 2,000 | — | 0.51 ± 0.04 | 0.12 ± 0.03 | 0.990 ± 0.002 | 0.980 ± 0.003 |" in card
    assert (folder / "model.safetensors").read_bytes() == weights


def test_the_floors_of_classes_in_turn_and_at_random_stand_side_by_side(tmp_path):
    folder, mixed = save_tiny(tmp_path), FLOOR | {"conditional": False}
    for floor in (FLOOR, mixed, FLOOR):
        add_evaluation(folder, RECORD, floor)
    assert load_config(folder).metrics["floors"] == [mixed, FLOOR]
    card = (folder / "README.md").read_text()
    assert card.count("| real images, the floor |") == 1
    assert card.count("| real images, drawn at random |") == 1
    earlier = {key: value for key, value in FLOOR.items() if key != "conditional"}
    assert "| real images, drawn at random |" in quality_table([], {"floors": [earlier]})


def test_results_of_runs_that_ended_elsewhere_are_dropped(tmp_path):
    folder = save_tiny(tmp_path)
    other = RECORD | {"settings": RECORD["settings"] | {"steps": 10}}
    add_evaluation(folder, RECORD, FLOOR, 0.005)
    add_evaluation(folder, other, FLOOR, 0.005)
    assert load_config(folder).metrics["evaluations"] == [RECORD, other]
    assert "| Minimum noise level | 0.005 |" in (folder / "README.md").read_text()
    add_evaluation(folder, other, FLOOR, 0.02)
    config = load_config(folder)
    assert config.min_noise_level == 0.02
    assert config.metrics == {"evaluations": [other], "floors": [FLOOR]}
    assert "| Minimum noise level | 0.02 |" in (folder / "README.md").read_text()


@pytest.mark.parametrize("metrics", [{"evaluations": 3}, {"evaluations": [{}]}])
def test_foreign_metrics_are_refused(tmp_path, metrics):
    folder = save_tiny(tmp_path)
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | {"metrics": metrics}))
    with pytest.raises(CheckpointError, match="not this program's"):
        add_evaluation(folder, RECORD)


ABSURD_TRAINING = {
    "a command that is a number": {"command": 5},
    "images that are text": {"images": "many"},
    "images that are a list": {"images": []},
    "seconds that are text": {"seconds": "long"},
    "endless seconds": {"seconds": float("inf")},
    "a curve that is a number": {"loss_curve": 3},
    "a curve of numbers": {"loss_curve": [1, 2]},
    "a curve of text": {"loss_curve": [["a", "b"]]},
    "a curve of nothing": {"loss_curve": [[1, None]]},
    "guidance beyond floats": {"settings": {"guidance": 10**309}},
}
ABSURD_METRICS = {
    "evaluations that are a number": {"evaluations": 3},
    "evaluations of numbers": {"evaluations": [3]},
    "evaluations of nothing": {"evaluations": [None]},
    "an evaluation without settings": {"evaluations": [{"class_accuracy": RECORD}]},
    "settings that are text": {"evaluations": [RECORD | {"settings": "x"}]},
    "a count that is text": {"evaluations": [RECORD | {"settings": {"count": "x"}}]},
    "seconds beyond floats": {"evaluations": [RECORD | {"seconds": 10**309}]},
    "accuracy that is a number": {"evaluations": [RECORD | {"class_accuracy": 1}]},
    "floors that are text": {"evaluations": [RECORD], "floors": "x"},
    "a floor without a count": {"evaluations": [RECORD], "floors": [{}]},
    "a floor that is a number": {
        "evaluations": [RECORD],
        "floors": [{"pictures": 1} | {"kernel": 1}],
    },
}


@pytest.mark.parametrize(
    ("field", "case"),
    [("training", case) for case in ABSURD_TRAINING]
    + [("metrics", case) for case in ABSURD_METRICS],
)
def test_absurd_records_are_one_sentence_when_a_card_is_made(tmp_path, field, case):
    folder = save_tiny(tmp_path)
    absurd = {"training": TRAINING} | (
        {"training": TRAINING | ABSURD_TRAINING[case]}
        if field == "training"
        else {"metrics": ABSURD_METRICS[case]}
    )
    raw = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(raw | absurd))
    with pytest.raises(CheckpointError, match="not this program's; empty them") as caught:
        completed("", load_config(folder))
    assert len(str(caught.value)) <= 300


def head_and_body(card: str) -> tuple[dict[str, object], str]:
    return ModelCard(card).data.to_dict(), card.split("\n---\n", 1)[1]


BUNDLED_NETWORKS = [file.parent for file in BUNDLED.glob("**/config.json")]


@pytest.mark.parametrize("folder", BUNDLED_NETWORKS, ids=lambda folder: folder.name)
def test_bundled_cards_are_what_their_config_says(folder):
    """If not: write README.md anew from config.json by `model_card` or `classifier_card`."""
    if folder.parent.name == "classifiers":
        card = classifier_card(load_classifier(folder).config)
    else:
        card = model_card(load_config(folder))
    assert head_and_body((folder / "README.md").read_text()) == head_and_body(card)


def test_classifier_card():
    config = ClassifierConfig(
        "mnist", ("0", "1"), 1, TRAINING, {"test_accuracy": 0.9931, "interval": [0.99, 0.995]}
    )
    card = classifier_card(config)
    assert ModelCard(card).data.pipeline_tag == "image-classification"
    assert "99.31% (99.00% to 99.50%)" in card
    assert "two cores" in card
    assert "Not measured yet." in classifier_card(ClassifierConfig("mnist", ("0", "1")))
