"""What a sampler costs beside the network it calls.

    python -m benchmarks.sampling --checkpoint mnist

Every sampler against a plain loop that calls the same U-Net, with nothing around it, as often and
on as many pictures. The two take turns at every step, so that a busy machine slows both alike. The
table holds medians over the repeats; the overhead is the share of the sampler's time that the plain
loop does not need.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import click
import torch

from dale_demo.checkpoint.folder import Checkpoint, find_checkpoint, load_checkpoint
from dale_demo.hardware import hardware
from dale_demo.sampling import SamplingSettings, cycle_labels, run

RUNS = (
    SamplingSettings(sampler="dale-langevin", steps=40),
    SamplingSettings(sampler="unconstrained", steps=40),
    SamplingSettings(sampler="probability-flow", steps=20),
    SamplingSettings(sampler="bridge", steps=40),
    SamplingSettings(sampler="multistep", steps=20),
    SamplingSettings(sampler="multistep-bridge", steps=20),
)


def plain_call(checkpoint: Checkpoint, settings: SamplingSettings) -> Callable[[], object]:
    """One call of the bare U-Net on as many pictures."""
    model = checkpoint.model
    device = model.class_averages.device
    x = torch.randn(len(settings.labels), *model.config.image_shape, device=device)
    noise, labels = torch.zeros(len(x), device=device), torch.tensor(settings.labels, device=device)

    @torch.inference_mode()
    def call() -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=x.is_cuda):
            model.unet(x, noise, labels)

    return call


def now(device: torch.device) -> float:
    """Seconds on the clock, once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def take_turns(checkpoint: Checkpoint, settings: SamplingSettings) -> tuple[float, float]:
    """Seconds of one run of the sampler, and of as many plain calls between its steps."""
    device = checkpoint.model.class_averages.device
    call = plain_call(checkpoint, settings)
    steps = run(checkpoint, settings)
    sampler = plain = 0.0
    calls = 0
    finished = False
    while not finished:
        began = now(device)
        step = next(steps)
        between = now(device)
        for _ in range(step.calls - calls):
            call()
        sampler, plain = sampler + between - began, plain + now(device) - between
        calls, finished = step.calls, step.index == settings.steps
    return sampler, plain


def measure(checkpoint: Checkpoint, settings: SamplingSettings, repeats: int) -> str:
    """One row of the table."""
    take_turns(checkpoint, replace(settings, steps=2))
    times = [take_turns(checkpoint, settings) for _ in range(repeats)]
    sampler, plain = (statistics.median(column) for column in zip(*times, strict=True))
    overhead = statistics.median(1 - b / a for a, b in times)
    return (
        f"| {settings.sampler} | {len(settings.labels)} | {settings.steps} "
        f"| {settings.network_evaluations} | {sampler:.2f} "
        f"| {settings.network_evaluations / sampler:.1f} "
        f"| {plain:.2f} | {overhead:.1%} |"
    )


@click.command(context_settings={"show_default": True})
@click.option("--checkpoint", default="mnist", help="Name of a bundled network, or a folder.")
@click.option("--repeats", default=5, help="Runs for each row.")
@click.option("--device", default="cpu", help="Where to compute.")
def main(checkpoint: str, repeats: int, device: str) -> None:
    """Print a table of times."""
    network = load_checkpoint(find_checkpoint(checkpoint), device)
    print(f"Median of {repeats}; {hardware(device)}\n")
    print("| sampler | pictures | steps | calls | seconds | calls/s | plain loop s | overhead |")
    print("|---|---|---|---|---|---|---|---|")
    for pictures in (16, 64):
        labels = cycle_labels(range(network.model.config.num_classes), pictures)
        for settings in RUNS:
            print(measure(network, replace(settings, labels=labels), repeats), flush=True)


if __name__ == "__main__":
    main()
