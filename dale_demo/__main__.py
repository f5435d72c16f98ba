"""Command line: `python -m dale_demo COMMAND`. Heavy imports wait inside the commands."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dale_demo import hub_commands

if TYPE_CHECKING:
    import torch

    from dale_demo.checkpoint import Checkpoint
    from dale_demo.classifier import Classifier
    from dale_demo.evaluation import Reference
    from dale_demo.hub import Resolved
    from dale_demo.inception import Inception
    from dale_demo.sampling import SamplingSettings, Watch

Command = Callable[..., None]

COUNT = click.IntRange(min=1)
LANGEVIN_OPTIONS = ("annealing", "repeats", "step_size", "tweedie")


class Several(click.ParamType):
    """Values of one type, separated by commas."""

    def __init__(self, one: click.ParamType):
        self.one, self.name = one, f"{one.name}s"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Any, ...]:
        """Convert each part, or fail with a sentence."""
        try:
            return tuple(self.one.convert(part, param, ctx) for part in value.split(","))
        except click.BadParameter as error:
            self.fail(f"{error.message} Several values are separated by commas.", param, ctx)


device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to compute."
)
compile_option = click.option(
    "--compile/--no-compile", "compiled", default=False, help="Compile the network."
)
bf16_option = click.option("--bf16/--no-bf16", default=False, help="Use bfloat16 on a CPU too.")
dataset_option = click.option(
    "--dataset",
    required=True,
    help="mnist, fashion-mnist, kmnist, kmnist-10k, idx:IMAGES,LABELS, folder:DIR.",
)
data_root_option = click.option(
    "--data-root",
    type=click.Path(),
    envvar="DALE_DATA",
    show_envvar=True,
    help="Where the torchvision sets live.",
)
checkpoint_option = click.option(
    "--checkpoint",
    default="mnist",
    help="Name of a bundled network, a folder, or OWNER/NAME[@REVISION] on the Hub.",
)

SWEPT: dict[str, tuple[click.ParamType, str]] = {
    "sampler": (
        click.Choice(
            [
                *("dale-langevin", "unconstrained", "probability-flow"),
                *("bridge", "multistep", "multistep-bridge"),
            ]
        ),
        "Rule that takes a step.  [wide: multistep-bridge]",
    ),
    "steps": (click.INT, "Intervals of the time grid.  [wide: 20]"),
    "noise-level": (click.FLOAT, "s(T), where to start.  [wide: 8]"),
    "guidance": (click.FLOAT, "Classifier-free guidance; 1 is none."),
}
"""Options of which `evaluate` takes several at once, separated by commas."""

SAMPLING_OPTIONS = (
    click.option(
        "--preset",
        type=click.Choice(["wide", "paper", "paper-annealed"]),
        default="wide",
        help="What holds where an option below is left out.",
    ),
    click.option("--mu", type=float, help="Drift of the process.  [σ²/2]"),
    click.option("--grid", type=click.Choice(["karras", "uniform"]), help="Spacing of the times."),
    click.option(
        "--start", type=click.Choice(["exact", "fitted", "class-averaged"]), help="Law of X_T."
    ),
    click.option("--seed", type=int, help="Seed of every draw.  [0]"),
    click.option("--annealing", type=float, help="Langevin: factor on the noise, per step."),
    click.option("--repeats", type=int, help="Langevin: updates at each time."),
    click.option("--step-size", type=float, help="Langevin: fixed step in place of the grid's."),
    click.option("--tweedie/--no-tweedie", default=None, help="Langevin: noise-free last step."),
    click.option("--batch-size", type=COUNT, default=100, help="Pictures sampled at a time."),
)


def sampling_options(command: Command) -> Command:
    """Add the options that `sample` and `evaluate` share."""
    for option in reversed(SAMPLING_OPTIONS):
        command = option(command)
    return command


def swept_options(several: bool) -> Callable[[Command], Command]:
    """Add the options of `SWEPT`, for one value each or for several."""

    def add(command: Command) -> Command:
        for name, (kind, help_text) in reversed(SWEPT.items()):
            kind = Several(kind) if several else kind
            command = click.option(f"--{name}", type=kind, help=help_text)(command)
        return command

    return add


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    no_args_is_help=False,
)
def cli() -> None:
    """Train, sample, measure and share multiplicative diffusion models."""


@cli.command()
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

    from dale_demo import data, training
    from dale_demo.checkpoint import load_checkpoint
    from dale_demo.processes import leave

    config = training.TrainingConfig(**settings)
    if weaker and not teacher:
        teacher = initial
    start, better, lesser, goal = (
        _find(name).folder if name else None for name in (initial, teacher, weaker, towards)
    )
    _keep_apart(out, *filter(None, (better, lesser, goal)))
    notes = _notes(device)
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


@cli.command()
@checkpoint_option
@click.option("--num-images", type=COUNT, default=16, help="How many pictures.")
@click.option(
    "--labels", type=Several(click.INT), help="Classes to go round, such as 0,1,2.  [none]"
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
    """Sample pictures into a file."""
    from dale_demo import export
    from dale_demo.checkpoint import write_atomically

    kind = export.kind_of(out)
    _check_folder(out)
    loaded = _load(checkpoint, device)
    settings = _settings(loaded, labels or (), num_images, **options)
    with _progress(settings, batch_size) as watch:
        data = export.export(kind, loaded, settings, batch_size, watch)
    write_atomically(out, data)
    click.echo(f"Wrote {num_images} pictures to {out}.", err=True)


@cli.command()
@checkpoint_option
@click.option("--num-images", type=COUNT, default=2000, help="How many pictures.")
@click.option(
    "--conditional/--unconditional", default=True, help="Go round all classes, or ask for none."
)
@swept_options(several=True)
@sampling_options
@device_option
@compile_option
@bf16_option
@data_root_option
@click.option("--classifier", help="Folder of a classifier; the bundled one when left out.")
@click.option(
    "--inception",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE with Inception's weights: distances in its features, as papers quote them.",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE for the report; what it holds already is not measured again.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="DIR for the pictures, and for their nearest training pictures beside them.",
)
@click.option(
    "--last-level",
    type=click.FloatRange(0.002, 1),
    help="Noise level at which walks on a Karras grid end; --update-card makes it the network's "
    "own.  [the network's own]",
)
@click.option("--update-card", is_flag=True, help="Also store the results in the checkpoint.")
def evaluate(
    checkpoint: str,
    num_images: int,
    conditional: bool,
    device: str,
    compiled: bool,
    bf16: bool,
    data_root: str | None,
    classifier: str | None,
    inception: Path | None,
    json_file: Path | None,
    keep: Path | None,
    last_level: float | None,
    update_card: bool,
    batch_size: int,
    **options: Any,
) -> None:
    """Measure samples against real pictures, under every combination of the settings given.

    Options of several values take them separated by commas: --sampler bridge,multistep
    --steps 10,20. Distances need the data set; without it, only recognition is measured.
    """
    from accelerate import PartialState

    from dale_demo import classifier as judges
    from dale_demo import evaluation
    from dale_demo.card import add_evaluation
    from dale_demo.checkpoint import hasten, load_checkpoint
    from dale_demo.inception import load_inception
    from dale_demo.processes import leave
    from dale_demo.report import CLASSIFIER, Report

    if json_file:
        _check_folder(json_file)
    state = PartialState(cpu=device == "cpu")
    found = _find(checkpoint)
    if update_card and found.commit:
        raise ValueError(f"--update-card writes into a folder; pull {checkpoint} into one first.")
    if update_card and inception:
        raise ValueError("Cards hold distances in a classifier's features; use --json instead.")
    eye = load_inception(inception, _device(device)) if inception else None
    loaded = load_checkpoint(found.folder, _device(device))
    if last_level is not None:
        loaded = replace(loaded, config=replace(loaded.config, last_level=last_level))
    end = loaded.config.last_level
    hasten(loaded, compiled, bf16)
    folder = classifier or judges.find_classifier(loaded.config.dataset)
    judge = judges.load_classifier(folder, _device(device))
    judges.check_judge(judge, loaded)
    classes = range(len(loaded.config.class_names)) if conditional else ()
    runs = [_settings(loaded, classes, num_images, **one) for one in _combinations(options)]
    features = eye.name if eye else CLASSIFIER
    report = Report.resume(checkpoint, found.folder, json_file, features, end)
    reference = None
    if state.is_main_process:
        reference = _reference(judge, eye, loaded.config.dataset, data_root, num_images)
    if reference and not report.floor(num_images, conditional):
        report.floors.append(reference.floor(num_images, conditional))
    for settings in report.missing(runs):
        with _progress(settings, batch_size) as watch:
            images, seconds = evaluation.sample(loaded, settings, batch_size, watch)
        if not state.is_main_process:
            continue
        record = evaluation.measure(loaded, judge, settings, images, seconds, reference)
        report.evaluations.append(record)
        if json_file:
            report.save(json_file)
        if keep:
            evaluation.keep(keep, images, settings, reference)
        if update_card:
            add_evaluation(found.folder, record, report.floor(num_images, conditional), end)
    if state.is_main_process:
        click.echo(report.to_markdown())
    leave()


@cli.command("train-classifier")
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

    from dale_demo import classifier as judges
    from dale_demo.data import load_split

    notes = _notes(device)
    pictures, unseen = load_split(dataset, data_root)
    classifier = judges.new_classifier(pictures, seed).to(_device(device))
    with tqdm(total=epochs * len(pictures), unit=" pictures", unit_scale=True) as bar:
        for progress in judges.train_classifier(classifier, pictures, epochs=epochs, seed=seed):
            bar.update(progress.images - bar.n)
        notes |= {"images": bar.n, "seconds": round(bar.format_dict["elapsed"])}
    accuracy = judges.accuracy(classifier, unseen)
    metrics = {"test_accuracy": accuracy.value, "interval": accuracy.interval}
    config = replace(classifier.config, training=notes, metrics=metrics)
    judges.save_classifier(out, classifier, config)
    click.echo(f"Test accuracy {accuracy.value:.2%}; wrote {out}.")


for command in (hub_commands.push, hub_commands.pull, hub_commands.space):
    cli.add_command(command)


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        fail(error.format_message())
    except (ValueError, OSError) as error:
        fail(str(error))
    except click.Abort:
        fail("Interrupted; a training run is continued by the same command.")


def fail(message: str) -> None:
    """Print one line and leave with exit code 2."""
    print("error: " + " ".join(message.split()), file=sys.stderr)
    raise SystemExit(2)


def _device(name: str) -> "torch.device":
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("No CUDA device was found; use --device cpu.")
    return torch.device(name)


def _notes(device: str) -> dict[str, Any]:
    """What a card says of a training run beforehand."""
    from dale_demo.card import hardware

    command = "python -m dale_demo " + shlex.join(sys.argv[1:])
    return {"command": command, "hardware": hardware(_device(device))}


def _load(name: str, device: str) -> "Checkpoint":
    from dale_demo.checkpoint import load_checkpoint

    return load_checkpoint(_find(name).folder, _device(device))


def _keep_apart(out: str, *teachers: Path) -> None:
    """Refuse to write over a network while another learns from it."""
    if Path(out).resolve() in [folder.resolve() for folder in teachers]:
        raise ValueError(f"--out {out} is where a network lies which teaches; choose another.")


def _find(name: str) -> "Resolved":
    """Find a network, and say where it came from if that was not here."""
    from dale_demo.hub import resolve

    found = resolve(name)
    if found.commit:
        click.echo(f"{name}: {found.account}", err=True)
    return found


def _reference(
    judge: "Classifier",
    eye: "Inception | None",
    dataset: str,
    data_root: str | None,
    count: int,
) -> "Reference | None":
    """The real pictures of `dataset`; where they are of no use, None and a sentence."""
    from dale_demo.data import DataError, load_split
    from dale_demo.evaluation import Reference
    from dale_demo.metrics import NEIGHBOUR

    try:
        if count <= NEIGHBOUR:
            raise DataError(f"they need more than {NEIGHBOUR} pictures.")
        return Reference(judge, *load_split(dataset, data_root), inception=eye)
    except DataError as error:
        click.echo(f"No distances to real pictures: {error}", err=True)
        return None


def _combinations(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every choice of one value for each of the options in `SWEPT`."""
    names = [name.replace("-", "_") for name in SWEPT]
    for values in product(*(options[name] or (None,) for name in names)):
        yield options | dict(zip(names, values, strict=True))


def _check_folder(file: Path) -> None:
    """Refuse before the work what could not be written after it."""
    if not os.access(file.parent, os.W_OK):
        raise ValueError(f"Cannot write {file}: {file.parent} is not a folder to write in.")


def _settings(
    checkpoint: "Checkpoint", classes: Sequence[int], count: int, preset: str, **options: Any
) -> "SamplingSettings":
    """The preset with the options that were given, checked against the network."""
    from dale_demo.samplers import LANGEVIN
    from dale_demo.sampling import PRESETS, check, cycle_labels, paper_annealed

    given = {name: value for name, value in options.items() if value is not None}
    if preset == "paper-annealed":
        base = paper_annealed(checkpoint.config.dataset, given.get("sampler", "dale-langevin"))
    else:
        base = PRESETS["paper" if preset == "paper" else "wide"]
    settings = replace(base, **given, labels=cycle_labels(classes, count))
    stray = [name for name in LANGEVIN_OPTIONS if name in given]
    if stray and settings.sampler not in LANGEVIN:
        option = stray[0].replace("_", "-")
        raise ValueError(f"--{option} belongs to the samplers {' and '.join(LANGEVIN)} only.")
    check(checkpoint, settings)
    return settings


@contextmanager
def _progress(settings: "SamplingSettings", batch_size: int) -> Iterator["Watch"]:
    """A progress bar over the steps of all batches, on standard error."""
    from tqdm import tqdm

    batches = -(-len(settings.labels) // batch_size)
    with tqdm(total=batches * settings.steps, unit="step", desc=settings.sampler) as bar:
        yield lambda step: bar.update(step.index > 0)


if __name__ == "__main__":
    # Schedulers and containers stop a program by SIGTERM: let it do what Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
