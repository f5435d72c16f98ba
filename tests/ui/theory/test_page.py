"""The page Theory without a browser: its three depths, code, numbers and address."""

import inspect
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dale_demo import samplers
from dale_demo.theory.claims import Claim
from dale_demo.theory.measurements import MEASUREMENTS
from dale_demo.theory.notation import table
from dale_demo.theory.pictures import PICTURES
from dale_demo.theory.references import ABOUT_RELATED, BIBTEX, REFERENCES, related_work
from dale_demo.ui.theory import page
from dale_demo.ui.theory.sections import SECTIONS, Section
from dale_demo.ui.theory.stored_pictures import load_figure

PAGE = Path(__file__).with_name("app.py")
NAMES = [section.name for section in SECTIONS]


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=120)


def opened(app: AppTest, **query: str) -> AppTest:
    app.query_params.update(query)
    app.run()
    assert not app.exception
    return app


def codes(app: AppTest) -> list[str]:
    return [code.value for code in app.code]


def texts(app: AppTest) -> str:
    return "\n".join(m.value for m in app.markdown)


def depths(app: AppTest) -> list[str]:
    return [app.session_state[f"depth-{name}"] for name in NAMES]


def test_every_section_has_a_figure_and_a_measurement():
    assert NAMES == list(MEASUREMENTS) == list(PICTURES)


def test_opens_with_figures_and_measures_nothing(app, monkeypatch):
    for name in NAMES:
        monkeypatch.setitem(MEASUREMENTS, name, lambda _: pytest.fail("measured on load"))
    opened(app)
    shown = texts(app)
    assert all(load_figure(name) in shown for name in NAMES)
    assert codes(app) == [BIBTEX]
    assert depths(app) == ["Picture"] * len(NAMES)


def test_the_page_itself_imports_no_torch():
    """In a fresh process, so that what other tests imported does not count."""
    import subprocess

    script = "import sys, dale_demo.ui.theory.page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=PAGE.parents[3]).returncode == 0


def test_a_mechanism_is_words_without_code(app):
    opened(app, **{"depth-reverse": "Mechanism"})
    section = SECTIONS[NAMES.index("reverse")]
    assert section.mechanism.strip() in texts(app)
    assert section.derivation.strip() not in texts(app)
    assert codes(app) == [BIBTEX]


@pytest.mark.parametrize("section", SECTIONS, ids=NAMES)
def test_a_formula_stands_beside_its_code_with_numbers(app, section: Section):
    opened(app, **{f"depth-{section.name}": "Formula"})
    assert section.derivation.strip() in texts(app)
    assert [latex.value.strip("$\n") for latex in app.latex] == [
        e.formula for e in section.equations
    ]
    sources = [page.source(equation.source)[0] for equation in section.equations]
    measuring = page.source(f"dale_demo.theory.measurements:{section.name}")[0]
    assert [c for c in codes(app) if c != BIBTEX] == [c.strip() for c in (*sources, measuring)]
    numbers = next(m.value for m in app.markdown if m.value.startswith("| what"))
    claims = MEASUREMENTS[section.name](0)
    assert len(numbers.splitlines()) == 2 + len(claims)
    assert numbers.count("differs, as it must") == sum(claim.control for claim in claims)
    assert "**" not in numbers, "all hold"


def test_code_is_that_of_the_source():
    code, place = page.source("dale_demo.samplers:dale_langevin")
    assert code == inspect.getsource(samplers.dale_langevin)
    line = int(re.fullmatch(r"dale_demo/samplers\.py, line (\d+)", place)[1])
    assert (
        Path(samplers.__file__).read_text().splitlines()[line - 1].startswith("def dale_langevin")
    )
    method, _ = page.source("dale_demo.process:GeometricBrownianMotion.forward")
    assert method.startswith("def forward"), "without the indentation of its class"


def test_measuring_again_draws_anew(app):
    opened(app, **{"depth-motion": "Formula"})

    def numbers() -> str:
        return next(m.value for m in app.markdown if m.value.startswith("| what"))

    first = numbers()
    app.button(key="measure-motion").click().run()
    assert any("seed 1." in caption.value for caption in app.caption)
    assert numbers() != first


def test_buttons_open_and_close_every_section(app):
    opened(app)
    app.button(key="depths-mechanism").click().run()
    assert depths(app) == ["Mechanism"] * len(NAMES)
    app.button(key="depths-formula").click().run()
    assert depths(app) == ["Formula"] * len(NAMES)
    assert not app.exception
    assert len(app.latex) == sum(len(section.equations) for section in SECTIONS)
    app.button(key="depths-picture").click().run()
    assert codes(app) == [BIBTEX]


@pytest.mark.parametrize("bad", ["deep", "", "formulas", "../etc", "Picture,Formula"])
def test_a_bad_address_falls_back_to_the_figure(app, bad):
    opened(app, **{"depth-score": bad})
    assert codes(app) == [BIBTEX]
    assert SECTIONS[1].mechanism.strip() not in texts(app)


def test_no_display_formula_shares_a_line():
    """Streamlit takes a formula of several lines only where its $$ stand alone."""
    for section in SECTIONS:
        assert all(line == "$$" for line in section.derivation.splitlines() if "$$" in line)


def test_the_verdict_names_a_failed_claim():
    wrong = Claim("", 2.0, 1.0, 0.1)
    assert page.verdict(wrong) == "**does not agree**, 10.0 s.e. apart"
    assert page.verdict(Claim("", 1.0, 1.0, 0.1, control=True)).startswith("**not told apart**")
    assert page.verdict(Claim("", 1.0, 1.0, 0.1, random=False)) == "agrees"


def test_references_notation_and_citation(app):
    opened(app)
    shown = texts(app)
    assert all(reference.link in shown for reference in REFERENCES.values())
    assert table() in shown
    assert related_work() in shown
    assert ABOUT_RELATED in [caption.value for caption in app.caption]
    cited = {key for section in SECTIONS for key in section.sources}
    assert cited == set(REFERENCES)
    assert "2510.02730" in BIBTEX


def test_contents_lead_to_every_section(app):
    opened(app)
    links = re.findall(r"\(#([\w-]+)\)", app.sidebar.markdown[0].value)
    assert links[: len(NAMES)] == NAMES
    assert set(links) <= {header.proto.anchor for header in app.header}


@pytest.mark.parametrize("name", NAMES)
def test_stored_figures_match_the_library(name):
    """If one changed: `python -m dale_demo.ui.build theory`."""
    number = r"-?\d+\.?\d*"
    made, kept = PICTURES[name]().svg(), load_figure(name)
    assert re.sub(number, "#", made) == re.sub(number, "#", kept)
    first, second = (np.array(re.findall(number, text), float) for text in (made, kept))
    np.testing.assert_allclose(first, second, atol=0.5)
