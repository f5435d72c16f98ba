"""The commands that talk to the Hugging Face Hub: push, pull, space."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dale_demo.hub.names import HubName

private_option = click.option(
    "--private", is_flag=True, help="Make it private if it does not exist yet."
)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("repo_id")
@private_option
@click.option("--revision", default="main", help="Branch, created if it does not exist.")
def push(folder: Path, repo_id: str, private: bool, revision: str) -> None:
    """Upload the network in FOLDER to the Hub as REPO_ID, OWNER/NAME."""
    from dale_demo.hub import publish

    name = _name(f"{repo_id}@{revision}")
    click.echo(publish.push(folder, name, private=private))


@click.command()
@click.argument("repo_id")
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
def pull(repo_id: str, folder: Path | None) -> None:
    """Download the network REPO_ID, OWNER/NAME[@REVISION], into FOLDER.

    By default FOLDER is NAME among the bundled networks.
    """
    from dale_demo import hub
    from dale_demo.checkpoint.folder import BUNDLED

    name = hub.HubName.parse(repo_id)
    folder = folder or BUNDLED / name.repo_id.split("/")[1]
    found = hub.pull(name, folder)
    click.echo(f"{name}: {found.account} Wrote {folder}.")


@click.command()
@click.argument("repo_id")
@private_option
def space(repo_id: str, private: bool) -> None:
    """Upload this checkout of the app to the Hub as the Space REPO_ID, OWNER/NAME."""
    from dale_demo.hub import publish

    root = Path(__file__).resolve().parents[2]
    click.echo(publish.push_space(root, _name(repo_id), private=private))


def _name(text: str) -> "HubName":
    from dale_demo.hub.names import HubName

    return HubName.parse(text)
