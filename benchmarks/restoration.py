"""What the reverse process restores, beside classical filters at their best.

    DALE_DATA=… python -m benchmarks.restoration --checkpoint mnist

Test pictures are noised to each level and restored, without their classes. The table holds mean
PSNR in dB and mean SSIM, the best in bold; the classical filters get, for each picture, the
setting that comes nearest to the original.
"""

import os
from collections.abc import Iterator

import click
import numpy as np
import torch
from tqdm import tqdm

from dale_demo.checkpoint.folder import Checkpoint, find_checkpoint, load_checkpoint
from dale_demo.data import load, positive
from dale_demo.evaluation.restorations import WAYS, compare
from dale_demo.hardware import hardware
from dale_demo.restoration import RestorationSettings, intensity, restore

LEVELS = (0.2, 0.5, 1.0, 2.0)


def originals(dataset: str, count: int, root: str | None) -> torch.Tensor:
    """The first `count` test pictures of a data set, as x₀ [N, 1, H, W]."""
    return positive(load(dataset, "test", root).images[:count])


def measure(
    network: Checkpoint, pictures: torch.Tensor, settings: RestorationSettings, batch_size: int
) -> dict[str, np.ndarray]:
    """Mean PSNR and SSIM of each way of restoring [2]."""
    parts = list(_batches(network, pictures, settings, batch_size))
    tables = {way: np.concatenate([part[way] for part in parts]) for way in WAYS}
    return {way: table.mean(0) for way, table in tables.items()}


def _batches(
    network: Checkpoint, pictures: torch.Tensor, settings: RestorationSettings, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
    device = network.model.class_averages.device
    split = pictures.split(batch_size)
    for batch in tqdm(split, desc=f"s = {settings.noise_level:g}", leave=False):
        restored = restore(network, batch.to(device), settings)
        yield compare(restored, intensity(batch)[:, 0], settings.noise_level)


def rows(results: list[dict[str, np.ndarray]]) -> Iterator[str]:
    """One row for each way, PSNR / SSIM at each level."""
    best = [np.max(list(result.values()), axis=0) for result in results]
    for way in WAYS:
        cells = [
            " / ".join(
                f"**{value:.{digits}f}**" if value == top else f"{value:.{digits}f}"
                for value, top, digits in zip(result[way], tops, (1, 3), strict=True)
            )
            for result, tops in zip(results, best, strict=True)
        ]
        yield f"| {way} | " + " | ".join(cells) + " |"


@click.command(context_settings={"show_default": True})
@click.option("--checkpoint", default="mnist", help="Name of a bundled network, or a folder.")
@click.option("--num-images", default=500, help="Test pictures at each level.")
@click.option("--drawer", default="dale-langevin", help="Or bridge: what draws from the posterior.")
@click.option("--steps", default=20, help="Of both walks.")
@click.option("--draws", default=4, help="Draws from the posterior for each picture.")
@click.option("--seed", default=0, help="Of the noise and the draws.")
@click.option("--batch-size", default=50, help="Pictures at a time.")
@click.option("--device", default="cpu", help="Where to compute.")
def main(
    checkpoint: str,
    num_images: int,
    drawer: str,
    steps: int,
    draws: int,
    seed: int,
    batch_size: int,
    device: str,
) -> None:
    """Print a table of PSNR and SSIM."""
    network = load_checkpoint(find_checkpoint(checkpoint), device)
    pictures = originals(network.config.dataset, num_images, os.environ.get("DALE_DATA"))
    print(f"{len(pictures)} test pictures; {draws} draws by {drawer}, {steps} steps; seed {seed}")
    print(f"{hardware(device)}\n")
    print("| PSNR dB / SSIM | " + " | ".join(f"s = {level:g}" for level in LEVELS) + " |")
    print("|---|" + "---|" * len(LEVELS))
    results = []
    for level in LEVELS:
        settings = RestorationSettings(level, drawer, steps, draws, seed)
        results.append(measure(network, pictures, settings, batch_size))
    print("\n".join(rows(results)))


if __name__ == "__main__":
    main()
