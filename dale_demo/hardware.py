"""Describe the hardware that a computation runs on."""

import os
import platform
from pathlib import Path

import torch


def hardware(device: torch.device | str = "cpu", bf16: bool = False) -> str:
    """Describe `device` in words: the GPU, or the CPU with its vector instructions and cores.

    Args:
        device: Where the computation runs.
        bf16: Whether it runs in bfloat16.
    """
    version = f"PyTorch {torch.__version__}" + (", bfloat16" if bf16 else "")
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {version}"
    cores = f"{torch.get_num_threads()} of {os.cpu_count()} cores used"
    return f"{_cpu_name()} with {torch.backends.cpu.get_cpu_capability()}, {cores}, {version}"


def _cpu_name() -> str:
    """Name of the CPU's model."""
    # On Linux `platform.processor` is empty or just the architecture.
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
