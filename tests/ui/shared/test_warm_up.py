"""Modules that several visitors' pages import at once."""

import gc
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

from dale_demo.ui.shared.warm_up import freeze, import_in_turn

FILES = {
    "__init__": (
        "import time; time.sleep(0.3)\nfrom {0}.low import LOW\nfrom {0}.high import HIGH\n"
    ),
    "low": "LOW = 1\n",
    "high": "from {0}.low import LOW\nHIGH = 1\n",
}
"""A package whose face needs both of its modules, the higher of which needs the lower."""


@pytest.mark.parametrize(("load", "sound"), [(import_in_turn, True), (import_module, False)])
def test_two_threads_import_modules_of_one_package(tmp_path, monkeypatch, load, sound):
    """Python's own import, the negative control, lets each thread wait for the other."""
    package = f"of_{load.__name__}"
    (tmp_path / package).mkdir()
    for name, code in FILES.items():
        (tmp_path / package / f"{name}.py").write_text(code.format(package))
    monkeypatch.syspath_prepend(tmp_path)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(load, f"{package}.low")
        time.sleep(0.1)
        second = threads.submit(load, f"{package}.high")
    errors = [first.exception(), second.exception()]
    assert (errors == [None, None]) == sound, errors
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def test_what_is_imported_is_out_of_the_garbage_collector_s_sight(tmp_path, monkeypatch):
    (tmp_path / "heavy.py").write_text("OBJECTS = [[i] for i in range(50_000)]\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        before = gc.get_freeze_count()
        import_in_turn("heavy")
        frozen = gc.get_freeze_count()
        assert frozen - before > 50_000
        import_in_turn("heavy")
        assert gc.get_freeze_count() == frozen, "once for each module"
    finally:
        gc.unfreeze()
        del sys.modules["heavy"]


def test_what_was_frozen_and_left_is_collected_at_the_next_freeze():
    class Session:
        """Refers to itself, as what a visitor leaves behind does."""

        def __init__(self):
            self.own = self

    session = Session()
    left = weakref.ref(session)
    try:
        freeze()
        del session
        gc.collect()
        assert left() is not None, "out of the collector's sight"
        freeze()
        assert left() is None
    finally:
        gc.unfreeze()
