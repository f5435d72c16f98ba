"""Look up and load networks as a second process of the app does: `… MAX_BYTES NAME…`.

Prints a line when its imports are done, then how many it loaded and the errors, as JSON.
"""

import json
import sys
from collections.abc import Sequence

from dale_demo.checkpoint.files import CheckpointError
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.hub import client, resolve
from dale_demo.hub.bounded_cache import BoundedCache


def use(names: Sequence[str]) -> tuple[int, list[str]]:
    """Load each network from its folder; returns how many were loaded, and the errors."""
    loaded, errors = 0, []
    for name in names:
        try:
            load_checkpoint(resolve(name, public=True).folder)
            loaded += 1
        except CheckpointError as error:
            errors.append(str(error))
    return loaded, errors


if __name__ == "__main__":
    client.PUBLIC_NETWORKS = BoundedCache(int(sys.argv[1]), 99)
    print("ready", flush=True)
    print(json.dumps(use(sys.argv[2:])))
