"""The estimate of a run's memory: never far below what was measured, and what it refuses."""

import ctypes
import dataclasses
import platform
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from dale_demo.__main__ import cli
from dale_demo.checkpoint import cost
from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.cost import (
    MAX_COMMAND_BYTES,
    MAX_PAGE_BYTES,
    check_memory,
    run_bytes,
)
from dale_demo.checkpoint.folder import Checkpoint, bundled_checkpoints, load_config
from dale_demo.network import Denoiser, UNetConfig
from dale_demo.sampling import SamplingSettings, run
from dale_demo.trajectory import Recorder
from tests.tiny_network import save_tiny, tiny_config

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def network(images_of: int, **fields: object) -> CheckpointConfig:
    """A network for square images of so many pixels a side."""
    sizes = {"patch": 1, "width": 16, "multipliers": (1,), "num_classes": 3} | fields
    return tiny_config(network=UNetConfig(image_size=images_of, **sizes))


def peak_bytes(work: Callable[[], object]) -> int:
    """How far the memory of this process rises above what it is now."""

    def read(name: str) -> int:
        (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith(name)]
        return int(line.split()[1]) * 1024

    # Memory that was freed but not returned would be used again without a rise.
    ctypes.CDLL(None).malloc_trim(0)
    RESET.write_text("5")
    before = read("VmRSS")
    work()
    return read("VmHWM") - before


def sample(config: CheckpointConfig, images: int, sampler: str) -> None:
    model = Denoiser(config.network).requires_grad_(False).eval()
    model.log_stds.fill_(0.2)
    settings = SamplingSettings(labels=(0,) * images, steps=3, sampler=sampler)
    checkpoint = Checkpoint(model, config)
    recorder = Recorder.of(config, settings)
    for step in run(checkpoint, settings):
        recorder.add(step)
    recorder.finish()


CASES = {
    "many pixels": (network(256, patch=16), 6, "multistep-bridge"),
    "many pixels that cross": (network(128, patch=16), 16, "unconstrained"),
    "colour": (network(128, patch=16, image_channels=3), 8, "bridge"),
    "many features": (network(64, width=64, multipliers=(1, 1, 1)), 6, "bridge"),
    "many positions": (network(64), 1, "bridge"),
}


@pytest.mark.skipif(
    not RESET.exists() or platform.libc_ver()[0] != "glibc",
    reason="needs Linux, which knows a process's peak, and its usual C library",
)
@pytest.mark.parametrize("case", CASES)
def test_the_estimate_is_above_the_peak_but_not_absurdly(case):
    config, images, sampler = CASES[case]
    sample(network(16), 1, sampler)  # what is loaded at the first use is not of the run
    peak = peak_bytes(lambda: sample(config, images, sampler))
    estimate = run_bytes(config, images, signed=sampler == "unconstrained")
    assert peak < estimate + 20e6
    assert peak > estimate / 30


def test_every_kind_of_cost_grows_as_it_should():
    one = run_bytes(network(64, patch=4), 1)
    assert run_bytes(network(64, patch=4), 10) == 10 * one
    assert run_bytes(network(128, patch=8), 1) > 2 * one, "pixels, at the same features"
    assert run_bytes(network(64, patch=4, width=1024), 1) > 2 * one, "width"
    assert run_bytes(network(64, patch=1), 1) > 10 * one, "attention"
    assert run_bytes(network(64, patch=4), 1, signed=True) > 2 * one
    middle = network(64, width=64, multipliers=(1, 8, 1))
    flat = network(64, width=64, multipliers=(1, 1, 1))
    assert run_bytes(middle, 1) > run_bytes(flat, 1), "the largest level need not be the first"


@pytest.mark.parametrize("name", bundled_checkpoints())
def test_the_bundled_networks_may_sample_as_many_as_the_page_offers(name):
    config = load_config(bundled_checkpoints()[name])
    check_memory(config, 64, signed=True)
    check_memory(config, 1000, MAX_COMMAND_BYTES, signed=True)


def test_large_images_are_refused_with_a_way_on():
    config = network(1024, patch=32)
    with pytest.raises(ValueError, match=r"takes about .* GB of memory, .* at most 1 fit; ask"):
        check_memory(config, 64, MAX_PAGE_BYTES)
    with pytest.raises(ValueError, match=r"at most \d+ fit; use a smaller --batch-size\.$"):
        check_memory(config, 64, MAX_COMMAND_BYTES, advice="use a smaller --batch-size")
    check_memory(config, 1, MAX_PAGE_BYTES)
    check_memory(config, 8, MAX_COMMAND_BYTES)


def test_a_network_of_which_no_image_fits_says_so():
    config = network(4096, patch=64)
    with pytest.raises(ValueError, match=r"Sampling 1 image of .*not even one fits") as caught:
        check_memory(config, 1)
    assert len(str(caught.value)) <= 300
    with torch.device("meta"):
        weights = sum(p.nbytes for p in Denoiser(config.network).unet.parameters())
    assert weights < 2**24, "though its weights are small"


def test_the_command_line_asks_for_a_smaller_batch(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "net")
    command = ["sample", "--checkpoint", str(folder), "--num-images", "8", "--steps", "2"]
    out = ["--out", str(tmp_path / "images.png")]
    config = load_config(folder)
    monkeypatch.setattr(cost, "MAX_COMMAND_BYTES", run_bytes(config, 4))
    refused = CliRunner().invoke(cli, [*command, *out])
    assert isinstance(refused.exception, ValueError)
    assert str(refused.exception).endswith("at most 4 fit; use a smaller --batch-size.")
    done = CliRunner().invoke(cli, [*command, *out, "--batch-size", "4"])
    assert done.exit_code == 0


def test_the_estimate_needs_no_network():
    """It is asked before anything is loaded: the largest configuration costs no time."""
    huge = dataclasses.replace(tiny_config().network, image_size=4096, width=4096)
    assert run_bytes(tiny_config(network=huge), 10**9) > 2**60
