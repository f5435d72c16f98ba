"""Options and real images that several benchmarks share."""

import click

from dale_demo.data import load_split
from dale_demo.evaluation.classifier import find_classifier, load_classifier
from dale_demo.evaluation.evaluate import Reference

checkpoint_option = click.option(
    "--checkpoint", default="mnist", help="Name of a bundled network, or a folder."
)
device_option = click.option("--device", default="cpu", help="Where to compute.")
compile_option = click.option("--compile", "compiled", is_flag=True, help="Compile the network.")
bf16_option = click.option("--bf16", is_flag=True, help="Use bfloat16 on a CPU too.")


def open_reference(dataset: str, device: str) -> Reference:
    """The images of a data set, and its bundled classifier on `device`."""
    classifier = load_classifier(find_classifier(dataset), device)
    return Reference(classifier, *load_split(dataset))
