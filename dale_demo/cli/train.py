"""The command that trains a network."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dale_demo.cli.options import (
    COUNT,
    Several,
    bf16_option,
    check_compiler,
    compile_option,
    data_root_option,
    dataset_option,
    device_option,
    find_network,
    out_option,
    overwrite_option,
    run_record,
)
from dale_demo.training.config import TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Generator

    from dale_demo.checkpoint.folder import Checkpoint
    from dale_demo.training.run import Progress

DEFAULT = TrainingConfig()


@click.command()
@dataset_option
@out_option
@data_root_option
@click.option(
    "--map",
    "positive_map",
    type=click.Choice(["shift", "exp"]),
    default="shift",
    help="How pixels become positive: 1 + pixel, or e^pixel, which is additive diffusion.",
)
@click.option("--images", default=DEFAULT.images, help="Images to see in all.")
@click.option(
    "--continue-to",
    type=COUNT,
    metavar="IMAGES",
    help="Go on with the finished network in --out until it has seen so many images over all its "
    "runs: from its averaged weights, with the settings of its last run where none are given, the "
    "next seed, and a learning rate that warms up and falls anew over the images added.",
)
@overwrite_option
@click.option("--batch-size", default=DEFAULT.batch_size, help="Global batch size.")
@click.option(
    "--rule",
    type=click.Choice(["adam", "eg"]),
    default=DEFAULT.rule,
    help="What moves the synapses: Adam, or exponentiated gradient along Adam's direction, under "
    "which none changes sign. Biases and norms are Adam's under both.",
)
@click.option("--learning-rate", default=DEFAULT.learning_rate, help="Peak learning rate of Adam.")
@click.option(
    "--synapse-rate",
    default=DEFAULT.synapse_rate,
    help="Peak learning rate of exponentiated gradient.",
)
@click.option(
    "--magnitudes",
    type=click.Choice(["log-normal", "half-normal"]),
    default=None,
    help="Distribution of |w| of the first synapses.  [log-normal with --rule eg, PyTorch's own "
    "start otherwise]",
)
@click.option(
    "--signs",
    type=click.Choice(["random", "columns"]),
    default=DEFAULT.signs,
    help="Signs of the first synapses, where --magnitudes are drawn: one for each synapse, or one "
    "for each presynaptic channel of a layer.",
)
@click.option("--width", default=DEFAULT.width, help="Channels at the first level.")
@click.option(
    "--multipliers",
    type=Several(click.INT),
    default=",".join(map(str, DEFAULT.multipliers)),
    help="Channels of each level in multiples of width.",
)
@click.option("--dropout", default=DEFAULT.dropout, help="Share of features dropped.")
@click.option(
    "--augment",
    default=DEFAULT.augment,
    help="Share of images shifted, turned, scaled and sheared a little.",
)
@click.option(
    "--recipe",
    type=click.Choice(["edm", "paper"]),
    default=DEFAULT.recipe,
    help="Noise levels and weights of the loss: EDM's, or the paper's, with t uniform and s up to "
    "0.8.",
)
@click.option(
    "--log-noise-mean",
    default=DEFAULT.log_noise_mean,
    help="Mean of ln s, which is drawn from a normal distribution for each image.",
)
@click.option("--log-noise-std", default=DEFAULT.log_noise_std, help="Standard deviation of ln s.")
@click.option("--seed", default=DEFAULT.seed, help="Seed of the weights and all random draws.")
@click.option(
    "--from",
    "initial",
    help="Trained network of the same shape to start from: a name, folder or Hub id.",
)
@click.option(
    "--teacher",
    help="Trained network to learn from in place of the data, of any size.  [--from, if --weaker]",
)
@click.option(
    "--weaker",
    help="The teacher with less training: learn the teacher's scores guided away from this one's.",
)
@click.option(
    "--guidance",
    default=DEFAULT.guidance,
    help="w: 1 gives the teacher's own scores, more guides away from --weaker, less back to it.",
)
@click.option(
    "--guidance-below",
    default=DEFAULT.guidance_below,
    help="Noise level up to which --guidance applies.",
)
@device_option
@compile_option
@bf16_option
def train(
    dataset: str,
    out: str,
    data_root: str | None,
    positive_map: str,
    initial: str | None,
    teacher: str | None,
    weaker: str | None,
    device: str,
    compiled: bool,
    bf16: bool,
    continue_to: int | None,
    overwrite: bool,
    **settings: Any,
) -> None:
    """Train a network; an unfinished run in --out is continued."""
    from dale_demo import training
    from dale_demo.checkpoint.folder import load_checkpoint
    from dale_demo.data import PositiveMap, load_training
    from dale_demo.training.continuation import check_data
    from dale_demo.training.distributed import leave
    from dale_demo.training.state import check_unfinished

    _check_recipe(settings)
    _check_rule(settings, started=bool(initial or continue_to))
    config = TrainingConfig(**settings)
    names = {
        "initial": initial,
        "teacher": teacher or (initial if weaker else None),
        "weaker": weaker,
    }
    folders = {role: find_network(name).folder for role, name in names.items() if name}
    check_out(out, [folders[role] for role in ("teacher", "weaker") if role in folders])
    check_compiler(compiled, device)
    record = run_record(device)
    networks = {role: load_checkpoint(folder) for role, folder in folders.items()}
    if continue_to:
        networks["initial"], config = _continued(out, continue_to, overwrite, initial, settings)
        positive_map = _map_of(networks["initial"], positive_map)
    elif not overwrite:
        check_unfinished(Path(out))
    data, held_out = load_training(dataset, data_root)
    data = replace(data, positive_map=PositiveMap(positive_map))
    if continue_to:
        check_data(networks["initial"], data)
    run = training.train(
        data,
        out,
        config,
        record=record | held_out_record(held_out),
        compiled=compiled,
        bf16=bf16,
        cpu=device == "cpu",
        initial=networks.get("initial"),
        teacher=networks.get("teacher"),
        weaker=networks.get("weaker"),
        overwrite=overwrite,
        further=continue_to is not None,
    )
    advance(run, config.images)
    leave()


def held_out_record(count: int) -> dict[str, int]:
    """The part of a training record about images that were not trained on."""
    return {"held_out": count} if count else {}


def advance(run: "Generator[Progress, None, None]", images: int) -> None:
    """Train to the end of `run` behind a progress bar over its `images`."""
    from tqdm import tqdm

    # Closed here, an interrupted run is saved at once, not while the interpreter shuts down.
    with closing(run), tqdm(total=images, unit=" images", unit_scale=True) as bar:
        for progress in run:
            bar.set_postfix(loss=f"{progress.loss:.4f}")
            bar.update(min(progress.images, images) - bar.n)


def _check_recipe(settings: dict[str, Any]) -> None:
    """Refuse what the paper's recipe would not use."""
    unused = _given(settings) & {"log_noise_mean", "log_noise_std"}
    if settings["recipe"] == "paper" and unused:
        raise ValueError("--recipe paper draws t uniformly and takes no --log-noise-mean or -std.")


def _check_rule(settings: dict[str, Any], started: bool) -> None:
    """Refuse what the rule or a trained start would not use."""
    given = _given(settings)
    if settings["rule"] == "adam" and "synapse_rate" in given:
        raise ValueError("--synapse-rate is that of --rule eg.")
    if started and given & {"magnitudes", "signs"}:
        raise ValueError("--magnitudes and --signs are of new weights, not of a trained network's.")
    if "signs" in given and settings["rule"] == "adam" and not settings["magnitudes"]:
        raise ValueError("--signs needs --magnitudes or --rule eg.")


def check_out(out: str, teachers: list[Path]) -> None:
    """Refuse to write over a network while another learns from it."""
    if Path(out).resolve() in [folder.resolve() for folder in teachers]:
        raise ValueError(f"--out {out} holds a network that this run learns from; choose another.")


def _continued(
    out: str, total: int, overwrite: bool, initial: str | None, settings: dict[str, Any]
) -> "tuple[Checkpoint, TrainingConfig]":
    """The network in `out` and the settings of its further run; raises ValueError."""
    from dale_demo.training.continuation import continued

    given = _given(settings)
    if overwrite or initial or "images" in given:
        raise ValueError("--continue-to takes no --overwrite, --from or --images beside it.")
    return continued(out, total, {name: settings[name] for name in given})


def _map_of(network: "Checkpoint", asked: str) -> str:
    """The map that a further run takes: that of the network, unless another was asked for."""
    return asked if _given({"positive_map": asked}) else network.config.positive_map.value


def _given(settings: dict[str, Any]) -> set[str]:
    """Which options of the command were given, not left at their defaults."""
    source = click.get_current_context().get_parameter_source
    return {name for name in settings if source(name) is not ParameterSource.DEFAULT}
