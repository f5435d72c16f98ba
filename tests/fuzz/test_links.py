"""Links: each of the six pages is opened at addresses that no page has written."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from dale_demo.hub import lookup
from dale_demo.hub.names import UnreachableError
from dale_demo.theory.measurements import MEASUREMENTS
from dale_demo.toy import ToySettings
from dale_demo.ui.dales_law import page as dales_law
from dale_demo.ui.dales_law.settings import RULES, TASKS, key_of
from dale_demo.ui.playground import page as playground
from dale_demo.ui.restore import page as restore
from dale_demo.ui.restore import restore_section, session
from dale_demo.ui.sample import page as sample
from dale_demo.ui.theory import page as theory
from dale_demo.ui.weights import page as weights
from dale_demo.ui.weights import settings as weights_settings
from dale_demo.weights.tensors import WeightsError
from tests.fuzz.harness import SEED, STUCK_SECONDS, failures, fault_of

COUNT = 62
"""Links to each page."""
ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {
    "sample": ROOT / "app.py",
    **{name: ROOT / f"tests/ui/{name}/app.py" for name in ("restore", "dales_law", "weights")},
    **{name: ROOT / f"tests/ui/{name}/app.py" for name in ("playground", "theory")},
}
KEYS: dict[str, tuple[str, ...]] = {
    "sample": (
        *("network", "sampler", "noise_level", "steps", "classes", "guidance", "pictures", "seed"),
        *("mu", "grid", "start", "annealing", "repeats", "step_size", "preset"),
        *("tweedie", "tweedie_steps"),
    ),
    "restore": (
        *("restorer", "picture", "level", "noise", "drawer", "walk", "draws", "hole", "answers"),
    ),
    "dales_law": (
        *("task", "rules", "draw", "synaptic-noise", *(f"eta-{rule}" for rule in RULES)),
        *(key_of(task, size.name) for task, (_, sizes) in TASKS.items() for size in sizes),
    ),
    "weights": (
        *("weights", "beside", "start", "layer", "cortex", "weights-file", "weights-column"),
        *("beside-file", "start-column"),
    ),
    "playground": (
        *("data", "left", "right", "points", "noise", "steps", "grid", "delta", "seed"),
        "direction",
    ),
    "theory": tuple(f"depth-{name}" for name in MEASUREMENTS),
}
KEYS["playground"] = tuple(f"play-{key}" for key in KEYS["playground"])
NUMBERS = (
    *("inf", "-inf", "Infinity", "nan", "NaN", "1e999", "-1e999", "1e308", "1e400", "9" * 5_000),
    *("-" + "9" * 400, "0", "-0", "-1", "1e-400", "5e-324", "0.5", "1.5", "3", "2147483648"),
    *("1_000", "٣", "0x10", "1e3", "+1", " 1 ", "1,5", "9007199254740993", "1" + "0" * 400),
)
WORDS = (
    *("", " ", "null", "None", "true", "True", "[]", "{}", "../../etc/passwd", "/dev/zero", "\0"),
    *("\ufffd", "𝕏", "x" * 5_000, "a/b", "a/b@../..", "<script>", "**bold**", "%00", "mnist"),
    *(
        "no class",
        "0",
        "painted points",
        "my upload",
        "my drawing",
        "my file",
        "AAAA",
        "Formula",
        "dense",
    ),
    "data to noise",
)
LAYER = "unet.first.weight"
WORST = ("inf", "-1e999", "nan", "9" * 5_000, "1e308")
VALUES = (*NUMBERS, *WORDS)

DRAWN = (
    *((sample, "player"), (dales_law, "learning_player"), (playground, "particle_player")),
    *((dales_law.story, "draw"), (playground, "_compare"), (restore.story, "qualities")),
    (theory, "_numbers"),
    *((weights, "_distributions"), (weights, "_numbers"), (weights, "_layers")),
)
"""What pages draw of finished runs, whatever the address; it is left out."""

Link = tuple[str, dict[str, str | list[str]]]
"""A page and its query."""


def cases(seed: int = SEED) -> list[tuple[str, Link]]:
    """Every key with two of the worst numbers, then links of one to four keys, for each page."""
    random = Random(seed)
    found: list[tuple[str, Link]] = []
    for page, keys in KEYS.items():
        links: list[dict[str, str | list[str]]] = [
            {key: value} for key in keys for value in random.sample(WORST, 2)
        ]
        while len(links) < COUNT:
            chosen = random.choices(
                (*keys, "embed", "unknown", "x" * 3_000), k=random.randint(1, 4)
            )
            links.append({key: random.choice(VALUES) for key in chosen})
            if random.random() < 0.2:
                links[-1][random.choice(keys)] = [random.choice(VALUES) for _ in range(3)]
        found += [(f"{page}?{_short(link)}", (page, link)) for link in links]
    return found


def _short(link: dict[str, str | list[str]]) -> str:
    return "&".join(f"{key[:30]}={str(value)[:30]!r}" for key, value in link.items())


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages that wait, sample, measure and ask the Hub for nothing."""

    def unreachable(name: object, public: bool) -> None:
        raise UnreachableError(f"{name} cannot be downloaded: the Hub gives no answer.")

    def not_found(name: str) -> None:
        raise WeightsError(f"The Hub has no repository {name}.")

    for module in (sample, restore, dales_law):
        monkeypatch.setattr(module, "HEAD_START", 0)
    monkeypatch.setattr(lookup, "_from_hub", unreachable)
    monkeypatch.setattr(weights_settings, "find_model", not_found)
    first = playground.paths("rings", "", "dale-langevin", ToySettings(particles=4))
    monkeypatch.setattr(playground, "paths", lambda *_: first)
    for module, part in DRAWN:
        monkeypatch.setattr(module, part, lambda *_, **__: None)
    stored = restore.load_stored_results()
    monkeypatch.setattr(restore_section, "restored", lambda *_: stored.restored[1])
    monkeypatch.setattr(restore_section, "compare", lambda *_: session.last_results().table[1])
    # AppTest looks through all installed packages for components at every start.
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", lambda *_, **__: [])


def opened(link: Link) -> AppTest:
    page, query = link
    app = AppTest.from_file(str(SCRIPTS[page]), default_timeout=STUCK_SECONDS)
    app.query_params.update(query)
    return app.run()


def attempt(link: Link) -> None:
    app = opened(link)
    assert not app.exception, f"{app.exception[0].message} | {app.exception[0].stack_trace[-2:]}"
    for said in (*app.warning, *app.error):
        assert fault_of(said.value) is None, f"a message {fault_of(said.value)}"
    assert app.title, "the page is empty"


@pytest.mark.usefixtures("cheap")
def test_no_link_hurts(recwarn):
    tried = cases()
    assert len(tried) >= 300
    for page in KEYS:
        opened((page, {}))  # imports, which no visitor after the first waits for
    assert not (found := failures(tried, attempt, ())), "\n".join(found)


@pytest.mark.usefixtures("cheap")
def test_a_sound_link_is_obeyed():
    """The negative control: links reach the widgets of every page."""
    sound: dict[str, tuple[str, str, Callable[[AppTest], object], object]] = {
        "sample": ("seed", "7", lambda app: app.number_input(key="seed").value, 7),
        "restore": ("noise", "7", lambda app: app.number_input(key="noise").value, 7),
        "dales_law": ("draw", "7", lambda app: app.number_input(key="draw").value, 7),
        "weights": ("layer", LAYER, lambda app: app.selectbox(key="layer").value, LAYER),
        "playground": ("play-seed", "7", lambda app: app.number_input(key="play-seed").value, 7),
        "theory": (
            "depth-score",
            "Mechanism",
            lambda a: a.session_state["depth-score"],
            "Mechanism",
        ),
    }
    for page, (key, value, read, expected) in sound.items():
        assert read(opened((page, {key: value}))) == expected, page
