"""Upload a network with its card, or the app as a Space, to the Hugging Face Hub."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    SpaceCardData,
    constants,
)

from dale_demo.checkpoint.card import completed
from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    read_text,
)
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.hub.errors import translate
from dale_demo.hub.names import MAX_CARD_BYTES, HubError, HubName, is_hub_name, offered
from dale_demo.sampling import SamplingSettings, run

TRIAL = SamplingSettings(labels=(0,), steps=5)
MADE_BY_HUB = ".gitattributes"


def push(folder: Path, name: HubName, *, private: bool = False) -> str:
    """Upload a network with a complete card; its repository is created where it is missing.

    Args:
        folder: The checkpoint; it is loaded and samples an image before anything is sent. A card
            that lacks something that the Hub reads is completed, in the folder too.
        name: OWNER/NAME, and the branch as its revision.
        private: Whether a new repository is private; an existing one keeps its visibility.

    Returns:
        The commit's address.

    Raises:
        CheckpointError: The folder is not a valid checkpoint.
        HubError: The Hub did not accept it.
    """
    checkpoint = load_checkpoint(folder)
    *_, last = run(checkpoint, TRIAL)
    if not last.x.isfinite().all():
        raise CheckpointError(f"{folder} samples NaN or infinite values instead of an image.")
    path = folder / CARD_FILE
    before = read_text(path, MAX_CARD_BYTES) if path.is_file() else ""
    card = completed(before, checkpoint.config)
    if card != before:
        path.write_text(card, encoding="utf-8")
    files = [CommitOperationAdd(f, folder / f) for f in (CONFIG_FILE, WEIGHTS_FILE, CARD_FILE)]
    with _translated_errors(name):
        api = HfApi()
        api.create_repo(name.repo_id, private=private, exist_ok=True)
        if name.revision != "main":
            api.create_branch(name.repo_id, branch=name.revision, exist_ok=True)
        message = f"A network trained on {checkpoint.config.dataset}"
        commit = api.create_commit(
            name.repo_id, files, commit_message=message, revision=name.revision
        )
    return f"{constants.ENDPOINT}/{name.repo_id}/tree/{commit.oid}"


def push_space(root: Path, name: HubName, *, private: bool = False) -> str:
    """Upload a checkout of this project as a Docker Space, created where it is missing.

    Only files that git tracks are sent, with their changes; other files in the Space are removed.
    README.md gets the front matter that a Space needs.

    Returns:
        The Space's address.

    Raises:
        HubError: `root` is not a git checkout, or the Hub did not accept it.
    """
    files = {path: root / path for path in tracked(root)}
    readme = f"---\n{space_head()}\n---\n\n" + (root / CARD_FILE).read_text(encoding="utf-8")
    sources: dict[str, Path | bytes] = {**files, CARD_FILE: readme.encode()}
    kind = "space"
    with _translated_errors(name):
        api = HfApi()
        api.create_repo(
            name.repo_id, repo_type=kind, space_sdk="docker", private=private, exist_ok=True
        )
        stale = {*api.list_repo_files(name.repo_id, repo_type=kind)} - {*sources, MADE_BY_HUB}
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *(CommitOperationAdd(path, source) for path, source in sources.items()),
            *(CommitOperationDelete(path) for path in sorted(stale)),
        ]
        message = f"The app at {_state(root)}"
        api.create_commit(name.repo_id, operations, commit_message=message, repo_type=kind)
    return f"{constants.ENDPOINT}/spaces/{name.repo_id}"


def space_head() -> str:
    """Front matter of a Space, as YAML, with the networks on the Hub that the app offers."""
    return SpaceCardData(
        title="Dale meets Langevin, live",
        emoji="🧠",
        colorFrom="yellow",
        colorTo="red",
        sdk="docker",
        app_port=8501,
        license="mit",
        short_description="Log-normal noise becomes images by multiplication",
        tags=["diffusion", "dales-law", "log-normal", "streamlit"],
        models=[name.partition("@")[0] for name in offered() if is_hub_name(name)] or None,
    ).to_yaml()


def tracked(root: Path) -> list[str]:
    """Paths of the files that git tracks and that exist; raises HubError outside git."""
    listed = _git(root, "ls-files", "-z").split("\0")
    return [path for path in listed if path and (root / path).is_file()]


def _state(root: Path) -> str:
    commit = _git(root, "rev-parse", "--short", "HEAD").strip()
    changed = _git(root, "status", "--porcelain", "--untracked-files=no").strip()
    return f"{commit} with changes" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True, encoding="utf-8").stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise HubError(
            f"{root} is not a git checkout, so the files to upload are unknown."
        ) from error


@contextmanager
def _translated_errors(name: HubName) -> Iterator[None]:
    """Raise the client's errors as one plain sentence each."""
    try:
        yield
    except Exception as error:
        raise translate(error, name) from error
