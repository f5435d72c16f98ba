"""The command that samples images into a file."""

from pathlib import Path
from typing import Any

import click

from dale_demo.cli.options import (
    IMAGES,
    Several,
    check_folder,
    checkpoint_option,
    device_option,
    load_network,
    progress_bar,
    sampling_options,
    sampling_settings,
    swept_options,
)


@click.command()
@checkpoint_option
@click.option("--num-images", type=IMAGES, default=16, help="How many images.")
@click.option(
    "--labels", type=Several(click.INT), help="Classes to take in turn, such as 0,1,2.  [none]"
)
@swept_options(several=False)
@sampling_options
@device_option
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE.npz for arrays, .png for a grid, .webp or .gif for its animation.",
)
def sample(
    checkpoint: str,
    num_images: int,
    labels: tuple[int, ...] | None,
    batch_size: int,
    device: str,
    out: Path,
    **options: Any,
) -> None:
    """Sample images into a file."""
    from dale_demo.checkpoint.files import write_atomically
    from dale_demo.cli import export

    kind = export.kind_of(out)
    check_folder(out)
    loaded = load_network(checkpoint, device)
    settings = sampling_settings(loaded, labels or (), num_images, batch_size=batch_size, **options)
    export.check_film(kind, loaded, settings)
    with progress_bar(settings, batch_size) as watch:
        data = export.export(kind, loaded, settings, batch_size, watch)
    write_atomically(out, data)
    click.echo(f"Wrote {num_images} images to {out}.", err=True)
