"""Fixtures that several test files share: a generator, a tiny network, tiny images."""

import tests.isolated_home  # noqa: F401

# isort: split
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dale_demo.data import Dataset
from dale_demo.network import Denoiser, UNetConfig

# The cores are shared by pytest's workers, the processes that tests start, and their browsers.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"

pytest_plugins = ("tests.hub.fixtures",)

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of pages first: they take longest, and none should be left to the end."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


@pytest.fixture
def generator() -> torch.Generator:
    """A generator at a fixed seed, fresh for each test."""
    return torch.Generator().manual_seed(20251002)


@pytest.fixture
def two_processes(tmp_path: Path) -> Callable[..., None]:
    """Run a script in two processes of one distributed group, with the package importable."""
    if not (torch.distributed.is_available() and torch.distributed.is_gloo_available()):
        pytest.skip("needs the gloo backend")

    def run(script: str, *arguments: object) -> None:
        worker = tmp_path / "worker.py"
        worker.write_text(script)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"),
            *("--master-addr=127.0.0.1", f"--master-port={port}"),
            *map(str, (worker, *arguments)),
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=270, env=environment)
        assert done.returncode == 0, done.stderr[-3000:]

    return run


@pytest.fixture
def tiny_config() -> UNetConfig:
    """The smallest network with two levels: three classes of 8×8 images."""
    return UNetConfig(image_size=8, num_classes=3, patch=2, width=16, multipliers=(1, 2))


@pytest.fixture
def tiny_denoiser(tiny_config: UNetConfig, generator: torch.Generator) -> Denoiser:
    """A tiny network with every weight random, also those that start at zero."""
    model = Denoiser(tiny_config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.1, generator=generator)
        model.class_averages.uniform_(1, 2, generator=generator)
    return model.requires_grad_(False).eval()


@pytest.fixture(scope="session")
def halves() -> Dataset:
    """96 images of 8×8 in two classes: bright on the left, bright on the right."""
    generator = torch.Generator().manual_seed(20251002)
    labels = torch.arange(96) % 2
    images = torch.randint(0, 40, (96, 1, 8, 8), generator=generator)
    images[labels == 0, ..., :4] += 180
    images[labels == 1, ..., 4:] += 180
    return Dataset("halves", images.to(torch.uint8), labels, ("left", "right"))
