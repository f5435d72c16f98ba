"""The state of an unfinished training run, in one safetensors file beside its checkpoint.

It holds the raw weights, their average, Adam's two moments, and as JSON in the header the progress
of the run and what a process that continues it must agree on. There is no random state: all draws
come from (seed, step).
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from dale_demo.checkpoint.files import MAX_WEIGHT_BYTES, CheckpointError, write_atomically
from dale_demo.checkpoint.folder import read_tensors
from dale_demo.network import Denoiser

STATE_FILE = "training.safetensors"
MAX_STATE_BYTES = 5 * MAX_WEIGHT_BYTES
"""Weights, average and two moments make four; the fifth leaves room for the header."""

MOMENTS = ("exp_avg", "exp_avg_sq")
"""Adam's names for its two moments."""


@dataclass
class State:
    """Progress of a run.

    Args:
        step: Optimiser steps so far.
        seconds: Time spent training so far, over all interruptions.
        curve: (images seen, mean loss since the point before).
        before: Training record of the network whose weights the run started from; empty where its
            weights were drawn.
    """

    step: int = 0
    seconds: float = 0.0
    curve: list[tuple[int, float]] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What an optimiser step changes: the network, its average, and the moments of Adam."""

    model: Denoiser
    ema: AveragedModel
    optimizer: torch.optim.Optimizer


def write_state(folder: Path, state: State, trained: Trained, agreement: Mapping[str, Any]) -> None:
    """Write the file of a run in `folder`; `agreement` is what `read_state` will insist on."""
    tensors = {f"model.{key}": value for key, value in trained.model.state_dict().items()}
    tensors |= {f"ema.{key}": value for key, value in trained.ema.module.state_dict().items()}
    for i, moments in trained.optimizer.state_dict()["state"].items():
        tensors |= {f"{name}.{i}": moments[name] for name in MOMENTS}
    plain = {key: value.detach().contiguous().cpu().clone() for key, value in tensors.items()}
    header = json.dumps(dataclasses.asdict(state) | dict(agreement))
    write_atomically(folder / STATE_FILE, save(plain, {"state": header}))


def read_state(folder: Path, trained: Trained, agreement: Mapping[str, Any]) -> State | None:
    """Continue the unfinished run in `folder`: fill `trained` and return its progress.

    Args:
        agreement: As given to `write_state`, a part for each key of `_OTHER`; a run with another
            one is refused.

    Returns:
        None where there is no unfinished run.

    Raises:
        CheckpointError: The file is damaged, or of a run with other settings or another teacher.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    tensors = read_tensors(path, MAX_STATE_BYTES)
    with safe_open(path, "pt") as file:
        header = json.loads((file.metadata() or {}).get("state", "{}"))
    for key, value in agreement.items():
        if header.get(key) != value:
            raise CheckpointError(
                f"{path} belongs to a run with {_OTHER[key]}; remove it, or choose another folder."
            )
    try:
        curve = [(images, loss) for images, loss in header["curve"]]
        state = State(header["step"], header["seconds"], curve, header["before"])
        _fill(trained, tensors, state.step)
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged; remove it to start afresh.") from error
    return state


_OTHER = {
    "config": "other settings or data",
    "network": "other settings or data",
    "teacher": "another teacher",
}
"""What differs, by the part of the agreement that does."""


def _fill(trained: Trained, tensors: dict[str, Tensor], step: int) -> None:
    trained.model.load_state_dict(_group(tensors, "model"))
    trained.ema.module.load_state_dict(_group(tensors, "ema"))
    trained.ema.n_averaged.fill_(step)
    moments = {
        # In the parameter's own memory format: fused Adam pairs numbers by their place in memory.
        i: {name: torch.empty_like(p).copy_(tensors[f"{name}.{i}"]) for name in MOMENTS}
        | {"step": torch.tensor(float(step))}
        for i, p in enumerate(trained.model.parameters())
    }
    settings = trained.optimizer.state_dict()
    trained.optimizer.load_state_dict(settings | {"state": moments})


def _group(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    head = prefix + "."
    return {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}
