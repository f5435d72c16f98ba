"""Measure at which noise levels a network's score is wrong.

    DALE_DATA=… python -m benchmarks.levels --checkpoint fashion_mnist

Training images are noised to a level, and sampled back from there given their classes. With an
exact score and small steps the resulting images follow the data's distribution again, whatever the
level, and so are as near to the test images as the training images are themselves, which is the
floor in the last row. By as much as the distance grows from one level to the next, the score is
wrong between the two.
"""

from typing import get_args

import click
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.shared import (
    bf16_option,
    checkpoint_option,
    compile_option,
    device_option,
    open_reference,
)
from dale_demo.checkpoint.folder import Checkpoint, find_checkpoint, load_checkpoint, speed_up
from dale_demo.checkpoint.results import DISTANCES, distances
from dale_demo.data import Dataset
from dale_demo.drawing.markdown import table
from dale_demo.hardware import hardware
from dale_demo.noise import Noise
from dale_demo.restoration import PosteriorSamplerName, ReverseSamplerName, noise, reverse, until

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 2.0, 8.0)
SAMPLERS = ("probability-flow", *get_args(PosteriorSamplerName))


@torch.inference_mode()
def noise_and_sample_back(
    network: Checkpoint,
    data: Dataset,
    noise_level: float,
    sampler: ReverseSamplerName,
    steps: int,
    batch_size: int,
) -> Tensor:
    """Noise images to `noise_level` and sample back from there; uint8 [N, C, H, W], on the CPU."""
    process = until(network.config.process, noise_level)
    device, parts = network.model.class_averages.device, []
    for rows in tqdm(torch.arange(len(data)).split(batch_size), desc=f"s = {noise_level:g}"):
        x0 = network.config.positive_map.positive(data.images[rows]).to(device)
        source = Noise(0, rows.tolist(), x0.shape[1:], device)
        score = network.model.score(process, data.labels[rows].to(device))
        noised, end = noise(x0, process, source()), network.config.min_noise_level
        x = reverse(sampler, score, noised, process, steps, source, min_noise_level=end)
        parts.append(network.config.positive_map.pixels(x).cpu())
    return torch.cat(parts)


@click.command(context_settings={"show_default": True})
@checkpoint_option
@click.option("--num-images", default=2000, help="Training images at each level.")
@click.option("--sampler", type=click.Choice(SAMPLERS), default=SAMPLERS[0], help="Samples back.")
@click.option("--steps", default=20, help="Intervals of the time grid.")
@click.option("--batch-size", default=100, help="Images at a time.")
@device_option
@compile_option
@bf16_option
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
    """Print the distances to the test images by the level that sampling started from."""
    network = load_checkpoint(find_checkpoint(checkpoint), device)
    speed_up(network, compiled, bf16)
    dataset = network.config.dataset
    reference = open_reference(dataset, device)
    data = reference.some_training(num_images)
    print(f"{dataset}: {len(data)} images, {sampler}, {steps} steps; {hardware(device, bf16)}")
    rows = []
    for level in LEVELS:
        images = noise_and_sample_back(network, data, level, sampler, steps, batch_size)
        rows.append((f"{level:g}", *distances(reference.compare(images, data.labels))))
    rows.append(("not noised", *distances(reference.floor(num_images, conditional=False))))
    print("\n" + table(("From s =", *DISTANCES), rows))


if __name__ == "__main__":
    main()
