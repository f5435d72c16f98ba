"""The command that distills a trained network into one that needs few evaluations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from dale_demo.cli.options import (
    Several,
    bf16_option,
    check_compiler,
    compile_option,
    data_root_option,
    device_option,
    find_network,
    out_option,
    overwrite_option,
    run_record,
)
from dale_demo.cli.train import advance, check_out, held_out_record
from dale_demo.training.config import TrainingConfig

METHODS = {
    "consistency": TrainingConfig(
        images=500_000,
        learning_rate=5e-4,
        ema=0.995,
        label_dropout=0.05,
        recipe="consistency",
        log_noise_mean=-0.7,
        log_noise_std=1.7,
        levels=((8.0, 1.5, 0.6, 0.25), (8.0, 0.5)),
    ),
    "matching": TrainingConfig(
        images=500_000,
        learning_rate=3e-4,
        label_dropout=0.05,
        recipe="matching",
        levels=((1.1, 0.4), (1.1,)),
    ),
}
"""What each method takes where an option is left out."""


@click.command()
@click.option(
    "--from",
    "source",
    required=True,
    help="Trained network to distill: a name, folder or Hub id.",
)
@out_option
@click.option("--dataset", help="Images that give the states to learn at.  [the network's own]")
@data_root_option
@click.option(
    "--method",
    type=click.Choice(list(METHODS)),
    default="consistency",
    help="Consistency along the teacher's trajectories, or matching the distribution of the "
    "images, for one or two evaluations.",
)
@click.option("--images", default=500_000, help="Images to see in all.")
@click.option(
    "--levels",
    type=Several(click.FLOAT),
    multiple=True,
    help="Falling noise levels at which it will be evaluated, for one number of evaluations; may "
    "be given several times. Matching trains the first list.  [consistency: 8,1.5,0.6,0.25 and "
    "8,0.5; matching: 1.1,0.4 and 1.1]",
)
@overwrite_option
@click.option("--batch-size", default=128, help="Global batch size.")
@click.option(
    "--learning-rate",
    type=click.FLOAT,
    help="Peak learning rate of Adam.  [consistency: 5e-4; matching: 3e-4]",
)
@click.option("--seed", default=0, help="Seed of all random draws.")
@device_option
@compile_option
@bf16_option
def distill(
    source: str,
    out: str,
    dataset: str | None,
    data_root: str | None,
    method: str,
    levels: tuple[tuple[float, ...], ...],
    device: str,
    compiled: bool,
    bf16: bool,
    overwrite: bool,
    **settings: Any,
) -> None:
    """Distill a network for few evaluations; an unfinished run in --out is continued."""
    from dale_demo import training
    from dale_demo.checkpoint.folder import load_checkpoint
    from dale_demo.data import load_training
    from dale_demo.training.distributed import leave
    from dale_demo.training.state import check_unfinished

    folder = find_network(source).folder
    check_out(out, [folder])
    check_compiler(compiled, device)
    teacher, initial = load_checkpoint(folder), load_checkpoint(folder)
    if not overwrite:
        check_unfinished(Path(out))
    network = teacher.config.network
    shape = {name: getattr(network, name) for name in ("width", "multipliers", "patch")}
    given = {name: value for name, value in settings.items() if value is not None}
    defaults = METHODS[method]
    config = replace(defaults, **given, **shape, levels=levels or defaults.levels)
    data, held_out = load_training(dataset or teacher.config.dataset, data_root)
    run = training.train(
        replace(data, positive_map=teacher.config.positive_map),
        out,
        config,
        record=run_record(device) | held_out_record(held_out),
        compiled=compiled,
        bf16=bf16,
        cpu=device == "cpu",
        initial=initial,
        teacher=teacher,
        overwrite=overwrite,
    )
    advance(run, config.images)
    leave()
