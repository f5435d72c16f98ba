"""Import pages and what they will need, for several visitors at once."""

import gc
import sys
import threading
from importlib import import_module
from types import ModuleType

_turn = threading.Lock()


def import_in_turn(module: str) -> ModuleType:
    """Import `module` while nobody else imports one by this function.

    Two threads at once can break each other's imports. One runs the face of a package and has the
    lock of a module in it; the other runs a second module, which needs the first one's lock and
    which the face needs. Python then hands out a module that is half imported, and a visitor gets
    an ImportError.
    """
    with _turn:
        known = module in sys.modules
        imported = import_module(module)
        if not known:
            freeze()
        return imported


def freeze() -> None:
    """Keep all objects that there are out of the garbage collector's sight; after loading much.

    Streamlit collects garbage after every run of a page, and would look through all objects of
    PyTorch each time, which takes 0.2 s. What was frozen before and is garbage by now, such as the
    session of a visitor who has left, is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def warm_up(module: str) -> None:
    """Import `module` in a thread of its own, which takes seconds where it needs PyTorch."""
    if module not in sys.modules:
        threading.Thread(target=import_in_turn, args=(module,), daemon=True).start()
