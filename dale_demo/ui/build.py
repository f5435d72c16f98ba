"""Make what the pages have stored: `python -m dale_demo.ui.build [ITEM or PAGE …] [--force]`.

Runs, trainings, images and screenshots are made where they are out of date: where an input
differs from the one noted in stored.json at the time they were made.
"""

import json
import time
from pathlib import Path

import click

from dale_demo.ui import screenshots
from dale_demo.ui.dales_law import stored_run as dales_law
from dale_demo.ui.playground import splash as playground
from dale_demo.ui.restore import stored_run as restore
from dale_demo.ui.sample import stored_run as sample
from dale_demo.ui.shared.stored import StoredItem, Unavailable
from dale_demo.ui.theory import stored_pictures as theory
from dale_demo.ui.weights import stored_run as weights

MANIFEST = Path(__file__).with_name("stored.json")
Manifest = dict[str, dict[str, str]]
"""Item → its fingerprint when it was made."""


def all_items() -> list[StoredItem]:
    """Everything that is stored, each after what it is made from."""
    pages = (sample, restore, dales_law, weights, playground, theory, screenshots)
    return [item for page in pages for item in page.items()]


def read_manifest() -> Manifest:
    """What stored.json holds; nothing where there is none."""
    return json.loads(MANIFEST.read_text(encoding="utf-8")) if MANIFEST.exists() else {}


def chosen(names: tuple[str, ...]) -> list[StoredItem]:
    """The items of these names, or of the pages of these names; all of them for no name.

    Raises:
        click.BadParameter: There is no such item.
    """
    items = all_items()
    known = {name for item in items for name in (item.name, _page(item))}
    for name in names:
        if name not in known:
            raise click.BadParameter(f"unknown item {name}; choose from {', '.join(sorted(known))}")
    return [item for item in items if not names or {item.name, _page(item)} & set(names)]


def _page(item: StoredItem) -> str:
    return item.name.partition("/")[0]


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="[ITEM or PAGE]...")
@click.option("--force", is_flag=True, help="Make the items also where they are up to date.")
def main(names: tuple[str, ...], force: bool) -> None:
    for item in chosen(names):
        # One by one, as making an item changes the inputs of those that follow.
        reasons = ["asked for"] if force else item.reasons(read_manifest().get(item.name))
        click.echo(f"{item.name}: {', '.join(reasons) or 'up to date'}")
        if reasons:
            click.echo(f"    {_make(item)}")


def _make(item: StoredItem) -> str:
    """Make an item and note it in the manifest; what to say of it."""
    began = time.monotonic()
    try:
        item.make()
    except Unavailable as missing:
        return f"skipped: {missing}"
    _record(item)
    return f"made in {time.monotonic() - began:.1f} s"


def _record(item: StoredItem) -> None:
    """Note in stored.json what the item was made from, and drop items that are no more."""
    manifest = read_manifest() | {item.name: item.fingerprint()}
    kept = {other.name: manifest[other.name] for other in all_items() if other.name in manifest}
    MANIFEST.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
