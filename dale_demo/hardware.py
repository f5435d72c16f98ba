"""Name the hardware that computes, and choose it."""

import os
import platform
from pathlib import Path

import torch


def hardware(device: torch.device | str = "cpu", bf16: bool = False) -> str:
    """Name what runs on `device`: the GPU, or the CPU with its vectors and cores."""
    version = f"PyTorch {torch.__version__}" + (", bfloat16" if bf16 else "")
    if torch.device(device).type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {version}"
    cores = f"{torch.get_num_threads()} of {os.cpu_count()} cores used"
    return f"{_cpu_name()} with {torch.backends.cpu.get_cpu_capability()}, {cores}, {version}"


def _cpu_name() -> str:
    """Linux leaves `platform.processor` empty or vague; /proc knows the family."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
