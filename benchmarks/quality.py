"""How good samples are: our samplers, the paper's settings, additive diffusion, real pictures.

    DALE_DATA=… python -m benchmarks.quality --dataset mnist --additive FOLDER --json FILE

All in one run, by one classifier's features, against the test pictures. The paper's settings are
slow, so few pictures are drawn under them; the others are measured on many, and the first of these
again, to stand beside the paper's. FOLDER holds a network of the same size and training as ours,
made by `train --map exp`: additive diffusion on raw pixels. What FILE holds already is not measured
again; the additive network's results are kept beside it, in FILE with "-additive" in its name. When
it is interrupted, its tables hold what there is.

On MNIST the whole takes 21 million network calls: for one picture 397 under all our settings, 317
under the additive ones and 14,000 under the paper's.
"""

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import click
from tqdm import tqdm

from dale_demo.checkpoint.folder import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    load_config,
    speed_up,
)
from dale_demo.data import PositiveMap, load_split
from dale_demo.evaluation.classifier import (
    Classifier,
    check_classifier,
    find_classifier,
    load_classifier,
)
from dale_demo.evaluation.comparison import (
    Comparison,
    Method,
    additive_methods,
    our_methods,
    paper_methods,
)
from dale_demo.evaluation.evaluate import Reference, measure, sample
from dale_demo.evaluation.report import Report
from dale_demo.evaluation.trade_off import Kind
from dale_demo.hardware import hardware
from dale_demo.samplers import Step
from dale_demo.sampling import SamplingSettings, Watch
from dale_demo.ui.sample.trade_off import store

QUICK_COUNTS, QUICK_STEPS = (4, 8), 7


@dataclass(frozen=True)
class Network:
    """A network and what has been measured of it.

    Args:
        name: As it was asked for.
        checkpoint: The network.
        report: Its results, as they come.
        file: Where they are kept.
    """

    name: str
    checkpoint: Checkpoint
    report: Report
    file: Path | None

    @classmethod
    def open(
        cls, name: str, needed: PositiveMap, judge: Classifier, file: Path | None, device: str
    ) -> "Network":
        """Load it, and take up its report.

        Raises:
            ValueError: It was trained under another map, or on pictures that `judge` cannot judge.
        """
        folder = find_checkpoint(name)
        checkpoint = load_checkpoint(folder, device)
        found = checkpoint.config.positive_map
        if found is not needed:
            raise ValueError(f"{name} was trained with --map {found}; --map {needed} is needed.")
        check_classifier(judge, checkpoint)
        report = Report.resume(
            name, folder, file, min_noise_level=checkpoint.config.min_noise_level
        )
        return cls(name, checkpoint, report, file)

    def described(self) -> str:
        """Its size and training in one line."""
        size = sum(parameter.numel() for parameter in self.checkpoint.model.parameters())
        return f"{self.name}: {size:,} parameters, {self.seen:,} pictures seen in training"

    @property
    def seen(self) -> int:
        """Pictures seen in training, over all runs."""
        return sum(run.get("images", 0) for run in self.checkpoint.config.runs)

    def missing(self, method: Method, counts: Iterable[int]) -> list[SamplingSettings]:
        """What is still to be measured of `method`, the largest number of pictures first."""
        classes = self.checkpoint.model.config.num_classes
        ordered = sorted(set(counts), reverse=True)
        return self.report.missing([method.drawing(classes, count) for count in ordered])

    def measure(
        self, missing: list[SamplingSettings], reference: Reference, batch_size: int, watch: Watch
    ) -> None:
        """Draw the pictures of the first settings; measure them, and the first of them again."""
        images, seconds = sample(self.checkpoint, missing[0], batch_size, watch)
        for settings in missing:
            count = len(settings.labels)
            share, judge = seconds * count / len(images), reference.classifier
            self.report.evaluations.append(
                measure(self.checkpoint, judge, settings, images[:count], share, reference)
            )
        self.save()

    def save(self) -> None:
        """Write the report, where it is kept."""
        if self.file is not None:
            self.report.save(self.file)


Plan = list[tuple[Network, Method]]


def planned(ours: Network, additive: Network | None) -> Plan:
    """Every method with the network that it is for, the quick ones first."""
    dataset = ours.checkpoint.config.dataset
    quick = [(ours, method) for method in our_methods()]
    if additive is not None:
        quick += [(additive, method) for method in additive_methods()]
    return quick + [(ours, method) for method in paper_methods(dataset)]


def carry_out(plan: Plan, reference: Reference, counts: tuple[int, int], batch_size: int) -> None:
    """Measure what is missing, slow methods on the first of `counts` only."""
    work = [
        (network, method, network.missing(method, counts[:1] if method.slow else counts))
        for network, method in plan
    ]
    total = sum(run[0].network_evaluations * len(run[0].labels) for _, _, run in work if run)
    with tqdm(total=total, unit=" calls", unit_scale=True) as bar:
        for network, method, missing in work:
            if missing:
                bar.set_description(f"{method.name}, {missing[0].network_evaluations} calls")
                network.measure(missing, reference, batch_size, counting(bar, missing[0]))


def counting(bar: tqdm, settings: SamplingSettings) -> Watch:
    """Advance `bar` by the network calls that each step of each batch took."""
    calls = settings.network_evaluations / settings.steps

    def watch(step: Step) -> None:
        if step.index:
            bar.update(calls * len(step.x))

    return watch


def quickened(method: Method) -> Method:
    """The same in so few steps that nothing good can come of it."""
    steps = min(math.isqrt(method.settings.steps), QUICK_STEPS)
    return replace(method, settings=replace(method.settings, steps=steps))


def beside(file: Path | None) -> Path | None:
    """Where the additive network's results are kept."""
    return file and file.with_name(f"{file.stem}-additive{file.suffix}")


@click.command(context_settings={"show_default": True})
@click.option(
    "--dataset", default="mnist", help="Data set of a bundled network, or a network's folder."
)
@click.option("--additive", help="Folder of a network trained with --map exp, as the baseline.")
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE for the results; what it holds already is not measured again.",
)
@click.option("--num-images", default=10_000, help="Pictures under each quick setting.")
@click.option("--slow-images", default=1_000, help="Pictures under the paper's settings.")
@click.option("--batch-size", default=100, help="Pictures sampled at a time.")
@click.option("--device", default="cpu", help="Where to compute.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the networks.")
@click.option("--bf16", is_flag=True, help="Use bfloat16 on a CPU too.")
@click.option("--store", "stored", is_flag=True, help="Keep the curves where the app shows them.")
@click.option("--quick", is_flag=True, help="A few pictures in a few steps: only to see it run.")
def main(
    dataset: str,
    additive: str | None,
    file: Path | None,
    num_images: int,
    slow_images: int,
    batch_size: int,
    device: str,
    compiled: bool,
    bf16: bool,
    stored: bool,
    quick: bool,
) -> None:
    """Print a table for each number of pictures."""
    counts = QUICK_COUNTS if quick else (slow_images, num_images)
    name = load_config(find_checkpoint(dataset)).dataset
    judge = load_classifier(find_classifier(name), device)
    ours = Network.open(dataset, PositiveMap.SHIFT, judge, file, device)
    other = additive and Network.open(additive, PositiveMap.EXP, judge, beside(file), device)
    networks = [ours, other] if other else [ours]
    for network in networks:
        speed_up(network.checkpoint, compiled, bf16)
    plan = planned(ours, other or None)
    if quick:
        plan = [(network, quickened(method)) for network, method in plan]
    reference = Reference(judge, *load_split(name, os.environ.get("DALE_DATA")))
    for count in counts:
        if ours.report.floor(count, conditional=True) is None:
            ours.report.floors.append(reference.floor(count, conditional=True))
    with suppress(KeyboardInterrupt):
        carry_out(plan, reference, counts, batch_size)

    print(f"{name}; {hardware(device, bf16)}")
    print("\n".join(network.described() for network in networks))
    methods = [(method, network.report) for network, method in plan]
    seen: dict[Kind, int] = {"ours": ours.seen} | ({"additive": other.seen} if other else {})
    comparison = Comparison(name, len(judge.config.class_names), methods, ours.report, seen)
    drawn = [count for count in counts if comparison.measured(count)]
    for count in drawn:
        print(f"\n{count:,} pictures\n\n{comparison.table(count)}")
    if stored and drawn:
        store([comparison.trade_off(count) for count in drawn])


if __name__ == "__main__":
    main()
