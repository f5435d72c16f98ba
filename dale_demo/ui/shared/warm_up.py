"""Import what a page will need in the background, while the visitor reads."""

import sys
import threading
from importlib import import_module


def warm_up(module: str) -> None:
    """Import `module` in a thread of its own, which takes seconds where it needs PyTorch."""
    if module not in sys.modules:
        threading.Thread(target=import_module, args=(module,), daemon=True).start()
