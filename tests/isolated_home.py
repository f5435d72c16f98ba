"""Give the test run a home folder of its own, before any library reads where home is.

huggingface_hub and others read these variables once, when they are imported, and what they keep
there from another day changes what they do. Imported first by conftest.py; processes that tests
start inherit the environment.
"""

import os
import site
import tempfile

_PREFIXES = ("HF_", "HUGGING", "TRANSFORMERS_OFFLINE", "DALE_NETWORKS", "SPACE_ID")

if "PYTEST_XDIST_WORKER" not in os.environ:  # pytest's workers inherit the home of their parent
    _home = tempfile.TemporaryDirectory(prefix="dale-tests-", ignore_cleanup_errors=True)
    for _name in [name for name in os.environ if name.startswith(_PREFIXES)]:
        del os.environ[_name]
    os.environ |= {
        "PYTHONUSERBASE": site.getuserbase(),  # packages may be installed below the real home
        "HOME": _home.name,
        "USERPROFILE": _home.name,
        "XDG_CACHE_HOME": f"{_home.name}/cache",
        "XDG_CONFIG_HOME": f"{_home.name}/config",
        "HF_HOME": f"{_home.name}/huggingface",
        # Else the client's first request in a process is one more than the tests count.
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
