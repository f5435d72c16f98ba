"""Command line: `python -m dale_demo COMMAND`. Heavy imports wait inside the commands."""

import signal
import sys

import click

from dale_demo.cli.evaluate import evaluate
from dale_demo.cli.hub import pull, push, space
from dale_demo.cli.sample import sample
from dale_demo.cli.train import train
from dale_demo.cli.train_classifier import train_classifier


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    no_args_is_help=False,
)
def cli() -> None:
    """Train, sample, measure and share multiplicative diffusion models."""


for command in (train, sample, evaluate, train_classifier, push, pull, space):
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


if __name__ == "__main__":
    # Schedulers and containers stop a program by SIGTERM: let it do what Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
