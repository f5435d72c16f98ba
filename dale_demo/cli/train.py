"""The command that trains a network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from dale_demo.cli.options import (
    Several,
    bf16_option,
    compile_option,
    data_root_option,
    dataset_option,
    device_option,
    find_network,
    run_record,
)


@click.command()
@dataset_option
@click.option(
    "--pictures",
    "made",
    type=click.Path(exists=True, dir_okay=False),
    help="FILE.npz of sample, or of evaluate --keep: learn from these in place of the set's own.",
)
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Checkpoint folder.")
@data_root_option
@click.option(
    "--map",
    "positive_map",
    type=click.Choice(["shift", "exp"]),
    default="shift",
    help="How pixels become positive: 1 + pixel, or e^pixel, which is additive diffusion.",
)
@click.option("--images", default=1_000_000, help="Pictures to see in all.")
@click.option("--batch-size", default=128, help="Global batch size.")
@click.option("--learning-rate", default=2e-3, help="Peak learning rate of Adam.")
@click.option("--width", default=48, help="Channels at the first level.")
@click.option(
    "--multipliers",
    type=Several(click.INT),
    default="2,4",
    help="Channels of each level in multiples of width.",
)
@click.option("--dropout", default=0.0, help="Share of features dropped.")
@click.option("--log-noise-mean", default=-1.0, help="Mean of ln s, normal over the pictures.")
@click.option("--log-noise-std", default=1.3, help="Standard deviation of ln s.")
@click.option("--seed", default=0, help="Seed of weights and every draw.")
@click.option(
    "--from",
    "initial",
    help="Trained network to start from, of this width or less: a name, folder or Hub id.",
)
@click.option(
    "--teacher",
    help="Trained network to learn from in place of the data, of any size.  [--from's own]",
)
@click.option(
    "--weaker", help="The teacher with less training: learn what that says, led away from this."
)
@click.option("--towards", help="What leads the way from --weaker.  [the teacher]")
@click.option(
    "--guidance",
    default=1.0,
    help="How far away from --weaker: 1 is the teacher's own, less leads back.",
)
@click.option("--guidance-below", default=20.0, help="Noise level up to which --guidance holds.")
@click.option(
    "--fine-guidance",
    default=1.0,
    help="In place of --guidance at the lowest levels, where texture is made.",
)
@click.option(
    "--fine-guidance-below", default=0.0, help="Noise level up to which --fine-guidance holds."
)
@device_option
@compile_option
@bf16_option
def train(
    dataset: str,
    made: str | None,
    out: str,
    data_root: str | None,
    positive_map: str,
    initial: str | None,
    teacher: str | None,
    weaker: str | None,
    towards: str | None,
    device: str,
    compiled: bool,
    bf16: bool,
    **settings: Any,
) -> None:
    """Train a network; an unfinished run in --out is continued."""
    from tqdm import tqdm

    from dale_demo import data
    from dale_demo.checkpoint.folder import load_checkpoint
    from dale_demo.training import run as training
    from dale_demo.training.distributed import leave

    config = training.TrainingConfig(**settings)
    if weaker and not teacher:
        teacher = initial
    start, better, lesser, goal = (
        find_network(name).folder if name else None for name in (initial, teacher, weaker, towards)
    )
    _keep_apart(out, *filter(None, (better, lesser, goal)))
    notes = run_record(device)
    pictures = data.load(dataset, "train", data_root)
    if made:
        pictures = data.sampled(pictures, made)
    pictures = replace(pictures, positive_map=data.PositiveMap(positive_map))
    run = training.train(
        pictures,
        out,
        config,
        notes=notes,
        compiled=compiled,
        bf16=bf16,
        cpu=device == "cpu",
        initial=load_checkpoint(start) if start else None,
        better=load_checkpoint(better) if better else None,
        weaker=load_checkpoint(lesser) if lesser else None,
        towards=load_checkpoint(goal) if goal else None,
    )
    with tqdm(total=config.images, unit=" pictures", unit_scale=True) as bar:
        for progress in run:
            bar.set_postfix(loss=f"{progress.loss:.4f}")
            bar.update(min(progress.images, config.images) - bar.n)
    leave()


def _keep_apart(out: str, *teachers: Path) -> None:
    """Refuse to write over a network while another learns from it."""
    if Path(out).resolve() in [folder.resolve() for folder in teachers]:
        raise ValueError(f"--out {out} is where a network lies which teaches; choose another.")
