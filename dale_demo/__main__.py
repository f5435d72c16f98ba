"""Command line: `python -m dale_demo COMMAND`. Heavy imports wait inside the commands."""

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dale_demo import hub_commands

if TYPE_CHECKING:
    import torch

    from dale_demo.checkpoint import Checkpoint
    from dale_demo.sampling import SamplingSettings, Watch

Command = Callable[..., None]

COUNT = click.IntRange(min=1)
LANGEVIN_OPTIONS = ("annealing", "repeats", "step_size", "tweedie")


class Integers(click.ParamType):
    """Integers separated by commas, such as 0,1,2."""

    name = "integers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Parse `value`, or fail with a sentence."""
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"Expected integers separated by commas, such as 0,1,2, got {value!r}.")


device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to compute."
)
dataset_option = click.option(
    "--dataset", required=True, help="mnist, fashion-mnist, kmnist, idx:IMAGES,LABELS, folder:DIR."
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

SAMPLING_OPTIONS = (
    click.option(
        "--preset",
        type=click.Choice(["wide", "paper", "paper-annealed"]),
        default="wide",
        help="What holds where an option below is left out.",
    ),
    click.option(
        "--sampler",
        type=click.Choice(
            ["dale-langevin", "unconstrained", "probability-flow", "bridge", "multistep"]
        ),
        help="Rule that takes a step.  [wide: probability-flow]",
    ),
    click.option("--steps", type=int, help="Intervals of the time grid.  [wide: 20]"),
    click.option("--noise-level", type=float, help="s(T), where to start.  [wide: 8]"),
    click.option("--mu", type=float, help="Drift of the process.  [σ²/2]"),
    click.option("--grid", type=click.Choice(["karras", "uniform"]), help="Spacing of the times."),
    click.option(
        "--start", type=click.Choice(["exact", "fitted", "class-averaged"]), help="Law of X_T."
    ),
    click.option("--guidance", type=float, help="Classifier-free guidance; 1 is none."),
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


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    no_args_is_help=False,
)
def cli() -> None:
    """Train, sample, measure and share multiplicative diffusion models."""


@cli.command()
@dataset_option
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Checkpoint folder.")
@data_root_option
@click.option("--images", default=1_000_000, help="Pictures to see in all.")
@click.option("--batch-size", default=128, help="Global batch size.")
@click.option("--learning-rate", default=2e-3, help="Peak learning rate of Adam.")
@click.option("--width", default=48, help="Channels at the first level.")
@click.option(
    "--multipliers",
    type=Integers(),
    default="1,4",
    help="Channels of each level in multiples of width.",
)
@click.option("--dropout", default=0.0, help="Share of features dropped.")
@click.option("--seed", default=0, help="Seed of weights and every draw.")
@device_option
@click.option("--compile/--no-compile", "compiled", default=False, help="Compile the network.")
def train(
    dataset: str, out: str, data_root: str | None, device: str, compiled: bool, **settings: Any
) -> None:
    """Train a network; an unfinished run in --out is continued."""
    from tqdm import tqdm

    from dale_demo import data, training

    config = training.TrainingConfig(**settings)
    notes = _notes(device)
    pictures = data.load(dataset, "train", data_root)
    with tqdm(total=config.images, unit=" pictures", unit_scale=True) as bar:
        for progress in training.train(
            pictures, out, config, notes=notes, compiled=compiled, cpu=device == "cpu"
        ):
            bar.set_postfix(loss=f"{progress.loss:.4f}")
            bar.update(min(progress.images, config.images) - bar.n)


@cli.command()
@checkpoint_option
@click.option("--num-images", type=COUNT, default=16, help="How many pictures.")
@click.option("--labels", type=Integers(), help="Classes to go round, such as 0,1,2.  [none]")
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
@click.option(
    "--num-images", type=COUNT, default=2000, help="How many pictures, going round all classes."
)
@sampling_options
@device_option
@click.option("--classifier", help="Folder of a classifier; the bundled one when left out.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="FILE for the result.",
)
@click.option("--update-card", is_flag=True, help="Also store the result in the checkpoint.")
def evaluate(
    checkpoint: str,
    num_images: int,
    batch_size: int,
    device: str,
    classifier: str | None,
    json_file: Path | None,
    update_card: bool,
    **options: Any,
) -> None:
    """Measure how many class-conditional pictures a classifier recognises."""
    from dale_demo import evaluation
    from dale_demo.card import add_evaluation
    from dale_demo.checkpoint import find_checkpoint, write_atomically

    if json_file:
        _check_folder(json_file)
    home = find_checkpoint(checkpoint) if update_card else None
    loaded = _load(checkpoint, device)
    folder = classifier or evaluation.find_classifier(loaded.config.dataset)
    judge = evaluation.load_classifier(folder, _device(device))
    evaluation.check_judge(judge, loaded)
    classes = range(len(loaded.config.class_names))
    settings = _settings(loaded, classes, num_images, **options)
    with _progress(settings, batch_size) as watch:
        record = evaluation.evaluate(loaded, judge, settings, batch_size=batch_size, watch=watch)
    if json_file:
        text = json.dumps({"checkpoint": checkpoint} | record, indent=2, ensure_ascii=False)
        write_atomically(json_file, (text + "\n").encode())
    if home:
        add_evaluation(home, record)
    result = record["class_accuracy"]
    low, high = result["interval"]
    click.echo(
        f"{result['share']:.2%} of {result['count']} pictures recognised "
        f"(95 % interval {low:.2%} to {high:.2%}), {record['calls']} network calls each, "
        f"{record['seconds']:.1f} s."
    )


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

    from dale_demo import evaluation

    notes = _notes(device)
    pictures, unseen = evaluation.load_split(dataset, data_root)
    classifier = evaluation.new_classifier(pictures, seed).to(_device(device))
    with tqdm(total=epochs * len(pictures), unit=" pictures", unit_scale=True) as bar:
        for progress in evaluation.train_classifier(classifier, pictures, epochs=epochs, seed=seed):
            bar.update(progress.images - bar.n)
        notes |= {"images": bar.n, "seconds": round(bar.format_dict["elapsed"])}
    accuracy = evaluation.accuracy(classifier, unseen)
    metrics = {"test_accuracy": accuracy.value, "interval": accuracy.interval}
    config = replace(classifier.config, training=notes, metrics=metrics)
    evaluation.save_classifier(out, classifier, config)
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
    """Find a network, load it, and say where it came from if that was not here."""
    from dale_demo.checkpoint import load_checkpoint
    from dale_demo.hub import resolve

    found = resolve(name)
    if found.commit:
        click.echo(f"{name}: {found.account}", err=True)
    return load_checkpoint(found.folder, _device(device))


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
    with tqdm(total=batches * settings.steps, unit="step") as bar:
        yield lambda step: bar.update(step.index > 0)


if __name__ == "__main__":
    main()
