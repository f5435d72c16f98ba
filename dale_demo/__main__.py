"""Command line: `python -m dale_demo COMMAND`. Heavy imports wait inside the commands."""

import signal
import sys

import click

from dale_demo.checks import brief
from dale_demo.cli.distill import distill
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


for command in (train, distill, sample, evaluate, train_classifier, push, pull, space):
    cli.add_command(command)


INTERRUPTED = {
    "train": "; a training run is continued by the same command.",
    "distill": "; a training run is continued by the same command.",
    "train-classifier": "; nothing was saved, the same command starts again.",
    "sample": "; no file was written.",
    "evaluate": "; what was measured is kept where --json or --update-card was given.",
}
"""What an interruption leaves of the commands that work for long."""


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit code 2."""
    try:
        cli.main(standalone_mode=False)
    except click.ClickException as error:
        fail(error.format_message())
    except (ValueError, OSError) as error:
        fail(str(error))
    except MemoryError:
        fail("Out of memory; use a smaller --batch-size, fewer images or a smaller network.")
    except click.Abort:
        # The group itself has no options with values, so the command comes first.
        fail(f"Interrupted{INTERRUPTED.get(''.join(sys.argv[1:2]), '.')}")
    except Exception as error:
        if not type(error).__module__.startswith(("torch._inductor", "torch._dynamo")):
            raise
        fail("The network cannot be compiled on this machine; leave out --compile.")


def fail(message: str) -> None:
    """Print one short line and leave with exit code 2."""
    print("error: " + brief(message), file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    # Schedulers and containers stop a program by SIGTERM: let it do what Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
