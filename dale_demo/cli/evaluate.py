"""The command that measures samples against real images."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dale_demo.cli.options import (
    COUNT,
    SWEPT,
    bf16_option,
    check_folder,
    checkpoint_option,
    compile_option,
    data_root_option,
    device_option,
    find_device,
    find_network,
    progress_bar,
    sampling_options,
    sampling_settings,
    swept_options,
)

if TYPE_CHECKING:
    from dale_demo.evaluation.classifier import Classifier
    from dale_demo.evaluation.evaluate import Reference
    from dale_demo.evaluation.inception import Inception


@click.command()
@checkpoint_option
@click.option("--num-images", type=COUNT, default=2000, help="How many pictures.")
@click.option(
    "--conditional/--unconditional", default=True, help="Go round all classes, or ask for none."
)
@swept_options(several=True)
@sampling_options
@device_option
@compile_option
@bf16_option
@data_root_option
@click.option("--classifier", help="Folder of a classifier; the bundled one when left out.")
@click.option(
    "--inception",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE with Inception's weights: distances in its features, as papers quote them.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE for the report; what it holds already is not measured again.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="DIR for the pictures, and for their nearest training pictures beside them.",
)
@click.option(
    "--min-noise-level",
    "--last-level",
    "min_noise_level",
    type=click.FloatRange(0.002, 1),
    help="Noise level at which walks on a Karras grid end; --update-card makes it the network's "
    "own.  [the network's own]",
)
@click.option("--update-card", is_flag=True, help="Also store the results in the checkpoint.")
def evaluate(
    checkpoint: str,
    num_images: int,
    conditional: bool,
    device: str,
    compiled: bool,
    bf16: bool,
    data_root: str | None,
    classifier: str | None,
    inception: Path | None,
    json_file: Path | None,
    keep: Path | None,
    min_noise_level: float | None,
    update_card: bool,
    batch_size: int,
    **options: Any,
) -> None:
    """Measure samples against real pictures, under every combination of the settings given.

    Options of several values take them separated by commas: --sampler bridge,multistep
    --steps 10,20. Distances need the data set; without it, only recognition is measured.
    """
    from accelerate import PartialState

    from dale_demo.checkpoint.card import add_evaluation
    from dale_demo.checkpoint.folder import load_checkpoint, speed_up
    from dale_demo.evaluation import classifier as judges
    from dale_demo.evaluation import evaluate as evaluation
    from dale_demo.evaluation.inception import load_inception
    from dale_demo.evaluation.report import CLASSIFIER, Report
    from dale_demo.training.distributed import leave

    if json_file:
        check_folder(json_file)
    state = PartialState(cpu=device == "cpu")
    found = find_network(checkpoint)
    if update_card and found.commit:
        raise ValueError(f"--update-card writes into a folder; pull {checkpoint} into one first.")
    if update_card and inception:
        raise ValueError("Cards hold distances in a classifier's features; use --json instead.")
    eye = load_inception(inception, find_device(device)) if inception else None
    loaded = load_checkpoint(found.folder, find_device(device))
    if min_noise_level is not None:
        loaded = replace(loaded, config=replace(loaded.config, min_noise_level=min_noise_level))
    end = loaded.config.min_noise_level
    speed_up(loaded, compiled, bf16)
    folder = classifier or judges.find_classifier(loaded.config.dataset)
    judge = judges.load_classifier(folder, find_device(device))
    judges.check_classifier(judge, loaded)
    classes = range(len(loaded.config.class_names)) if conditional else ()
    runs = [sampling_settings(loaded, classes, num_images, **one) for one in _combinations(options)]
    features = eye.name if eye else CLASSIFIER
    report = Report.resume(checkpoint, found.folder, json_file, features, end)
    reference = None
    if state.is_main_process:
        reference = _reference(judge, eye, loaded.config.dataset, data_root, num_images)
    if reference and not report.floor(num_images, conditional):
        report.floors.append(reference.floor(num_images, conditional))
    for settings in report.missing(runs):
        with progress_bar(settings, batch_size) as watch:
            images, seconds = evaluation.sample(loaded, settings, batch_size, watch)
        if not state.is_main_process:
            continue
        record = evaluation.measure(loaded, judge, settings, images, seconds, reference)
        report.evaluations.append(record)
        if json_file:
            report.save(json_file)
        if keep:
            evaluation.keep(keep, images, settings, reference)
        if update_card:
            add_evaluation(found.folder, record, report.floor(num_images, conditional), end)
    if state.is_main_process:
        click.echo(report.to_markdown())
    leave()


def _reference(
    judge: "Classifier",
    eye: "Inception | None",
    dataset: str,
    data_root: str | None,
    count: int,
) -> "Reference | None":
    """The real pictures of `dataset`; where they are of no use, None and a sentence."""
    from dale_demo.data import DataError, load_split
    from dale_demo.evaluation.evaluate import Reference
    from dale_demo.evaluation.metrics import NEIGHBOUR

    try:
        if count <= NEIGHBOUR:
            raise DataError(f"they need more than {NEIGHBOUR} pictures.")
        return Reference(judge, *load_split(dataset, data_root), inception=eye)
    except DataError as error:
        click.echo(f"No distances to real pictures: {error}", err=True)
        return None


def _combinations(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every choice of one value for each of the options in `SWEPT`."""
    names = [name.replace("-", "_") for name in SWEPT]
    for values in product(*(options[name] or (None,) for name in names)):
        yield options | dict(zip(names, values, strict=True))
