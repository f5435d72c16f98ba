"""The state of an unfinished training run, in one safetensors file beside its checkpoint.

It holds the raw weights, their average, the two moments of Adam or of exponentiated gradient
along its direction, and as JSON in the header the progress
of the run and what a process that continues it must agree on. There is no random state: all draws
come from (seed, step).
"""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from dale_demo.checkpoint.files import (
    CONFIG_FILE,
    MAX_WEIGHT_BYTES,
    WEIGHTS_FILE,
    CheckpointError,
    write_atomically,
)
from dale_demo.checkpoint.weights import read_tensors
from dale_demo.network import Denoiser

STATE_FILE = "training.safetensors"
MAX_STATE_BYTES = 8 * MAX_WEIGHT_BYTES
"""Weights, average and two moments make four; a partner adds three; the eighth leaves room for the
header."""

MAX_STEP = 10**15
"""More than any run can reach, in steps or images: larger numbers are damage."""

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
    """What an optimiser step changes: networks, their moments, and the average of the first.

    Args:
        optimizers: Each with parameters of its own, all of the networks' between them.
        partner: A network that is trained beside.
    """

    model: Denoiser
    ema: AveragedModel
    optimizers: Sequence[Optimizer]
    partner: Denoiser | None = None

    @property
    def parameters(self) -> list[Parameter]:
        """Of the network, then of its partner."""
        partner = self.partner.parameters() if self.partner else ()
        return [*self.model.parameters(), *partner]

    def moments(self) -> list[dict[str, Tensor]]:
        """The state that the optimisers keep of each parameter, to read and to change."""
        owners = {
            parameter: optimizer
            for optimizer in self.optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        return [owners[p].state[p] for p in self.parameters]


def write_state(folder: Path, state: State, trained: Trained, agreement: Mapping[str, Any]) -> None:
    """Write the file of a run in `folder`; `agreement` is what `read_state` will insist on."""
    tensors = {f"model.{key}": value for key, value in trained.model.state_dict().items()}
    tensors |= {f"ema.{key}": value for key, value in trained.ema.module.state_dict().items()}
    if trained.partner:
        state_dict = trained.partner.state_dict()
        tensors |= {f"partner.{key}": value for key, value in state_dict.items()}
    for i, moments in enumerate(trained.moments()):
        tensors |= {f"{name}.{i}": moments[name] for name in MOMENTS}
    plain = {key: value.detach().contiguous().cpu().clone() for key, value in tensors.items()}
    header = json.dumps(dataclasses.asdict(state) | dict(agreement))
    write_atomically(folder / STATE_FILE, save(plain, {"state": header}))


def check_unfinished(folder: Path) -> None:
    """Refuse a folder that holds a network but no unfinished run; raises CheckpointError."""
    if (folder / STATE_FILE).exists():
        return
    if any((folder / name).exists() for name in (CONFIG_FILE, WEIGHTS_FILE)):
        raise CheckpointError(
            f"{folder} holds a finished network. Go on with it by --continue-to IMAGES, replace it "
            "by --overwrite, or choose another --out."
        )


def agrees(path: Path, agreement: Mapping[str, Any]) -> bool:
    """Whether the file at `path` is the sound state of a run with this agreement."""
    try:
        _, header = _read(path)
    except CheckpointError:
        return False
    return _difference(header, agreement) is None


def read_state(path: Path, trained: Trained, agreement: Mapping[str, Any]) -> State | None:
    """Continue the unfinished run whose state is at `path`: fill `trained`, return its progress.

    Args:
        agreement: As given to `write_state`, a part for each key of `_OTHER`; a run with another
            one is refused.

    Returns:
        None where there is no unfinished run.

    Raises:
        CheckpointError: The file is damaged, or of a run with other settings or another teacher.
    """
    if not path.exists():
        return None
    tensors, header = _read(path)
    if different := _difference(header, agreement):
        raise CheckpointError(
            f"{path} belongs to a run with {different}; replace it by --overwrite, or choose "
            "another --out."
        )
    try:
        state = _state(header)
        _fill(trained, tensors, state.step)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(_DAMAGED.format(path)) from error
    return state


_DAMAGED = "{} is damaged; start afresh by --overwrite, or choose another --out."

_OTHER = {
    "config": "other settings or data",
    "network": "other settings or data",
    "teacher": "another teacher",
}
"""What differs, by the part of the agreement that does."""


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a state and the JSON object in its header; raises CheckpointError."""
    tensors = read_tensors(path, MAX_STATE_BYTES)
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["state"])
    except (KeyError, ValueError, RecursionError, SafetensorError) as error:
        raise CheckpointError(_DAMAGED.format(path)) from error
    if not isinstance(header, dict):
        raise CheckpointError(_DAMAGED.format(path))
    return tensors, header


def _difference(header: Mapping[str, Any], agreement: Mapping[str, Any]) -> str | None:
    """What the run of `header` has other than `agreement`, in words; None where they agree."""
    return next((_OTHER[key] for key, own in agreement.items() if header.get(key) != own), None)


def _state(header: Mapping[str, Any]) -> State:
    """The progress in a header; raises KeyError, TypeError or ValueError where it is nonsense."""
    step, seconds, before = header["step"], header["seconds"], header["before"]
    curve = [(images, loss) for images, loss in header["curve"]]
    numbers = [seconds, *(loss for _, loss in curve)]
    if not all(type(n) is int and 0 < n <= MAX_STEP for n in (step, *(n for n, _ in curve))):
        raise ValueError("Steps and images must be positive integers.")
    if not all(type(n) in (int, float) and math.isfinite(n) for n in numbers) or seconds < 0:
        raise ValueError("Seconds and losses must be finite numbers.")
    if not isinstance(before, dict):
        raise TypeError("The record of the runs before must be an object.")
    return State(step, float(seconds), curve, before)


def _fill(trained: Trained, tensors: dict[str, Tensor], step: int) -> None:
    trained.model.load_state_dict(_group(tensors, "model"))
    trained.ema.module.load_state_dict(_group(tensors, "ema"))
    trained.ema.n_averaged.fill_(step)
    if trained.partner:
        trained.partner.load_state_dict(_group(tensors, "partner"))
    pairs = zip(trained.parameters, trained.moments(), strict=True)
    for i, (p, moments) in enumerate(pairs):
        # In the parameter's own memory format: fused Adam pairs numbers by their place in memory.
        moments |= {name: _like(p, tensors[f"{name}.{i}"]) for name in MOMENTS}
        moments["step"] = torch.tensor(float(step), device=p.device)


def _like(parameter: Tensor, moment: Tensor) -> Tensor:
    if moment.shape != parameter.shape:
        raise ValueError(f"A moment has shape {tuple(moment.shape)}.")
    return torch.empty_like(parameter).copy_(moment)


def _group(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    head = prefix + "."
    return {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}
