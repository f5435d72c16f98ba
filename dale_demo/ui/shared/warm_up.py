"""What a page will need, imported while the visitor looks around."""

import sys
import threading
from importlib import import_module


def warm_up(module: str) -> None:
    """Import `module` in a thread of its own, seconds once in a process where it needs PyTorch."""
    if module not in sys.modules:
        threading.Thread(target=import_module, args=(module,), daemon=True).start()
