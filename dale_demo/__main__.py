"""Command line: `python -m dale_demo COMMAND`."""

import shlex
import sys

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def cli() -> None:
    """Train and sample multiplicative diffusion models."""


@cli.command()
@click.option("--dataset", required=True, help="mnist, fashion-mnist, kmnist, idx:IMAGES,LABELS, folder:DIR.")
@click.option("--out", required=True, type=click.Path(file_okay=False), help="Checkpoint folder.")
@click.option("--data-root", type=click.Path(), envvar="DALE_DATA", show_envvar=True, help="Where the torchvision sets live.")
@click.option("--images", default=1_000_000, help="Pictures to see in all.")
@click.option("--batch-size", default=128, help="Global batch size.")
@click.option("--learning-rate", default=2e-3, help="Peak learning rate of Adam.")
@click.option("--width", default=48, help="Channels at the first level.")
@click.option("--multipliers", default="1,4", help="Channels of each level in multiples of width.")
@click.option("--dropout", default=0.0, help="Share of features dropped.")
@click.option("--seed", default=0, help="Seed of weights and every draw.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--compile/--no-compile", "compiled", default=False, help="Compile the network.")
def train(dataset, out, data_root, device, compiled, multipliers, **settings) -> None:
    """Train a network; an unfinished run in --out is continued."""
    from tqdm import tqdm

    from dale_demo import data, training

    config = training.TrainingConfig(
        **settings, multipliers=tuple(int(m) for m in multipliers.split(","))
    )
    pictures = data.load(dataset, "train", data_root)
    notes = {"command": "python -m dale_demo " + shlex.join(sys.argv[1:])}
    with tqdm(total=config.images, unit=" pictures", unit_scale=True) as bar:
        for progress in training.train(pictures, out, config, notes=notes, compiled=compiled, cpu=device == "cpu"):
            bar.set_postfix(loss=f"{progress.loss:.4f}")
            bar.update(min(progress.images, config.images) - bar.n)


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        fail(error.format_message())
    except (ValueError, OSError) as error:
        fail(str(error))
    except click.Abort:
        fail("Interrupted; run the same command to continue.")


def fail(message: str) -> None:
    """Print one line and leave with exit code 2."""
    print("error: " + " ".join(message.split()), file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main()
