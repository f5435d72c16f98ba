"""The direction of imports: each layer imports from those below it, pages apart, no circles."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "dale_demo"
LAYERS = (
    {"checks"},
    {"process", "noise", "datasets", "data_files", "idx", "picture", "hardware"},
    {"score", "preconditioning", "objectives", "data", "augmentation"},
    {"samplers", "toy", "toy_network", "network", "paper"},
    {"plasticity", "drawing"},
    {"checkpoint", "weights", "theory"},
    {"sampling", "trajectory", "restoration"},
    {"training", "evaluation", "hub"},
    {"cli", "ui"},
    {"__main__"},
)
"""The package from the bottom up; within a layer, imports have no direction but make no circle."""
PAGES = {"sample", "restore", "dales_law", "weights", "playground", "theory"}
FOR_PAGES_ONLY = {"streamlit", "plotly"}

Imports = dict[str, set[str]]
"""Module → the modules that it imports, at its top or inside a function."""


def sources() -> dict[str, str]:
    """Module → source, of the whole package."""
    files = (ROOT / PACKAGE).rglob("*.py")
    named = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in files}
    return {name.removesuffix(".__init__"): file.read_text() for name, file in named.items()}


def imports(sources: Mapping[str, str]) -> Imports:
    """What each module imports when it runs; imports for type checkers alone do not count."""
    known = frozenset(sources)
    return {name: _imports_of(text, known) for name, text in sources.items()}


@cache
def _imports_of(text: str, known: frozenset[str]) -> set[str]:
    return set(_imported(ast.parse(text), known))


def _imported(tree: ast.AST, known: frozenset[str]) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (m if m in known else str(node.module) for m in modules)
        yield from _imported(node, known)


def faults(graph: Imports) -> list[str]:
    """Every arrow that points the wrong way, and one circle if there is any."""
    found = [
        f"{module} imports {target}"
        for module, targets in graph.items()
        for target in targets
        if _is_wrong(module, target)
    ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append("circle: " + " ← ".join(error.args[1]))
    return sorted(found)


def _is_wrong(module: str, target: str) -> bool:
    if _layer(target) > _layer(module):
        return True
    if not module.startswith(f"{PACKAGE}.ui"):
        return target.startswith(f"{PACKAGE}.ui") or target.split(".")[0] in FOR_PAGES_ONLY
    own, other = _page(module), _page(target)
    return other is not None and own != other and module != f"{PACKAGE}.ui.build"


def _layer(module: str) -> int:
    """Its place in `LAYERS`; below all of them for what is not of the package."""
    package, _, rest = module.partition(".")
    part = rest.split(".")[0]
    if package != PACKAGE or not part:
        return -1
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


def _page(module: str) -> str | None:
    parts = module.split(".")
    return parts[2] if parts[:2] == [PACKAGE, "ui"] and parts[2:3] and parts[2] in PAGES else None


def test_imports_point_down():
    assert faults(imports(sources())) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("dale_demo.process", "from dale_demo.ui.shared import widgets"),
        ("dale_demo.sampling", "import streamlit as st"),
        ("dale_demo.evaluation.report", "def draw():\n    import plotly.graph_objects"),
        ("dale_demo.ui.sample.page", "from dale_demo.ui.restore.gallery import gallery"),
        ("dale_demo.ui.shared.widgets", "from dale_demo.ui.theory import page"),
        ("dale_demo.process", "from dale_demo.sampling import run"),
        ("dale_demo.data", "from dale_demo.drawing import frames"),
        ("dale_demo.checkpoint.card", "from dale_demo.evaluation import report"),
        ("dale_demo.hub.names", "def find():\n    from dale_demo.cli.options import find_device"),
    ],
)
def test_a_wrong_import_is_found(module: str, line: str):
    changed = sources()
    changed[module] += f"\n{line}\n"
    assert faults(imports(changed))


def test_imports_for_type_checkers_do_not_count():
    changed = sources()
    changed["dale_demo.process"] += "\nif TYPE_CHECKING:\n    from dale_demo.sampling import run\n"
    assert faults(imports(changed)) == []
