"""The command that trains a classifier."""

from dataclasses import replace
from pathlib import Path

import click

from dale_demo.cli.options import (
    data_root_option,
    dataset_option,
    device_option,
    find_device,
    out_option,
    overwrite_option,
    run_record,
)


@click.command("train-classifier")
@dataset_option
@out_option
@data_root_option
@overwrite_option
@click.option(
    "--epochs", type=click.IntRange(1, 10_000), default=4, help="Passes over the training images."
)
@click.option(
    "--augment",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of images turned, scaled and sheared a little.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    default=0,
    help="Seed of the weights and all random draws.",
)
@device_option
def train_classifier(
    dataset: str,
    out: str,
    data_root: str | None,
    overwrite: bool,
    epochs: int,
    augment: float,
    seed: int,
    device: str,
) -> None:
    """Train a classifier for `evaluate`, and measure it on the test images.

    It is saved at the end: an interrupted run leaves nothing, and starts again.
    """
    from tqdm import tqdm

    from dale_demo.checkpoint.files import CONFIG_FILE
    from dale_demo.data import load_split
    from dale_demo.evaluation import classifier as classifiers
    from dale_demo.evaluation.recognition import accuracy

    if (Path(out) / CONFIG_FILE).exists() and not overwrite:
        raise ValueError(f"{out} holds a network; replace it by --overwrite, or choose another.")
    record = run_record(device)
    train, test = load_split(dataset, data_root)
    classifier = classifiers.new_classifier(train, seed).to(find_device(device))
    with tqdm(total=epochs * len(train), unit=" images", unit_scale=True) as bar:
        for progress in classifiers.train_classifier(
            classifier, train, epochs=epochs, augment=augment, seed=seed
        ):
            bar.update(progress.images - bar.n)
        record |= {"images": bar.n, "seconds": round(bar.format_dict["elapsed"])}
    measured = accuracy(classifier, test)
    metrics = {"test_accuracy": measured.value, "interval": measured.interval}
    config = replace(classifier.config, training=record, metrics=metrics)
    classifiers.save_classifier(out, classifier, config)
    click.echo(f"Test accuracy {measured.value:.2%}; wrote {click.format_filename(out)}.")
