"""The command that measures samples against real images."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dale_demo.cli.options import (
    IMAGES,
    SWEPT,
    bf16_option,
    check_compiler,
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
    from dale_demo.checkpoint.folder import Checkpoint
    from dale_demo.evaluation.classifier import Classifier
    from dale_demo.evaluation.evaluate import Reference
    from dale_demo.evaluation.inception import Inception
    from dale_demo.hub.resolved import Resolved


@click.command()
@checkpoint_option
@click.option("--num-images", type=IMAGES, default=2000, help="How many images.")
@click.option(
    "--conditional/--unconditional", default=True, help="Take all classes in turn, or none."
)
@swept_options(several=True)
@sampling_options
@device_option
@compile_option
@bf16_option
@data_root_option
@click.option(
    "--classifier", "classifier_folder", help="Folder of a classifier.  [the bundled one]"
)
@click.option(
    "--inception",
    "inception_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE with Inception's weights: distances in its features, as papers report them.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE for the report; results that it holds already are not measured again.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="DIR for the images, and for their nearest training images beside them.",
)
@click.option(
    "--min-noise-level",
    "--last-level",
    "min_noise_level",
    type=click.FloatRange(0.002, 1),
    help="Noise level at which runs on a Karras grid end; --update-card makes it the network's "
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
    classifier_folder: str | None,
    inception_file: Path | None,
    json_file: Path | None,
    keep: Path | None,
    min_noise_level: float | None,
    update_card: bool,
    batch_size: int,
    **options: Any,
) -> None:
    """Measure samples against real images, under every combination of the settings given.

    Options of several values take them separated by commas: --sampler bridge,multistep
    --steps 10,20. Distances need the data set; without it, only recognition is measured.
    """
    from accelerate import PartialState

    from dale_demo.checkpoint.card import add_evaluation
    from dale_demo.checkpoint.folder import speed_up
    from dale_demo.evaluation import evaluate as evaluation
    from dale_demo.evaluation.inception import load_inception
    from dale_demo.evaluation.report import CLASSIFIER, Report
    from dale_demo.training.distributed import leave

    if json_file:
        check_folder(json_file)
    check_compiler(compiled, device)
    state = PartialState(cpu=device == "cpu")
    found = find_network(checkpoint)
    if update_card:
        _check_card(found, inception_file)
    inception = load_inception(inception_file, find_device(device)) if inception_file else None
    network = _load_network(found, device, min_noise_level)
    speed_up(network, compiled, bf16)
    classifier = _load_classifier(classifier_folder, network, device)
    classes = range(len(network.config.class_names)) if conditional else ()
    runs = [
        sampling_settings(network, classes, num_images, batch_size=batch_size, **one)
        for one in _combinations(options)
    ]
    end, features = network.config.min_noise_level, inception.name if inception else CLASSIFIER
    report = Report.resume(checkpoint, found.folder, json_file, features, end)
    reference = None
    if state.is_main_process:
        reference = _load_reference(
            classifier, inception, network.config.dataset, data_root, num_images
        )
    if reference and not report.floor(min(num_images, len(reference.train)), conditional):
        report.floors.append(reference.floor(num_images, conditional))
    for settings in report.missing(runs):
        with progress_bar(settings, batch_size) as watch:
            images, seconds = evaluation.sample(network, settings, batch_size, watch)
        if not state.is_main_process:
            continue
        record = evaluation.measure(network, classifier, settings, images, seconds, reference)
        report.evaluations.append(record)
        if json_file:
            report.save(json_file)
        if keep:
            evaluation.save_images(keep, images, settings, reference)
        if update_card:
            add_evaluation(found.folder, record, report.floor(num_images, conditional), end)
    if state.is_main_process:
        click.echo(report.to_markdown())
    leave()


def _check_card(found: "Resolved", inception_file: Path | None) -> None:
    """Check that results can be stored in the network's own folder; raises ValueError."""
    if found.commit:
        raise ValueError(f"--update-card writes into a folder; pull {found.name} into one first.")
    if inception_file:
        raise ValueError("Cards hold distances in a classifier's features; use --json instead.")


def _load_network(found: "Resolved", device: str, min_noise_level: float | None) -> "Checkpoint":
    """Load a network, with `min_noise_level` in place of its own where one is given."""
    network = found.load(find_device(device))
    if min_noise_level is None:
        return network
    return replace(network, config=replace(network.config, min_noise_level=min_noise_level))


def _load_classifier(folder: str | None, network: "Checkpoint", device: str) -> "Classifier":
    """Load the classifier in `folder`, or the bundled one, that knows the network's classes."""
    from dale_demo.evaluation.classifier import (
        check_classifier,
        find_classifier,
        load_classifier,
    )

    place = folder or find_classifier(network.config.dataset)
    classifier = load_classifier(place, find_device(device))
    check_classifier(classifier, network)
    return classifier


def _load_reference(
    classifier: "Classifier",
    inception: "Inception | None",
    dataset: str,
    data_root: str | None,
    count: int,
) -> "Reference | None":
    """The real images of `dataset`; where they cannot be compared with, None, and it is said."""
    from dale_demo.data import DataError, load_split
    from dale_demo.evaluation.evaluate import Reference
    from dale_demo.evaluation.metrics import needs

    try:
        train, test = load_split(dataset, data_root)
    except DataError as error:
        click.echo(f"No distances to real images: {error}", err=True)
        return None
    if few := needs(count, len(test)):
        click.echo(f"Not measured of {count} images and {len(test)} real ones: {few}.", err=True)
    return Reference(classifier, train, test, inception=inception)


def _combinations(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every choice of one value for each of the options in `SWEPT`."""
    names = [name.replace("-", "_") for name in SWEPT]
    for values in product(*(options[name] or (None,) for name in names)):
        yield options | dict(zip(names, values, strict=True))
