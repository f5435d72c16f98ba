"""Train a network on an `Objective`, as a generator of progress.

Every random draw of a step comes from (seed, step) alone and is made for the global batch, of
which each process takes its rows. So training resumes exactly, on any number of processes, with
no random state to store.
"""

import dataclasses
import json
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from dale_demo import paper
from dale_demo.checkpoint.card import model_card
from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import CONFIG_FILE, MAX_CONFIG_BYTES, CheckpointError, check_size
from dale_demo.checkpoint.folder import Checkpoint, save_checkpoint
from dale_demo.data import Dataset
from dale_demo.network import Denoiser
from dale_demo.training.averages import ema_update, thinned
from dale_demo.training.batches import NO_DRAWS, Batch, Draws, global_batch, matching_draws
from dale_demo.training.config import TrainingConfig
from dale_demo.training.initial import check_weights, drawn_network, initial_model
from dale_demo.training.interruption import uninterrupted
from dale_demo.training.matching import FromDistribution
from dale_demo.training.objective import Objective, objective_of
from dale_demo.training.state import (
    STATE_FILE,
    State,
    Trained,
    agrees,
    check_unfinished,
    read_state,
    write_state,
)
from dale_demo.training.synapses import (
    copied,
    optimizers,
    partner_optimizer,
    sign_changes,
    synapse_record,
    synapses,
)

SAVE_SECONDS = 180.0
"""How often an unfinished run is saved."""
CURVE_POINTS = 10_000
"""Points of the loss that are kept in the course of a run: its state must stay readable."""
CURVE_BYTES = 2**14
"""More than the curve of the loss adds to config.json in the course of a run."""


@dataclass(frozen=True)
class Progress:
    """What training reports: averages since the report before.

    Args:
        step: Optimiser steps so far.
        images: Images seen so far.
        total: Images to see in all.
        loss: Mean preconditioned loss: by M-DSM 1 means no better than the data's mean, by M-ESM
            0 means the same as the teacher. In the paper's recipe it has no weight, and is the
            mean squared error of ln x₀; of distillation, it is that of `objectives.consistency`.
        seconds: Time spent training so far, over all interruptions.
    """

    step: int
    images: int
    total: int
    loss: float
    seconds: float


def train(
    data: Dataset,
    out: Path | str,
    config: TrainingConfig,
    *,
    report_every: int = 50,
    record: dict[str, Any] | None = None,
    compiled: bool = False,
    bf16: bool = False,
    cpu: bool = False,
    initial: Checkpoint | None = None,
    teacher: Checkpoint | None = None,
    weaker: Checkpoint | None = None,
    overwrite: bool = False,
    further: bool = False,
) -> Generator[Progress, None, None]:
    """Train on `data` and keep a checkpoint in the folder `out`.

    An unfinished run in `out` with the same configuration is continued exactly where it stopped.
    What cannot be trained or saved is refused at once; the rest happens as the generator is
    advanced. The checkpoint and the state are saved every `SAVE_SECONDS`, at the end, and when the
    generator is closed or interrupted; any other error leaves what was last saved.

    Args:
        report_every: Steps between reports.
        record: Further facts on this run for config.json and the card: command, hardware, notes.
        compiled: Compile the network; needs a C++ compiler on CPU.
        bf16: Convolve in bfloat16 on a CPU too (a GPU always does): faster where it has the
            instructions. Weights, averages and loss stay in float32.
        cpu: Train on the CPU even where there is a GPU.
        initial: Trained network whose weights a new run starts from, possibly of other data; it
            must have the shape that `config` and `data` ask for.
        teacher: Trained network, of any size, to learn from in place of the data; the images then
            only give the states to learn at. See `Teacher`, and `objective.FromTrajectories`.
        weaker: The same with less training, from which `teacher` is guided away.
        overwrite: Replace a network in `out`, finished or of another configuration.
        further: `initial` is the finished network in `out`, to go on with; see `continuation`.

    Returns:
        A generator of Progress, on every process; only the main one writes. Close it where you
        stop before its end: left to the garbage collector, it may be saved late or never.

    Raises:
        ValueError: The batch does not divide over the processes or exceeds the data, the loss is no
            longer finite, `initial` has another shape, or a teacher lacks one of its three parts.
        CheckpointError: `out` holds a finished network; the unfinished run in it is of another
            configuration, other data or another teacher, or damaged; or the network cannot be
            saved as a checkpoint that could be loaded.
    """
    out = Path(out)
    if not (overwrite or further):
        check_unfinished(out)
    check_weights(config, data)
    objective = objective_of(config, data.fit_log_normal().log_std, teacher, weaker)
    run = _Run(data, out, config, record or {}, compiled, bf16, cpu, initial, objective)
    run.check_files()
    run.resume(overwrite)
    return _steps(run, report_every)


def _steps(run: "_Run", report_every: int) -> Generator[Progress, None, None]:
    """Advance `run` to its end, saving on the way."""
    last_save = time.monotonic()
    try:
        while not run.finished:
            yield run.advance(report_every)
            if time.monotonic() - last_save > SAVE_SECONDS:
                run.save()
                last_save = time.monotonic()
    except (GeneratorExit, KeyboardInterrupt):
        run.save()
        raise
    run.save()


class _Run:
    """The mutable side of one training run."""

    def __init__(
        self,
        data: Dataset,
        out: Path,
        config: TrainingConfig,
        record: dict[str, Any],
        compiled: bool,
        bf16: bool,
        cpu: bool,
        initial: Checkpoint | None,
        objective: Objective,
    ):
        self.accelerator = Accelerator(cpu=cpu)
        world = self.accelerator.num_processes
        if config.batch_size % world or config.batch_size > len(data):
            raise ValueError(
                f"A batch of {config.batch_size} must divide over {world} processes and not "
                f"exceed the {len(data)} images."
            )
        self.data, self.out, self.config, self.record = data, out, config, record
        self.state = State(before=dict(initial.config.training) if initial else {})
        self.objective = objective
        objective.prepare(self.accelerator.device, compiled, bf16)
        self.model = initial_model(config, data, initial).to(self.accelerator.device)
        ema = AveragedModel(self.model, multi_avg_fn=ema_update(config.ema))
        rule = optimizers(self.model, config)
        self.start = copied(synapses(self.model)) if config.rule == "eg" else {}
        prepared, *self.optimizers = self.accelerator.prepare(self.model, *rule)
        self.network = torch.compile(prepared) if compiled else prepared
        self.model.bf16 = bf16
        self.trained = Trained(self.model, ema, rule)
        self.matching = objective if isinstance(objective, FromDistribution) else None
        if self.matching:
            partner = self.matching.partner.to(self.accelerator.device)
            partner.bf16 = bf16
            beside = partner_optimizer(partner, config)
            self.trained = Trained(self.model, ema, [*rule, beside], partner)
            prepared, self.beside = self.accelerator.prepare(partner, beside)
            self.partner = torch.compile(prepared) if compiled else prepared
        self.total_steps = math.ceil(config.images / config.batch_size)

    @property
    def finished(self) -> bool:
        return self.state.step >= self.total_steps

    @property
    def agreement(self) -> dict[str, Any]:
        """What two runs must have in common for one to continue the other."""
        return {
            "config": _plain(self.config),
            "network": _plain(self.model.config),
            "teacher": self.objective.fingerprint,
        }

    def resume(self, overwrite: bool) -> None:
        """Continue the unfinished run in `out`, if there is one; pass over another's to replace it.

        A run that replaces a network and was interrupted is itself continued.
        """
        path = self.out / STATE_FILE
        if overwrite and not agrees(path, self.agreement):
            return
        self.state = read_state(path, self.trained, self.agreement) or self.state

    def check_files(self) -> None:
        """Check, before the work, that what `save` will write can be read again."""
        config = self._checkpoint_config()
        try:
            size = len(config.to_json().encode())
        except UnicodeEncodeError as error:
            raise CheckpointError("The record of this run must be valid Unicode.") from error
        check_size(f"{CONFIG_FILE} of this network", size + CURVE_BYTES, MAX_CONFIG_BYTES)

    def advance(self, steps: int) -> Progress:
        """Take up to `steps` optimiser steps; wait for the device once, at the end."""
        started, state = time.monotonic(), self.state
        self.model.train()
        losses = []
        for step in range(state.step, min(state.step + steps, self.total_steps)):
            with uninterrupted():
                losses.append(self._step(step))
                state.step += 1
        loss = self.accelerator.reduce(torch.stack(losses).mean(), "mean").item()
        if not math.isfinite(loss):
            raise ValueError(f"The loss is {loss} after {state.step} steps; lower learning_rate.")
        state.seconds += time.monotonic() - started
        images = state.step * self.config.batch_size
        state.curve.append((images, loss))
        if len(state.curve) > CURVE_POINTS:
            state.curve = thinned(state.curve, CURVE_POINTS // 2)
        return Progress(state.step, images, self.config.images, loss, state.seconds)

    def _step(self, step: int) -> Tensor:
        batch = self._batch(step)
        denoiser = partial(self.network, labels=batch.labels)
        if self.matching:
            partner = partial(self.partner, labels=batch.labels)
            loss = self.matching.partner_losses(denoiser, partner, batch).mean()
            self._descend(loss, [self.beside], step)
        loss = self.objective.losses(denoiser, batch).mean()
        self._descend(loss, self.optimizers, step)
        self.trained.ema.update_parameters(self.model)
        return loss.detach()

    def _descend(self, loss: Tensor, optimizers: Sequence[Optimizer], step: int) -> None:
        """Take a step of each optimiser on the gradients of `loss`."""
        self.accelerator.backward(loss)
        share = self.config.schedule(step)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * group["initial_lr"]
            optimizer.step()
            optimizer.zero_grad()

    def _batch(self, step: int) -> Batch:
        """This process's rows of the global batch of `step`."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        share = self.config.batch_size // world
        own = slice(rank * share, (rank + 1) * share)
        device, draws = self.accelerator.device, NO_DRAWS
        parts = global_batch(self.data, self.config, step)
        if self.matching:
            every = matching_draws(parts[-1].shape, self.config, step)
            draws = Draws(every.levels[own].to(device), every.z[own].to(device))
        x0, labels, t, z = (part[own].to(device) for part in parts)
        return Batch(x0, labels, t, z, step, self.total_steps, draws)

    def save(self) -> None:
        """Write checkpoint and state; drop the state once training is finished."""
        if not self.accelerator.is_main_process or self.state.step == 0:
            return
        averaged = cast(Denoiser, self.trained.ema.module)
        if not all(p.isfinite().all() for p in averaged.parameters()):
            raise ValueError(
                f"The weights are not finite after {self.state.step} steps; lower learning_rate."
            )
        for network in (self.model, averaged):
            self._check_signs(network)
        config = self._checkpoint_config()
        if self.finished and (drawn := drawn_network(config)):
            record = {"synapses": synapse_record(drawn, averaged)}
            config = dataclasses.replace(config, training={**config.training, **record})
        save_checkpoint(self.out, averaged, config, model_card(config))
        if self.finished:
            (self.out / STATE_FILE).unlink(missing_ok=True)
        else:
            write_state(self.out, self.state, self.trained, self.agreement)

    def _check_signs(self, network: Denoiser) -> None:
        """Check, in the weights themselves, what exponentiated gradient promises of them."""
        if changed := sign_changes(self.start, synapses(network)):
            raise RuntimeError(f"{changed:,} synapses have changed sign under the rule eg.")

    def _checkpoint_config(self) -> CheckpointConfig:
        facts = {
            "images": self.state.step * self.config.batch_size,
            "seconds": round(self.state.seconds),
            "settings": _plain(self.config),
            "loss_curve": thinned(self.state.curve),
        }
        if self.state.before:
            facts["before"] = self.state.before
        return CheckpointConfig(
            dataset=self.data.name,
            class_names=self.data.class_names,
            network=self.model.config,
            process=paper.PROCESS,
            start=paper.start(self.data),
            training=self.record | facts,
            positive_map=self.data.positive_map,
            min_noise_level=self.objective.min_noise_level,
            levels=self.config.levels,
        )


def _plain(settings: Any) -> dict[str, Any]:
    """A dataclass as it comes back from JSON, where tuples are lists."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))
