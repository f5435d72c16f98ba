"""Options that several commands share, and the functions that act on them."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import torch

    from dale_demo.checkpoint.folder import Checkpoint
    from dale_demo.hub.resolved import Resolved
    from dale_demo.samplers import Watch
    from dale_demo.sampling import SamplingSettings


Command = Callable[..., None]

COUNT = click.IntRange(1, 10**12)
IMAGES = click.IntRange(1, 10**6)
"""How many images one command samples: `sampling.MAX_IMAGES`, written out to keep torch away."""

LANGEVIN_OPTIONS = ("annealing", "repeats", "step_size", "tweedie", "tweedie_steps")
"""Options that only the two Langevin samplers take, as `SamplingSettings` spells them."""


class Several(click.ParamType):
    """Values of one type, separated by commas."""

    def __init__(self, one: click.ParamType):
        self.one, self.name = one, f"{one.name}s"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Convert each part; fails with the sentence of the first that is wrong."""
        try:
            return tuple(self.one.convert(part, param, ctx) for part in value.split(","))
        except click.BadParameter as error:
            self.fail(f"{error.message} Several values are separated by commas.", param, ctx)


device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to compute."
)

compile_option = click.option(
    "--compile/--no-compile", "compiled", default=False, help="Compile the network."
)

bf16_option = click.option("--bf16/--no-bf16", default=False, help="Use bfloat16 on a CPU too.")

dataset_option = click.option(
    "--dataset",
    required=True,
    help="mnist, fashion-mnist, kmnist, kmnist-7k, kmnist-10k, idx:IMAGES,LABELS, folder:DIR.",
)

out_option = click.option(
    "--out", required=True, type=click.Path(file_okay=False), help="Checkpoint folder."
)

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace a network in --out.")

data_root_option = click.option(
    "--data-root",
    type=click.Path(),
    envvar="DALE_DATA",
    show_envvar=True,
    help="Folder of the torchvision data sets.",
)

checkpoint_option = click.option(
    "--checkpoint",
    default="mnist",
    help="Name of a bundled network, a folder, or OWNER/NAME[@REVISION] on the Hub.",
)

SWEPT: dict[str, tuple[click.ParamType, str]] = {
    "sampler": (
        click.Choice(
            [
                *("dale-langevin", "unconstrained", "probability-flow"),
                *("bridge", "multistep", "multistep-bridge", "leap"),
            ]
        ),
        "Sampler.  [wide: multistep-bridge]",
    ),
    "steps": (click.INT, "Intervals of the time grid.  [wide: 20]"),
    "noise-level": (click.FLOAT, "s(T), where sampling starts.  [wide: 8]"),
    "guidance": (click.FLOAT, "Classifier-free guidance; 1 is none."),
}
"""Options of which `evaluate` takes several values at once, separated by commas."""

SAMPLING_OPTIONS = (
    click.option(
        "--preset",
        type=click.Choice(["wide", "live", "paper", "paper-annealed"]),
        help="Values of the sampling options that are left out.  [wide; live for a few-step "
        "network]",
    ),
    click.option(
        "--levels",
        type=Several(click.FLOAT),
        help="leap: falling noise levels to evaluate the network at.  [a few-step network's own]",
    ),
    click.option("--mu", type=float, help="Drift of the process.  [σ²/2]"),
    click.option("--grid", type=click.Choice(["karras", "uniform"]), help="Spacing of the times."),
    click.option(
        "--start",
        type=click.Choice(["exact", "fitted", "class-averaged"]),
        help="Distribution of X_T.",
    ),
    click.option("--seed", type=int, help="Seed of all random draws.  [0]"),
    click.option("--annealing", type=float, help="Langevin: factor on the noise, per step."),
    click.option("--repeats", type=int, help="Langevin: updates at each time."),
    click.option("--step-size", type=float, help="Langevin: fixed step in place of the grid's."),
    click.option("--tweedie/--no-tweedie", default=None, help="Langevin: noise-free last step."),
    click.option("--tweedie-steps", type=int, help="Langevin: noise-free steps at the end.  [0]"),
    click.option("--batch-size", type=IMAGES, default=100, help="Images sampled at a time."),
)


def sampling_options(command: Command) -> Command:
    """Add the options that `sample` and `evaluate` share."""
    for option in reversed(SAMPLING_OPTIONS):
        command = option(command)
    return command


def swept_options(several: bool) -> Callable[[Command], Command]:
    """Add the options of `SWEPT`, for one value each or for several."""

    def add(command: Command) -> Command:
        for name, (kind, help_text) in reversed(SWEPT.items()):
            kind = Several(kind) if several else kind
            command = click.option(f"--{name}", type=kind, help=help_text)(command)
        return command

    return add


def find_device(name: str) -> "torch.device":
    """The device that `--device` asks for; raises ValueError where there is no CUDA device."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("No CUDA device was found; use --device cpu.")
    return torch.device(name)


def check_compiler(compiled: bool, device: str) -> None:
    """Check, before the work, that --compile finds what it needs; raises ValueError."""
    if not compiled or find_device(device).type != "cpu":
        return
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except RuntimeError as error:
        raise ValueError(
            "--compile needs a C++ compiler on a CPU, such as g++; install one, or leave it out."
        ) from error


def run_record(device: str) -> dict[str, Any]:
    """The part of a training record that is known before the run: its command and hardware."""
    from dale_demo.hardware import hardware

    command = "python -m dale_demo " + shlex.join(sys.argv[1:])
    # The name of a file need not be UTF-8; what is written of it must be.
    command = command.encode(errors="backslashreplace").decode()
    return {"command": command, "hardware": hardware(find_device(device))}


def load_network(name: str, device: str) -> "Checkpoint":
    """Find a network by name and load it."""
    return find_network(name).load(find_device(device))


def find_network(name: str) -> "Resolved":
    """Find a network by name; prints where it came from if that was the Hub."""
    from dale_demo.hub.lookup import resolve

    found = resolve(name)
    if found.commit:
        click.echo(f"{name}: {found.account}", err=True)
    return found


def check_folder(file: Path) -> None:
    """Check, before the work, that `file` can be written after it; raises ValueError."""
    if not os.access(file.parent, os.W_OK):
        raise ValueError(f"Cannot write {file}: {file.parent} is not a folder to write in.")


def sampling_settings(
    checkpoint: "Checkpoint",
    classes: Sequence[int],
    count: int,
    preset: str | None,
    batch_size: int,
    **options: Any,
) -> "SamplingSettings":
    """The preset with the options that were given, checked against the network and the memory."""
    from dale_demo.checkpoint.cost import MAX_COMMAND_BYTES, check_memory
    from dale_demo.samplers import LANGEVIN
    from dale_demo.sampling import PRESETS, check, cycle_labels, paper_annealed, resolved

    given = {name: value for name, value in options.items() if value is not None}
    _check_levels(given)
    preset = preset or ("live" if checkpoint.config.levels else "wide")
    if preset == "paper-annealed":
        sampler, start = given.get("sampler", "dale-langevin"), given.get("start", "fitted")
        base = paper_annealed(checkpoint.config.dataset, sampler, start)
    else:
        base = PRESETS[preset]  # type: ignore[index]
    settings = replace(base, **given, labels=cycle_labels(classes, count))
    settings = resolved(checkpoint.config, settings)
    stray = [name for name in LANGEVIN_OPTIONS if name in given]
    if stray and settings.sampler not in LANGEVIN:
        option = stray[0].replace("_", "-")
        raise ValueError(f"--{option} belongs to the samplers {' and '.join(LANGEVIN)} only.")
    check(checkpoint, settings)
    check_memory(
        checkpoint.config,
        min(count, batch_size),
        MAX_COMMAND_BYTES,
        signed=settings.can_cross,
        advice="use a smaller --batch-size",
    )
    return settings


def _check_levels(given: dict[str, Any]) -> None:
    """Refuse what a run at given noise levels would not use."""
    stray = [name for name in ("steps", "noise_level", "grid") if name in given]
    if "levels" in given and stray:
        option = stray[0].replace("_", "-")
        raise ValueError(f"--levels takes no --{option} beside it: it names every noise level.")


@contextmanager
def progress_bar(settings: "SamplingSettings", batch_size: int) -> Iterator["Watch"]:
    """A progress bar over the steps of all batches, on standard error."""
    from tqdm import tqdm

    batches = -(-len(settings.labels) // batch_size)
    with tqdm(total=batches * settings.steps, unit="step", desc=settings.sampler) as bar:
        yield lambda step: bar.update(step.index > 0)
