"""At which noise levels a network's score is wrong.

    DALE_DATA=… python -m benchmarks.levels --checkpoint fashion_mnist

Training pictures are noised to a level and walked back from there under their classes. With an
exact score and small steps the pictures that come out follow the data's law again, whatever the
level, and so are as near to the test pictures as the training pictures are themselves, which is
the floor in the last row. What the distance grows by from one level to the next is lost between
them.
"""

import os
from typing import get_args

import click
import torch
from torch import Tensor
from tqdm import tqdm

from dale_demo.checkpoint.folder import Checkpoint, find_checkpoint, load_checkpoint, speed_up
from dale_demo.checkpoint.results import DISTANCES, distances
from dale_demo.data import Dataset, load_split
from dale_demo.drawing.markdown import table
from dale_demo.evaluation.classifier import find_classifier, load_classifier
from dale_demo.evaluation.evaluate import Reference
from dale_demo.hardware import hardware
from dale_demo.noise import Noise
from dale_demo.restoration import PosteriorSamplerName, ReverseSamplerName, noise, reverse, until

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 2.0, 8.0)
SAMPLERS = ("probability-flow", *get_args(PosteriorSamplerName))


@torch.inference_mode()
def there_and_back(
    network: Checkpoint,
    pictures: Dataset,
    noise_level: float,
    sampler: ReverseSamplerName,
    steps: int,
    batch_size: int,
) -> Tensor:
    """Noise pictures to `noise_level` and walk back; uint8 [N, C, H, W], on the CPU."""
    process = until(network.config.process, noise_level)
    device, parts = network.model.class_averages.device, []
    for rows in tqdm(torch.arange(len(pictures)).split(batch_size), desc=f"s = {noise_level:g}"):
        x0 = network.config.positive_map.positive(pictures.images[rows]).to(device)
        source = Noise(0, rows.tolist(), x0.shape[1:], device)
        score = network.model.score(process, pictures.labels[rows].to(device))
        noised, end = noise(x0, process, source()), network.config.min_noise_level
        x = reverse(sampler, score, noised, process, steps, source, min_noise_level=end)
        parts.append(network.config.positive_map.pixels(x).cpu())
    return torch.cat(parts)


@click.command(context_settings={"show_default": True})
@click.option("--checkpoint", default="mnist", help="Name of a bundled network, or a folder.")
@click.option("--num-images", default=2000, help="Training pictures at each level.")
@click.option("--sampler", type=click.Choice(SAMPLERS), default=SAMPLERS[0], help="Walks back.")
@click.option("--steps", default=20, help="Of each walk.")
@click.option("--batch-size", default=100, help="Pictures at a time.")
@click.option("--device", default="cpu", help="Where to compute.")
@click.option("--compile", "compiled", is_flag=True, help="Compile the network.")
@click.option("--bf16", is_flag=True, help="Use bfloat16 on a CPU too.")
def main(
    checkpoint: str,
    num_images: int,
    sampler: ReverseSamplerName,
    steps: int,
    batch_size: int,
    device: str,
    compiled: bool,
    bf16: bool,
) -> None:
    """Print the distances to the test pictures by the level that the walk began from."""
    network = load_checkpoint(find_checkpoint(checkpoint), device)
    speed_up(network, compiled, bf16)
    dataset = network.config.dataset
    judge = load_classifier(find_classifier(dataset), device)
    reference = Reference(judge, *load_split(dataset, os.environ.get("DALE_DATA")))
    pictures = reference.some_training(num_images)
    print(
        f"{dataset}: {len(pictures)} pictures, {sampler}, {steps} steps; {hardware(device, bf16)}"
    )
    rows = []
    for level in LEVELS:
        back = there_and_back(network, pictures, level, sampler, steps, batch_size)
        rows.append((f"{level:g}", *distances(reference.compare(back, pictures.labels))))
    rows.append(("not noised", *distances(reference.floor(num_images, conditional=False))))
    print("\n" + table(("From s =", *DISTANCES), rows))


if __name__ == "__main__":
    main()
