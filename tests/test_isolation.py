"""No test depends on the home folder of whoever runs it, nor writes there."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from huggingface_hub import constants

from dale_demo.data import DEFAULT_ROOT

ROOT = Path(__file__).resolve().parents[1]
BUILD_HEADERS = "from huggingface_hub.utils import build_hf_headers; build_hf_headers()"
FOLDERS = {
    name: value
    for name, value in vars(constants).items()
    if name.isupper() and isinstance(value, str) and os.path.isabs(value)
    if not name.endswith("MOUNT_PATH")  # in a container on the Hub
}


def test_libraries_keep_their_files_in_the_home_of_the_tests():
    home = Path.home()
    assert home.is_relative_to(tempfile.gettempdir())
    assert "HF_HOME" in FOLDERS
    outside = {name for name, value in FOLDERS.items() if not Path(value).is_relative_to(home)}
    assert not outside
    assert DEFAULT_ROOT.is_relative_to(home)


@pytest.fixture
def stray_home(tmp_path: Path) -> Path:
    """A home folder with a file on which the Hub's client fails."""
    cache = tmp_path / "home" / ".cache" / "huggingface"
    cache.mkdir(parents=True)
    (cache / ".agent_harnesses.json").write_text('["stray"]')
    return tmp_path / "home"


@pytest.mark.parametrize("isolated", [True, False])
def test_a_stray_file_in_the_home_folder(stray_home, isolated):
    """With the tests' home, and, as a negative control, without: the client fails on that file."""
    kept = ("XDG_", "HF_", "PYTEST_")  # of this process's own home, and of pytest's workers
    environment = {k: v for k, v in os.environ.items() if not k.startswith(kept)}
    before = sorted(stray_home.rglob("*"))
    script = "import tests.isolated_home\n" * isolated + BUILD_HEADERS
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"HOME": str(stray_home)},
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert (done.returncode == 0) == isolated, done.stderr
    assert sorted(stray_home.rglob("*")) == before, "nothing was written there"
