"""PSNR and SSIM of restorations by the reverse process and by classical filters at their best.

    DALE_DATA=… python -m benchmarks.restoration --checkpoint mnist

Test images are noised to each level and restored, without their classes. The table holds mean PSNR
in dB and mean SSIM, the best in bold; the classical filters get, for each image, the setting that
comes nearest to the original.
"""

from collections.abc import Iterator, Sequence

import click
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.shared import checkpoint_option, device_option
from dale_demo.checkpoint.folder import Checkpoint, find_checkpoint, load_checkpoint
from dale_demo.data import load, positive
from dale_demo.drawing.markdown import table
from dale_demo.evaluation.restorations import METHODS, compare
from dale_demo.hardware import hardware
from dale_demo.restoration import RestorationSettings, intensity, restore

NOISE_LEVELS = (0.2, 0.5, 1.0, 2.0)


def measure(
    network: Checkpoint, originals: torch.Tensor, settings: RestorationSettings, batch_size: int
) -> dict[str, np.ndarray]:
    """Mean PSNR and SSIM of each method [2], over the images x₀ `originals` [N, 1, H, W]."""
    device, parts = network.model.class_averages.device, []
    batches = originals.split(batch_size)
    for batch in tqdm(batches, desc=f"s = {settings.noise_level:g}", leave=False):
        restored = restore(network, batch.to(device), settings)
        parts.append(compare(restored, intensity(batch)[:, 0], settings.noise_level))
    return {method: np.concatenate([part[method] for part in parts]).mean(0) for method in METHODS}


def rows(results: Sequence[dict[str, np.ndarray]]) -> Iterator[list[str]]:
    """One row for each method, PSNR / SSIM at each level."""
    best = [np.max(list(result.values()), axis=0) for result in results]
    for method in METHODS:
        yield [
            method,
            *(
                " / ".join(
                    f"**{value:.{digits}f}**" if value == top else f"{value:.{digits}f}"
                    for value, top, digits in zip(result[method], tops, (1, 3), strict=True)
                )
                for result, tops in zip(results, best, strict=True)
            ),
        ]


@click.command(context_settings={"show_default": True})
@checkpoint_option
@click.option("--num-images", default=500, help="Test images at each level.")
@click.option(
    "--posterior-sampler",
    "--drawer",
    "posterior_sampler",
    default="dale-langevin",
    help="Or bridge: the sampler of the posterior.",
)
@click.option("--steps", default=20, help="Steps of the sampler and of the probability flow.")
@click.option("--draws", default=4, help="Draws from the posterior for each image.")
@click.option("--seed", default=0, help="Seed of the noise and the draws.")
@click.option("--batch-size", default=50, help="Images at a time.")
@device_option
def main(
    checkpoint: str,
    num_images: int,
    posterior_sampler: str,
    steps: int,
    draws: int,
    seed: int,
    batch_size: int,
    device: str,
) -> None:
    """Print a table of PSNR and SSIM."""
    network = load_checkpoint(find_checkpoint(checkpoint), device)
    images = load(network.config.dataset, "test").images[:num_images]
    print(
        f"{len(images)} test images; {draws} draws by {posterior_sampler}, {steps} steps; "
        f"seed {seed}; {hardware(device)}\n"
    )
    results = [
        measure(
            network,
            positive(images),
            RestorationSettings(level, posterior_sampler, steps, draws, seed),
            batch_size,
        )
        for level in NOISE_LEVELS
    ]
    head = ("PSNR dB / SSIM", *(f"s = {level:g}" for level in NOISE_LEVELS))
    print(table(head, list(rows(results))))


if __name__ == "__main__":
    main()
