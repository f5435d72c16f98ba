"""How good samples are: our samplers, the paper's settings, additive diffusion, real images.

    DALE_DATA=… python -m benchmarks.quality --dataset mnist --additive FOLDER --json FILE

FOLDER holds a network of the same size and training as ours, made by `train --map exp`: additive
diffusion on raw pixels. `--recipe-paper FOLDER` adds one made by `train --recipe paper`. The
paper's settings are slow, so only few images are sampled under them; the other methods are measured
on as few, to stand beside the paper's, and on many.

What FILE holds already is not measured again; the other networks' results are saved beside it, in
FILE with "-additive" or "-paper" in its name. An interrupted run prints and stores what there is.

On MNIST everything takes 27 million network evaluations: for one image 477 under all our settings,
317 under the additive ones and 18,000 under the paper's.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.shared import bf16_option, compile_option, device_option, open_reference
from dale_demo.checkpoint.folder import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    load_config,
    speed_up,
)
from dale_demo.cli.options import progress_bar
from dale_demo.data import PositiveMap
from dale_demo.evaluation.classifier import check_classifier
from dale_demo.evaluation.comparison import all_methods, table, trade_off
from dale_demo.evaluation.evaluate import Reference, measure, sample
from dale_demo.evaluation.report import Report
from dale_demo.hardware import hardware
from dale_demo.sampling import SamplingSettings
from dale_demo.ui.sample.trade_off import store

QUICK_COUNTS, QUICK_STEPS = (4, 8), 7


@dataclass(frozen=True)
class Network:
    """A network, its results so far, and the file that they are saved in."""

    name: str
    checkpoint: Checkpoint
    report: Report
    file: Path | None

    @classmethod
    def open(cls, name: str, needed: PositiveMap, file: Path | None, device: str) -> "Network":
        """Load it and resume its report; raises ValueError if it was trained under another map."""
        folder = find_checkpoint(name)
        checkpoint = load_checkpoint(folder, device)
        found, end = checkpoint.config.positive_map, checkpoint.config.min_noise_level
        if found is not needed:
            raise ValueError(f"{name} was trained with --map {found}; --map {needed} is needed.")
        report = Report.resume(name, folder, file, min_noise_level=end)
        return cls(name, checkpoint, report, file)

    @property
    def images_seen(self) -> int:
        """Images seen in training, over all runs."""
        return sum(run.get("images", 0) for run in self.checkpoint.config.runs)

    def described(self) -> str:
        """Its size and training in one line."""
        size = sum(parameter.numel() for parameter in self.checkpoint.model.parameters())
        return f"{self.name}: {size:,} parameters, {self.images_seen:,} images seen in training"

    def evaluate(self, settings: SamplingSettings, reference: Reference, batch_size: int) -> None:
        """Sample and measure, unless the report holds the result; save it."""
        if self.report.find(settings):
            return
        with progress_bar(settings, batch_size) as watch:
            images, seconds = sample(self.checkpoint, settings, batch_size, watch)
        self.report.evaluations.append(
            measure(self.checkpoint, reference.classifier, settings, images, seconds, reference)
        )
        if self.file is not None:
            self.report.save(self.file)


@click.command(context_settings={"show_default": True})
@click.option(
    "--dataset", default="mnist", help="Data set of a bundled network, or a network's folder."
)
@click.option("--additive", help="Folder of a network trained with --map exp, as the baseline.")
@click.option("--recipe-paper", help="Folder of a network trained with --recipe paper.")
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE for the results; what it holds already is not measured again.",
)
@click.option("--num-images", default=10_000, help="Images under each quick setting.")
@click.option("--slow-images", default=1_000, help="Images under the paper's settings.")
@click.option("--batch-size", default=100, help="Images sampled at a time.")
@device_option
@compile_option
@bf16_option
@click.option("--store", "stored", is_flag=True, help="Save the curves where the app shows them.")
@click.option("--quick", is_flag=True, help="A few images in a few steps: only to see it run.")
def main(
    dataset: str,
    additive: str | None,
    recipe_paper: str | None,
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
    """Print a table for each number of images."""
    name = load_config(find_checkpoint(dataset)).dataset
    networks = {"ours": Network.open(dataset, PositiveMap.SHIFT, file, device)}
    for key, other, positive_map in (
        ("additive", additive, PositiveMap.EXP),
        ("paper", recipe_paper, PositiveMap.SHIFT),
    ):
        if other:
            beside = file and file.with_name(f"{file.stem}-{key}{file.suffix}")
            networks[key] = Network.open(other, positive_map, beside, device)
    reference = open_reference(name, device)
    for network in networks.values():
        check_classifier(reference.classifier, network.checkpoint)
        speed_up(network.checkpoint, compiled, bf16)
    methods = [method for method in all_methods(name) if method.network in networks]
    if quick:
        methods = [method.shortened(QUICK_STEPS) for method in methods]
    counts = QUICK_COUNTS if quick else (slow_images, num_images)
    classes, report = len(reference.classifier.config.class_names), networks["ours"].report
    report.floors += [
        reference.floor(count, conditional=True)
        for count in counts
        if not report.floor(count, conditional=True)
    ]
    with suppress(KeyboardInterrupt):
        for method in methods:
            for count in counts[:1] if method.slow else counts:
                settings = method.with_labels(classes, count)
                networks[method.network].evaluate(settings, reference, batch_size)

    print(f"{name}; {hardware(device, bf16)}")
    print("\n".join(network.described() for network in networks.values()))
    seen, curves = {key: network.images_seen for key, network in networks.items()}, []
    for count in counts:
        floor = report.floor(count, conditional=True)
        found = [
            (method, networks[method.network].report.find(method.with_labels(classes, count)))
            for method in methods
        ]
        results = [(method, record) for method, record in found if record]
        if results:
            print(f"\n{count:,} images\n\n{table(results, floor)}")
            curves.append(trade_off(name, results, floor, seen))
    if stored and curves:
        store(curves)


if __name__ == "__main__":
    main()
