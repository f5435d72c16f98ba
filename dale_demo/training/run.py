"""Train a network by M-DSM, or by M-ESM from a teacher, as a generator of progress.

Every random draw of a step comes from (seed, step) alone and is made for the global batch, of
which each process takes its rows. So training resumes exactly, on any number of processes, with
no random state to store.
"""

import dataclasses
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, cast

import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from dale_demo import paper
from dale_demo.checkpoint.card import model_card
from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import MAX_WEIGHT_BYTES, CheckpointError, write_atomically
from dale_demo.checkpoint.folder import Checkpoint, load_config, read_tensors, save_checkpoint
from dale_demo.data import Dataset
from dale_demo.growth import widen
from dale_demo.network import Denoiser
from dale_demo.objectives import m_dsm, m_esm
from dale_demo.process import DEFAULT_MIN_NOISE_LEVEL
from dale_demo.score import from_denoiser
from dale_demo.training.batches import _global_batch
from dale_demo.training.config import TrainingConfig
from dale_demo.training.teacher import Teacher

Tensors = tuple[Tensor, ...] | list[Tensor]

STATE_FILE = "training.safetensors"
MAX_STATE_BYTES = 5 * MAX_WEIGHT_BYTES
"""Weights, their average and Adam's two moments make four, and something for the header."""


@dataclass(frozen=True)
class Progress:
    """What training reports: averages since the report before.

    Args:
        step: Optimiser steps so far.
        images: Pictures seen so far.
        total: Pictures to see in all.
        loss: Mean preconditioned loss: by M-DSM 1 means no better than the data's mean, by M-ESM
            0 means the same as the teacher.
        seconds: Time spent training so far, over all interruptions.
    """

    step: int
    images: int
    total: int
    loss: float
    seconds: float


@dataclass
class _State:
    """What survives an interruption, apart from tensors.

    `before` is the training record of the network whose weights the run started from.
    """

    step: int = 0
    seconds: float = 0.0
    curve: list[tuple[int, float]] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)


def train(
    data: Dataset,
    out: Path | str,
    config: TrainingConfig,
    *,
    report_every: int = 50,
    save_every: float = 180.0,
    notes: dict[str, Any] | None = None,
    compiled: bool = False,
    bf16: bool = False,
    cpu: bool = False,
    initial: Checkpoint | None = None,
    better: Checkpoint | None = None,
    weaker: Checkpoint | None = None,
    towards: Checkpoint | None = None,
) -> Iterator[Progress]:
    """Train on `data` and keep a checkpoint in the folder `out`.

    An unfinished run in `out` with the same configuration is taken up exactly where it stopped.
    What cannot be trained is refused at once; the rest happens as the generator is advanced. The
    checkpoint and the state are saved every `save_every` seconds, at the end, and when the
    generator is closed or interrupted; any other error leaves what was last saved.

    Args:
        report_every: Steps between reports.
        notes: Facts for the model card (command, hardware), stored in config.json.
        compiled: Compile the network; needs a C++ compiler on CPU.
        bf16: Convolve in bfloat16 on a CPU too (a GPU always does): faster where it has the
            instructions. Weights, averages and loss stay in float32.
        cpu: Keep off the GPU.
        initial: Trained network whose weights a fresh run starts from, be it of other data; it must
            have the shape that `config` and `data` ask for, or be narrower: see `growth`.
        better: Trained network, of any size, to learn from in place of the data; the pictures only
            say where. See `Teacher`.
        weaker: The same with less training, from which `better` is led away.
        towards: What the way from `weaker` leads to, in place of `better` itself.

    Returns:
        A generator of Progress, on every process; only the main one writes.

    Raises:
        ValueError: The batch does not divide over the processes or exceeds the data, the loss is no
            longer finite, `initial` has another shape, or a teacher lacks one of its three parts.
        CheckpointError: The unfinished run in `out` is of another configuration, other data or
            another teacher, or damaged; or the network is larger than a checkpoint may be.
    """
    teacher = _teacher(better, weaker, towards, config)
    run = _Run(data, Path(out), config, notes or {}, compiled, bf16, cpu, initial, teacher)
    run.resume()
    return _steps(run, report_every, save_every)


def _steps(run: "_Run", report_every: int, save_every: float) -> Iterator[Progress]:
    """Advance `run` to its end, saving on the way."""
    last_save = time.monotonic()
    try:
        while not run.finished:
            yield run.advance(report_every)
            if time.monotonic() - last_save > save_every:
                run.save()
                last_save = time.monotonic()
    except (GeneratorExit, KeyboardInterrupt):
        run.save()
        raise
    run.save()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done, so that a step is taken whole or not at all.

    SIGTERM too, where a Python function handles it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    received: list[tuple[int, FrameType | None]] = []
    held: dict[int, Callable[[int, FrameType | None], Any]] = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM)
        if callable(handler := signal.getsignal(number))
    }
    for number in held:
        signal.signal(number, lambda *call: received.append(call))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
    for number, frame in received:
        held[number](number, frame)


class _Run:
    """The mutable side of one training run."""

    def __init__(
        self,
        data: Dataset,
        out: Path,
        config: TrainingConfig,
        notes: dict[str, Any],
        compiled: bool,
        bf16: bool,
        cpu: bool,
        initial: Checkpoint | None,
        teacher: Teacher | None,
    ):
        self.accelerator = Accelerator(cpu=cpu)
        world = self.accelerator.num_processes
        if config.batch_size % world or config.batch_size > len(data):
            raise ValueError(
                f"A batch of {config.batch_size} must divide over {world} processes and not "
                f"exceed the {len(data)} pictures."
            )
        self.data, self.out, self.config, self.notes = data, out, config, notes
        self.state = _State()
        model = _initial_model(data, config)
        if initial:
            _take_weights(model, initial, config.seed)
            self.state.before = dict(initial.config.training)
        self.teacher = teacher
        if teacher:
            teacher.prepare(self.accelerator.device, compiled, bf16)
        self.model = model.to(self.accelerator.device)
        self.ema = AveragedModel(self.model, multi_avg_fn=ema_update(config.ema))
        optimizer = torch.optim.Adam(self.model.parameters(), fused=True)
        prepared, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.network = torch.compile(prepared) if compiled else prepared
        self.model.bf16 = bf16
        self.total_steps = math.ceil(config.images / config.batch_size)

    @property
    def finished(self) -> bool:
        return self.state.step >= self.total_steps

    @property
    def _teacher_fingerprint(self) -> str | None:
        return self.teacher.fingerprint if self.teacher else None

    def advance(self, steps: int) -> Progress:
        """Take up to `steps` optimiser steps; wait for the device once, at the end."""
        started, state = time.monotonic(), self.state
        self.model.train()
        losses = []
        for step in range(state.step, min(state.step + steps, self.total_steps)):
            with _uninterrupted():
                losses.append(self._step(step))
                state.step += 1
        loss = self.accelerator.reduce(torch.stack(losses).mean(), "mean").item()
        if not math.isfinite(loss):
            raise ValueError(f"The loss is {loss} after {state.step} steps; lower learning_rate.")
        state.seconds += time.monotonic() - started
        images = state.step * self.config.batch_size
        state.curve.append((images, loss))
        return Progress(state.step, images, self.config.images, loss, state.seconds)

    def _step(self, step: int) -> Tensor:
        x0, labels, t, z = self._batch(step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate(step)
        score = from_denoiser(lambda u, s: self.network(u, s, labels), paper.PROCESS)
        objective, process, s_d = m_dsm, paper.PROCESS, self.model.config.log_std
        if self.teacher:
            objective = partial(m_esm, exact=self.teacher.score(process, labels))
        loss = objective(
            score, process=process, x0=x0, t=t, z=z, weighting="preconditioned", data_log_std=s_d
        ).mean()
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update_parameters(self.model)
        return loss.detach()

    def _batch(self, step: int) -> list[Tensor]:
        """This process's rows of the global batch of `step`: x₀, labels, t, z."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        share = self.config.batch_size // world
        own = slice(rank * share, (rank + 1) * share)
        parts = _global_batch(self.data, self.config, step)
        return [part[own].to(self.accelerator.device) for part in parts]

    def resume(self) -> None:
        """Take up the unfinished run in `out`, if there is one."""
        path = self.out / STATE_FILE
        if not path.exists():
            return
        tensors = read_tensors(path, MAX_STATE_BYTES)
        with safe_open(path, "pt") as file:
            stored = json.loads((file.metadata() or {}).get("state", "{}"))
        same_data = load_config(self.out).network == self.model.config
        if stored.get("config") != _plain(self.config) or not same_data:
            raise CheckpointError(
                f"{path} belongs to a run with other settings or data; remove it, or choose "
                "another folder."
            )
        if stored.get("teacher") != self._teacher_fingerprint:
            raise CheckpointError(
                f"{path} belongs to a run with another teacher; remove it, or choose another "
                "folder."
            )
        try:
            self._restore(stored, tensors)
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"{path} is damaged; remove it to start afresh.") from error

    def _restore(self, stored: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        curve = [(images, loss) for images, loss in stored["curve"]]
        self.state = _State(stored["step"], stored["seconds"], curve, stored["before"])
        self.model.load_state_dict(_group(tensors, "model"))
        self.ema.module.load_state_dict(_group(tensors, "ema"))
        self.ema.n_averaged.fill_(self.state.step)
        moments = {
            i: {
                "step": torch.tensor(float(self.state.step)),
                "exp_avg": torch.empty_like(parameter).copy_(tensors[f"exp_avg.{i}"]),
                "exp_avg_sq": torch.empty_like(parameter).copy_(tensors[f"exp_avg_sq.{i}"]),
            }  # in the parameter's own memory format, since fused Adam walks them side by side
            for i, parameter in enumerate(self.model.parameters())
        }
        settings = self.optimizer.optimizer.state_dict()
        self.optimizer.load_state_dict(settings | {"state": moments})

    def save(self) -> None:
        """Write checkpoint and state; drop the state once training is finished."""
        if not self.accelerator.is_main_process or self.state.step == 0:
            return
        averaged = cast(Denoiser, self.ema.module)
        if not all(p.isfinite().all() for p in averaged.parameters()):
            raise ValueError(
                f"The weights are not finite after {self.state.step} steps; lower learning_rate."
            )
        config = self._checkpoint_config()
        save_checkpoint(self.out, averaged, config, model_card(config))
        if self.finished:
            (self.out / STATE_FILE).unlink(missing_ok=True)
        else:
            write_atomically(self.out / STATE_FILE, self._state_bytes())

    def _checkpoint_config(self) -> CheckpointConfig:
        facts = {
            "images": self.state.step * self.config.batch_size,
            "seconds": round(self.state.seconds),
            "settings": _plain(self.config),
            "loss_curve": _thin(self.state.curve),
        }
        if self.data.made:
            facts["made"] = True
        if self.teacher and self.teacher.towards:
            facts["towards"] = True
        if self.state.before:
            facts["before"] = self.state.before
        return CheckpointConfig(
            dataset=self.data.name,
            class_names=self.data.class_names,
            network=self.model.config,
            process=paper.PROCESS,
            start=paper.start(self.data),
            training=self.notes | facts,
            positive_map=self.data.positive_map,
            min_noise_level=self.teacher.better.config.min_noise_level
            if self.teacher
            else DEFAULT_MIN_NOISE_LEVEL,
        )

    def _state_bytes(self) -> bytes:
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.module.state_dict().items()}
        for i, moments in self.optimizer.optimizer.state_dict()["state"].items():
            tensors |= {f"{name}.{i}": moments[name] for name in ("exp_avg", "exp_avg_sq")}
        state = dataclasses.asdict(self.state)
        state |= {"config": _plain(self.config), "teacher": self._teacher_fingerprint}
        plain = {k: v.detach().contiguous().cpu().clone() for k, v in tensors.items()}
        return save(plain, {"state": json.dumps(state)})


def ema_update(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """The update of an exponential average of weights, for torch's `AveragedModel`.

    Of n steps it remembers about n/10 at first, and 1/(1 − `decay`) at most, so that a short run
    forgets its start as well as a long one does.
    """

    @torch.no_grad()
    def update(averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        share = (9 / (10 + torch.as_tensor(count))).clamp_min(1 - decay)
        torch._foreach_lerp_(averaged, current, [share] * len(averaged))

    return update


def _teacher(
    better: Checkpoint | None,
    weaker: Checkpoint | None,
    towards: Checkpoint | None,
    config: TrainingConfig,
) -> Teacher | None:
    if better is weaker is towards is None and config.guidance == config.fine_guidance == 1:
        return None
    if better is None or weaker is None or config.guidance == 1:
        raise ValueError(
            "A teacher is a trained network, a weaker version of it, and a guidance other than 1: "
            "give all three or none."
        )
    return Teacher(
        better,
        weaker,
        config.guidance,
        config.guidance_below,
        config.fine_guidance,
        config.fine_guidance_below,
        towards,
    )


def _initial_model(data: Dataset, config: TrainingConfig) -> Denoiser:
    """The network as its seed makes it, with the data's averages, channels last."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = Denoiser(config.network(data))
    model.class_averages.copy_(data.class_averages())
    for buffer, moment in zip((model.log_means, model.log_stds), data.log_moments(), strict=True):
        buffer.copy_(moment)
    return model.to(memory_format=torch.channels_last)


@torch.no_grad()
def _take_weights(model: Denoiser, initial: Checkpoint, seed: int) -> None:
    """Copy trained weights; what a network knows of its data's law stays that of the new data."""
    config, other = model.config, initial.model.config
    law = {name: getattr(config, name) for name in ("log_mean", "log_std", "dropout")}
    if dataclasses.replace(other, **law, width=max(other.width, config.width)) != config:
        raise ValueError(
            f"The network to start from has another shape, {other}, than this run asks for, "
            f"{config}; choose its multipliers, and its width or a larger one."
        )
    if other.width < config.width:
        widen(initial.model.unet, model.unet, torch.Generator().manual_seed(seed))
    else:
        for own, trained in zip(model.parameters(), initial.model.parameters(), strict=True):
            own.copy_(trained)


def _plain(config: TrainingConfig) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def _group(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    head = prefix + "."
    return {k.removeprefix(head): v for k, v in tensors.items() if k.startswith(head)}


def _thin(curve: list[tuple[int, float]], points: int = 100) -> list[tuple[int, float]]:
    """Average neighbours until at most `points` remain."""
    width = math.ceil(len(curve) / points)
    chunks = [curve[i : i + width] for i in range(0, len(curve), width or 1)]
    return [(c[-1][0], round(sum(loss for _, loss in c) / len(c), 5)) for c in chunks]
