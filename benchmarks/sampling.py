"""How much time a sampler takes on top of its network evaluations.

    python -m benchmarks.sampling --checkpoint mnist

Every sampler is compared with a plain loop that evaluates the same U-Net as often on as many
images, with nothing around it. The two take turns at every step, so that a busy machine slows both
alike. The table holds medians over the repeats; the overhead is the share of the sampler's time
that the plain loop does not need.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import click
import torch
from tqdm import tqdm

from benchmarks.shared import checkpoint_option, device_option
from dale_demo.checkpoint.folder import Checkpoint, find_checkpoint, load_checkpoint
from dale_demo.drawing.markdown import table
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
IMAGES = (16, 64)
HEAD = (
    "sampler",
    "images",
    "steps",
    "network evaluations",
    "seconds",
    "evaluations/s",
    "plain loop s",
    "overhead",
)


def plain_evaluation(checkpoint: Checkpoint, settings: SamplingSettings) -> Callable[[], object]:
    """A function that evaluates the bare U-Net once on as many images."""
    model = checkpoint.model
    device = model.class_averages.device
    x = torch.randn(len(settings.labels), *model.config.image_shape, device=device)
    noise, labels = torch.zeros(len(x), device=device), torch.tensor(settings.labels, device=device)

    @torch.inference_mode()
    def evaluate() -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=x.is_cuda):
            model.unet(x, noise, labels)

    return evaluate


def now(device: torch.device) -> float:
    """Seconds on the clock, after the device has finished its work: CUDA runs asynchronously."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def take_turns(checkpoint: Checkpoint, settings: SamplingSettings) -> tuple[float, float]:
    """Seconds of one run of the sampler, and of as many plain evaluations between its steps."""
    device = checkpoint.model.class_averages.device
    evaluate = plain_evaluation(checkpoint, settings)
    steps = run(checkpoint, settings)
    sampler = plain = 0.0
    evaluations = 0
    finished = False
    while not finished:
        began = now(device)
        step = next(steps)
        between = now(device)
        for _ in range(step.score_evaluations - evaluations):
            evaluate()
        sampler, plain = sampler + between - began, plain + now(device) - between
        evaluations, finished = step.score_evaluations, step.index == settings.steps
    return sampler, plain


def measure(checkpoint: Checkpoint, settings: SamplingSettings, repeats: int) -> tuple[str, ...]:
    """One row of the table."""
    take_turns(checkpoint, replace(settings, steps=2))  # warm up
    times = [take_turns(checkpoint, settings) for _ in range(repeats)]
    sampler, plain = (statistics.median(column) for column in zip(*times, strict=True))
    overhead = statistics.median(1 - b / a for a, b in times)
    return (
        settings.sampler,
        f"{len(settings.labels)}",
        f"{settings.steps}",
        f"{settings.network_evaluations}",
        f"{sampler:.2f}",
        f"{settings.network_evaluations / sampler:.1f}",
        f"{plain:.2f}",
        f"{overhead:.1%}",
    )


@click.command(context_settings={"show_default": True})
@checkpoint_option
@click.option("--repeats", default=5, help="Runs for each row.")
@device_option
def main(checkpoint: str, repeats: int, device: str) -> None:
    """Print a table of times."""
    network = load_checkpoint(find_checkpoint(checkpoint), device)
    print(f"Median of {repeats}; {hardware(device)}\n")
    classes = range(network.model.config.num_classes)
    runs = [
        replace(settings, labels=cycle_labels(classes, count))
        for count in IMAGES
        for settings in RUNS
    ]
    print(table(HEAD, [measure(network, settings, repeats) for settings in tqdm(runs)]))


if __name__ == "__main__":
    main()
