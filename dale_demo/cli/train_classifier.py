"""The command that trains a classifier."""

from dataclasses import replace

import click

from dale_demo.cli.options import (
    COUNT,
    data_root_option,
    dataset_option,
    device_option,
    find_device,
    run_record,
)


@click.command("train-classifier")
@dataset_option
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Its folder.")
@data_root_option
@click.option("--epochs", type=COUNT, default=4, help="Passes over the training pictures.")
@click.option("--seed", default=0, help="Seed of weights and every draw.")
@device_option
def train_classifier(
    dataset: str, out: str, data_root: str | None, epochs: int, seed: int, device: str
) -> None:
    """Train the classifier by which samples are judged, and measure it on the test pictures."""
    from tqdm import tqdm

    from dale_demo.data import load_split
    from dale_demo.evaluation import classifier as judges

    notes = run_record(device)
    pictures, unseen = load_split(dataset, data_root)
    classifier = judges.new_classifier(pictures, seed).to(find_device(device))
    with tqdm(total=epochs * len(pictures), unit=" pictures", unit_scale=True) as bar:
        for progress in judges.train_classifier(classifier, pictures, epochs=epochs, seed=seed):
            bar.update(progress.images - bar.n)
        notes |= {"images": bar.n, "seconds": round(bar.format_dict["elapsed"])}
    accuracy = judges.accuracy(classifier, unseen)
    metrics = {"test_accuracy": accuracy.value, "interval": accuracy.interval}
    config = replace(classifier.config, training=notes, metrics=metrics)
    judges.save_classifier(out, classifier, config)
    click.echo(f"Test accuracy {accuracy.value:.2%}; wrote {out}.")
