"""PyTorch's threads give their core away soon when they wait for each other."""

import os
import subprocess
import sys

import pytest

from dale_demo.ui.browser import ROOT

CODE = """
import os, sys
import dale_demo
assert "torch" not in sys.modules, "OpenMP reads the environment when PyTorch is imported"
print(os.environ["GOMP_SPINCOUNT"])
"""


@pytest.mark.parametrize(("given", "used"), [(None, "1000"), ("7", "7")])
def test_the_package_sets_how_long_threads_spin_unless_the_user_did(given, used):
    environment = {k: v for k, v in os.environ.items() if k != "GOMP_SPINCOUNT"}
    environment |= {"GOMP_SPINCOUNT": given} if given else {}
    ran = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, used), ran.stderr
