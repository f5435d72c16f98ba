"""The Dockerfile's commands, as far as they can be checked without Docker."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from dale_demo.hub.publish import space_head

ROOT = Path(__file__).resolve().parents[1]
TEXT = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))


def command(instruction: str) -> list[str]:
    """The program and arguments of CMD or of the health check."""
    (line,) = re.findall(rf"^{instruction}(\[.*)$", TEXT, re.MULTILINE)
    return json.loads(line)


@pytest.mark.parametrize(
    ("cores", "threads"),
    [
        *(("8", "8"), ("3.5", "3"), (None, "2"), ("", "2"), ("1", "1")),
        *(("0.5", "1"), (".5", "1"), ("0", "1"), ("-3", "1"), ("2x", "1"), ("500m", "1")),
        *(("two", "1"), ("4 4", "1"), ("9" * 30, "1"), ("$(echo 7)", "1")),
    ],
)
def test_threads_follow_the_quota(tmp_path, cores, threads):
    fake = tmp_path / "streamlit"
    fake.write_text('#!/bin/sh\necho "$OMP_NUM_THREADS $*"\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    if cores is not None:
        environment["CPU_CORES"] = cores
    started = subprocess.run(command("CMD "), env=environment, capture_output=True, text=True)
    assert started.stdout == f"{threads} run app.py --server.port 8501 --server.address 0.0.0.0\n"


def test_the_health_check_is_python_that_fails_without_a_server():
    program, option, code = command(r"HEALTHCHECK .*?CMD ")
    assert (program, option) == ("python", "-c")
    assert "/_stcore/health" in code
    failed = subprocess.run(["python3", "-c", code.replace("8501", "1")], capture_output=True)
    assert failed.returncode != 0
    assert b"URLError" in failed.stderr


def test_ports_and_user_are_those_of_a_space():
    port = yaml.safe_load(space_head())["app_port"]
    assert re.search(rf"^EXPOSE {port}$", TEXT, re.MULTILINE)
    assert "--uid 1000 " in TEXT
    assert TEXT.index("\nUSER user") < TEXT.index("pip install")
