"""A link with numbers that no widget can use opens like one without them."""

from itertools import cycle, islice
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dale_demo.checkpoint import folder as checkpoint
from dale_demo.ui.dales_law import page as dales_law
from dale_demo.ui.dales_law.settings import TASKS
from dale_demo.ui.playground import page as playground
from dale_demo.ui.restore import page as restore
from dale_demo.ui.sample import page as sample
from dale_demo.ui.shared.query import LONGEST_TEXT, NUMBERS, plausible
from tests.tiny_network import save_tiny

UI = Path(__file__).resolve().parents[1]
WHOLE_APP = UI.parents[1] / "app.py"
BAD = {
    "infinity": "inf",
    "minus infinity": "-Infinity",
    "not a number": "nan",
    "overflow": "1e999",
    "5,000 nines": "9" * 5000,
    "empty": "",
    "space": " ",
    "underscore": "1_0",
    "Arabic digits": "٣",
    "hexadecimal": "0x10",
    "null": "1\0",
    "list": ["1", "inf"],
}
GOOD = ["0", "-0", "+3", "1.", ".5", "-0.25", "1e-06", "2E+3", "2147483647", "9" * 32]
SAMPLE = {
    "noise_level": "2.5",
    "steps": "3",
    "guidance": "2",
    "pictures": "2",
    "seed": "7",
    "mu": "-0.5",
    "annealing": "0.5",
    "repeats": "2",
    "step_size": "0.001",
    "tweedie_steps": "4",
    "sampler": "dale-langevin",
}
RESTORE = {"level": "0.3", "noise": "4", "walk": "2", "draws": "2", "answers": "2"}
PLAYGROUND = {
    "play-noise": "1.5",
    "play-steps": "3",
    "play-delta": "0.01",
    "play-seed": "5",
    "play-left": "dale-langevin",
}
RATES = {
    **{f"eta-{rule}": "0.5" for rule in ("gd", "sign-constrained", "eg", "adam", "eg-adam")},
    "draw": "3",
    "synaptic-noise": "0.02",
    "rules": ["GD", "sign-constrained", "EG", "Adam", "EG-Adam"],
}
SIZES = {
    "r-of-k": {"inputs": "200", "relevant": "9", "epochs": "5"},
    "sparse": {"inputs": "100", "relevant": "4", "trials": "500"},
    "dense": {"inputs": "20", "trials": "500"},
    "correlated": {"inputs": "1000", "examples": "20", "epochs": "100"},
    "digits": {"hidden": "20", "epochs": "2"},
    "score": {"hidden": "64", "epochs": "10"},
}
LINKS: dict[str, tuple[Path, dict[str, str]]] = {
    "sample": (WHOLE_APP, SAMPLE),
    "restore": (UI / "restore" / "app.py", RESTORE),
    "playground": (UI / "playground" / "app.py", PLAYGROUND),
    **{
        task: (
            UI / "dales_law" / "app.py",
            {"task": task, **RATES, **{f"{task}-{name}": v for name, v in SIZES[task].items()}},
        )
        for task in TASKS
    },
}
"""Page, or task of the page Dale's law → script, and a link that sets every number."""
BODIES = (
    (sample, "_show"),
    (sample, "_explain"),
    (restore, "_show"),
    (dales_law.story, "draw"),
    (playground, "_play"),
    (playground, "_compare"),
)
"""What the pages draw besides their widgets, which takes long."""


@pytest.fixture
def open_link(tmp_path, monkeypatch):
    """Open the widgets of a page at an address; the page Sample has a tiny network only."""
    for page, name in BODIES:
        monkeypatch.setattr(page, name, lambda *_: None)
    for page in (sample, restore, dales_law):
        monkeypatch.setattr(page, "HEAD_START", 0)

    def opened(page: str, query: dict[str, str | list[str]]) -> AppTest:
        script, _ = LINKS[page]
        if page == "sample":
            monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
            save_tiny(tmp_path / "tiny")
        app = AppTest.from_file(str(script), default_timeout=120)
        app.query_params.update(query)
        return app.run()

    return opened


def numbers(app: AppTest) -> dict[str, float]:
    """Key → value of every widget that stands for a number."""
    widgets = [*app.number_input, *app.slider, *app.select_slider]
    return {widget.key: widget.value for widget in widgets}


def words(link: dict[str, str]) -> dict[str, str]:
    """The part of a link that is not numbers."""
    return {key: value for key, value in link.items() if key not in NUMBERS}


@pytest.mark.parametrize("page", LINKS)
def test_good_numbers_arrive(open_link, page):
    link = LINKS[page][1]
    app = open_link(page, link)
    assert not app.exception
    shown = numbers(app)
    assert shown.keys() == link.keys() & NUMBERS
    assert {key: float(value) for key, value in shown.items()} == {
        key: float(link[key]) for key in shown
    }


@pytest.mark.parametrize("page", ["sample", "restore", "playground", "r-of-k"])
def test_bad_numbers_leave_the_defaults(open_link, page):
    """Every bad number in some widget; that none is plausible in any is tested below."""
    link = LINKS[page][1]
    untouched = numbers(open_link(page, words(link)))
    for first in range(0, len(BAD), len(untouched)):
        bad = islice(cycle(BAD.values()), first, None)
        app = open_link(page, {**dict(zip(untouched, bad, strict=False)), **words(link)})
        assert not app.exception
        assert numbers(app) == untouched
        assert not untouched.keys() & app.query_params.keys(), "the address is rid of them"


@pytest.mark.parametrize("page", sorted({*LINKS} - {"sample", "restore", "playground", "r-of-k"}))
def test_the_sizes_of_every_task_are_cleaned(open_link, page):
    link = LINKS[page][1]
    app = open_link(page, {**dict.fromkeys(link, "inf"), **words(link)})
    assert not app.exception


def test_a_bad_number_takes_no_good_one_with_it(open_link):
    app = open_link("sample", {"seed": "inf", "steps": "3", "campaign": "inf", "network": "tiny"})
    assert not app.exception
    shown = numbers(app)
    assert (shown["seed"], shown["steps"]) == (0, 3)
    assert app.query_params["campaign"] == "inf", "a parameter of somebody else stays"


def test_a_bad_number_that_comes_later_changes_nothing(open_link):
    """The browser's Back button brings an address while the widgets are bound to it."""
    app = open_link("restore", {"noise": "4"})
    app.query_params["noise"] = "inf"
    app.run()
    assert not app.exception
    assert numbers(app)["noise"] in (0, 4)


def test_every_number_of_every_page_is_known():
    """`LINKS` sets all numbers that a page has, which `test_good_numbers_arrive` checks."""
    assert {key for _, link in LINKS.values() for key in link if key in NUMBERS} == NUMBERS


@pytest.mark.parametrize("key", sorted(NUMBERS))
def test_every_number_is_told_from_what_is_none(key):
    assert all(plausible(key, value) for value in GOOD)
    values = [v for bad in BAD.values() for v in (bad[1:] if isinstance(bad, list) else [bad])]
    assert not any(plausible(key, value) for value in values)


def test_words_may_look_like_numbers_but_not_be_endless():
    assert plausible("network", "nan")
    assert plausible("play-points", "A" * 534)
    assert not plausible("network", "A" * (LONGEST_TEXT + 1))
