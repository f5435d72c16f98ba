"""The page Theory: from dX = μX dt + σX dW to the update rule, in three depths."""

import inspect
import time
from operator import attrgetter
from textwrap import dedent
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dale_demo.drawing.markdown import table
from dale_demo.theory import notation
from dale_demo.theory.references import ABOUT_RELATED, BIBTEX, REFERENCES, related_work
from dale_demo.ui.shared.warm_up import import_in_turn, warm_up
from dale_demo.ui.theory.sections import SECTIONS, Equation, Section
from dale_demo.ui.theory.stored_pictures import load_figure

if TYPE_CHECKING:
    from dale_demo.theory.claims import Claim

PICTURE, MECHANISM, FORMULA = DEPTHS = ("Picture", "Mechanism", "Formula")
MEASURING = "dale_demo.theory.measurements"
"""Module that imports PyTorch, which figures and mechanisms do not need."""

TAGLINE = (
    "How noise that multiplies leads to an update that never changes a sign, in nine steps. Each "
    "has three depths: a **picture**; the **mechanism** in words; the **formula**, beside the code "
    "that computes it and numbers, measured when you open it, that confirm it."
)
ABOUT_ERRORS = (
    "± is one standard error of the difference (s.e.), or a tolerance where nothing is random; "
    "numbers agree if they are at most five standard errors apart."
)
ABOUT_NUMBERS = (
    "Each table contains a plausible mistake, which must differ. KS is the Kolmogorov–Smirnov "
    "distance, the largest gap between two distribution functions; its expected value is the mean "
    "for samples of the correct distribution."
)
NUMBERS_HEAD = ("what", "measured", "should be", "verdict")


def page() -> None:
    """Draw the page: all figures first, so that they appear at once, then the open depths."""
    st.title("Theory")
    st.markdown(TAGLINE)
    _depth_of_all()
    slots = [_figure(number, section) for number, section in enumerate(SECTIONS, 1)]
    _appendix()
    with st.sidebar:
        st.markdown(_contents())
    warm_up(MEASURING)
    for section, slot in zip(SECTIONS, slots, strict=True):
        with slot:
            _depth(section)


def _depth_of_all() -> None:
    labels = {PICTURE: "Pictures only", MECHANISM: "All mechanisms", FORMULA: "All formulas"}
    with st.container(horizontal=True):
        for depth, label in labels.items():
            st.button(label, key=f"depths-{depth.lower()}", on_click=_set_all, args=(depth,))


def _set_all(depth: str) -> None:
    st.session_state.update({_key(section): depth for section in SECTIONS})


def _key(section: Section) -> str:
    """Key of a section's depth in the session and in the address."""
    return f"depth-{section.name}"


def _figure(number: int, section: Section) -> DeltaGenerator:
    """Draw the outermost depth and return a container for the others."""
    st.header(f"{number}. {section.title}", anchor=section.name, divider="gray")
    left, right = st.columns([5, 6], gap="large", vertical_alignment="center")
    left.markdown(f"<div>\n{load_figure(section.name)}</div>", unsafe_allow_html=True)
    right.markdown(section.picture)
    return st.container()


def _contents() -> str:
    lines = (
        f"{number}. [{section.title}](#{section.name})"
        for number, section in enumerate(SECTIONS, 1)
    )
    appendix = "[Related work](#related-work) · [References](#references) · [Notation](#notation)"
    return "\n".join([*lines, "", appendix])


@st.fragment
def _depth(section: Section) -> None:
    """Draw the depth that the visitor chose."""
    depth = st.segmented_control(
        f"Depth of section {section.title}",
        DEPTHS,
        default=PICTURE,
        required=True,
        key=_key(section),
        bind="query-params",
        label_visibility="collapsed",
    )
    if depth in (MECHANISM, FORMULA):
        st.markdown(section.mechanism)
    if depth == FORMULA:
        _formula(section)


def _formula(section: Section) -> None:
    st.markdown(section.derivation)
    with st.spinner("Loading PyTorch …"):
        import_in_turn(MEASURING)
    for equation in section.equations:
        _beside_its_code(equation)
    _numbers(section)
    cited = (REFERENCES[key] for key in section.sources)
    st.caption("After " + ", ".join(f"[{r.short}]({r.link})" for r in cited) + ".")


def _beside_its_code(equation: Equation) -> None:
    code, place = source(equation.source)
    with st.container(border=True):
        st.latex(equation.formula)
        st.code(code, language="python")
        st.caption(place)


def source(address: str) -> tuple[str, str]:
    """Read the code at "module:name" and say in which file and line it is."""
    module, name = address.split(":")
    lines, start = inspect.getsourcelines(attrgetter(name)(import_in_turn(module)))
    return dedent("".join(lines)), f"{module.replace('.', '/')}.py, line {start}"


def _numbers(section: Section) -> None:
    """Measure now, and show the numbers beside those of the theory."""
    from dale_demo.theory.measurements import MEASUREMENTS

    seed = st.session_state.setdefault(f"draw-{section.name}", 0)
    begin = time.perf_counter()
    claims = MEASUREMENTS[section.name](seed)
    seconds = time.perf_counter() - begin
    st.markdown(table(NUMBERS_HEAD, [_row(claim) for claim in claims]))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Measure again",
            key=f"measure-{section.name}",
            icon=":material/casino:",
            on_click=_draw_again,
            args=(section,),
        )
        st.caption(f"Measured just now in {1000 * seconds:.0f} ms, seed {seed}.")
    st.caption(ABOUT_ERRORS)
    with st.expander("How this was measured"):
        st.markdown(ABOUT_NUMBERS)
        st.code(source(f"{MEASURING}:{section.name}")[0], language="python")


def _draw_again(section: Section) -> None:
    st.session_state[f"draw-{section.name}"] += 1


def _row(claim: "Claim") -> tuple[str, ...]:
    error = f"{claim.error:.2g}" if claim.random else f"{claim.error:.0e} (tolerance)"
    text = claim.text.replace("|", "\\|")
    numbers = f"{claim.measured:.4g} ± {error}", f"{claim.expected:.4g}"
    return text, *(number.replace("-", "−") for number in numbers), verdict(claim)


def verdict(claim: "Claim") -> str:
    """Say in words whether a claim holds."""
    apart = f"{claim.apart:.1f} s.e. apart" if claim.random else ""
    if claim.control:
        words = "differs, as it must" if claim.holds else "**not told apart**"
    else:
        words = "agrees" if claim.holds else "**does not agree**"
    return ", ".join(filter(None, (words, apart)))


def _appendix() -> None:
    """Draw related work, references, notation and citation."""
    st.header("Related work", anchor="related-work", divider="gray")
    st.markdown(related_work())
    st.caption(ABOUT_RELATED)
    st.header("References", anchor="references", divider="gray")
    st.markdown(
        "\n".join(f"- {r.authors}: [{r.title}]({r.link}). {r.place}." for r in REFERENCES.values())
    )
    st.header("Notation", anchor="notation", divider="gray")
    st.markdown("The same letters are used in the code, its docstrings and the app.")
    st.markdown(notation.table())
    st.header("Cite the paper", anchor="cite", divider="gray")
    st.code(BIBTEX, language="bibtex")
