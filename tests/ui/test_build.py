"""What the pages have stored is up to date, and a change of any input is noticed."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from dale_demo.ui import build
from dale_demo.ui.restore import stored_run as restore
from dale_demo.ui.sample import stored_run as sample
from dale_demo.ui.shared.stored import StoredItem, Unavailable, digest


def outdated() -> dict[str, list[str]]:
    """Item → why it is out of date, for those that are."""
    recorded = build.read_manifest()
    reasons = {item.name: item.reasons(recorded.get(item.name)) for item in build.all_items()}
    return {name: why for name, why in reasons.items() if why}


def test_everything_stored_is_up_to_date():
    """If not: `python -m dale_demo.ui.build`."""
    assert outdated() == {}
    assert list(build.read_manifest()) == [item.name for item in build.all_items()]


def test_every_stored_file_belongs_to_an_item():
    """All but the comparison of samplers, which `benchmarks.quality` measures."""
    folders = Path(build.__file__).parent.glob("*/stored")
    files = {file for folder in folders for file in folder.iterdir()}
    owned = {file for item in build.all_items() for file in item.files}
    assert {file for file in files - owned if not file.name.startswith("trade-off-")} == set()


def test_other_settings_make_exactly_their_item_out_of_date(monkeypatch):
    monkeypatch.setattr(restore, "FILL_STEPS", 41)
    assert outdated() == {"restore/run": ["settings changed"]}


def test_other_weights_make_exactly_their_items_out_of_date(monkeypatch, tmp_path):
    """Those of Kuzushiji, of which the page Sample has a run and the page Weights a report."""
    from dale_demo.checkpoint import folder as checkpoint

    folders = checkpoint.bundled_checkpoints()
    for name, folder in folders.items():
        copy = tmp_path / name
        copy.mkdir()
        for file in folder.iterdir():
            (copy / file.name).symlink_to(file)
    weights = tmp_path / "kmnist" / "model.safetensors"
    changed = weights.read_bytes()[:-1] + b"!"
    weights.unlink()
    weights.write_bytes(changed)
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    items = ("sample/kmnist", "weights/kmnist")
    assert outdated() == {item: ["weights changed"] for item in items}


def test_another_stored_run_makes_what_is_drawn_from_it_out_of_date(monkeypatch, tmp_path):
    other = tmp_path / "mnist.npz"
    other.write_bytes(b"another run")
    usual = sample.run_file
    monkeypatch.setattr(sample, "run_file", lambda name: other if name == "mnist" else usual(name))
    assert outdated() == {"sample/animation": ["mnist.npz changed"]}


class Three:
    """Three items: the second is made from the first, the third cannot be made."""

    def __init__(self, folder: Path):
        self.files = {name: folder / name for name in ("first", "second", "third")}
        self.setting, self.made = "1", []
        self.items = [
            self.item("a/first", lambda: {"setting": self.setting}),
            self.item("a/second", lambda: {"first": digest(self.files["first"])}),
            self.item("b/third", dict),
        ]

    def item(self, name: str, inputs) -> StoredItem:
        file = self.files[name[2:]]
        return StoredItem(name, (file,), inputs, lambda: self.make(file))

    def make(self, file: Path) -> None:
        if file.name == "third":
            raise Unavailable("The data set is missing.")
        self.made.append(file.name)
        file.write_text(self.setting)


@pytest.fixture
def three(tmp_path, monkeypatch) -> Three:
    three = Three(tmp_path)
    monkeypatch.setattr(build, "MANIFEST", tmp_path / "stored.json")
    monkeypatch.setattr(build, "all_items", lambda: three.items)
    return three


def run(*arguments: str) -> str:
    done = CliRunner().invoke(build.main, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_items_are_made_when_they_are_out_of_date_and_only_then(three):
    assert "a/first: first is missing, it was never recorded\n    made in" in run()
    assert three.made == ["first", "second"]
    assert "a/first: up to date\na/second: up to date" in run()
    assert three.made == ["first", "second"]
    three.setting = "2"
    assert "a/second: first changed\n    made in" in run()
    assert three.made == ["first", "second"] * 2
    three.files["second"].unlink()
    assert "a/second: second is missing\n    made in" in run()
    assert three.made[4:] == ["second"]


def test_what_cannot_be_made_is_skipped_with_a_sentence_and_not_recorded(three):
    assert "b/third: third is missing, it was never recorded\n" in run()
    assert run("b").endswith("    skipped: The data set is missing.\n")
    assert list(build.read_manifest()) == ["a/first", "a/second"]


def test_names_and_force(three):
    run("a/second")
    assert three.made == ["second"]
    run("a")
    assert three.made == ["second", "first", "second"], "the second anew, as the first changed"
    assert "a/first: asked for" in run("a/first", "--force")
    assert three.made[3:] == ["first"]
    unknown = CliRunner().invoke(build.main, ["c"])
    assert unknown.exit_code == 2
    assert "choose from a, a/first, a/second, b, b/third" in " ".join(unknown.output.split())


def test_an_item_that_is_no_more_leaves_the_manifest(three):
    run()
    three.items.pop(0)
    run("a/second", "--force")
    assert list(json.loads(build.MANIFEST.read_text())) == ["a/second"]
