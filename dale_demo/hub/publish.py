"""Upload a network with its card, or the app as a Space, to the Hugging Face Hub."""

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    SpaceCardData,
    constants,
)
from huggingface_hub.utils import disable_progress_bars

from dale_demo.checkpoint.card import completed
from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHTS_FILE,
    CheckpointError,
    check_size,
    one_line,
    read_text,
    write_atomically,
)
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.hub.connection import Result, uploading
from dale_demo.hub.errors import translate
from dale_demo.hub.local_paths import published, published_card
from dale_demo.hub.names import MAX_CARD_BYTES, HubError, HubName, is_hub_name, offered
from dale_demo.sampling import SamplingSettings, run

TRIAL = SamplingSettings(labels=(0,), steps=5)
MADE_BY_HUB = ".gitattributes"
IDLE_TIMEOUT = 30.0
"""Longest time without an answer, or a piece of a file sent, in seconds: the Hub takes some for a
commit of many files."""
SAMPLE_BYTES, MAX_TEXT_BYTES = 8000, 2**20
"""How much of a file is looked at to tell text, and the size from which text counts as large."""


def push(folder: Path, name: HubName, *, private: bool = False) -> str:
    """Upload a network with a complete card; its repository is created where it is missing.

    Args:
        folder: The checkpoint; it is loaded and samples an image before anything is sent. A card
            that lacks something that the Hub reads is completed, in the folder too. Of local paths
            in the card, the configuration and the commit's message only the last part is sent.
        name: OWNER/NAME, and the branch as its revision.
        private: Whether a new repository is private; an existing one keeps its visibility.

    Returns:
        The commit's address.

    Raises:
        CheckpointError: The folder is not a valid checkpoint.
        HubError: The Hub did not accept it, or did not answer for `IDLE_TIMEOUT` seconds.
    """
    checkpoint = load_checkpoint(folder)
    *_, last = run(checkpoint, TRIAL)
    if not last.x.isfinite().all():
        raise CheckpointError(f"{folder} samples NaN or infinite values instead of an image.")
    config, card = _descriptions(folder, checkpoint.config)
    unchanged = config == checkpoint.config
    files = [
        CommitOperationAdd(
            CONFIG_FILE, folder / CONFIG_FILE if unchanged else config.to_json().encode()
        ),
        CommitOperationAdd(WEIGHTS_FILE, folder / WEIGHTS_FILE),
        CommitOperationAdd(CARD_FILE, card),
    ]

    def upload(api: HfApi) -> str:
        api.create_repo(name.repo_id, private=private, exist_ok=True)
        if name.revision != "main":
            api.create_branch(name.repo_id, branch=name.revision, exist_ok=True)
        message = f"A network trained on {config.dataset}"
        commit = api.create_commit(
            name.repo_id, files, commit_message=message, revision=name.revision
        )
        return f"{constants.ENDPOINT}/{name.repo_id}/tree/{commit.oid}"

    return _uploaded(name, upload)


def _descriptions(folder: Path, config: CheckpointConfig) -> tuple[CheckpointConfig, bytes]:
    """The configuration and the card to publish; completes the card in the folder.

    Raises:
        CheckpointError: The card's head, or the records that the card is written from, are not
            this program's, or the card is too large.
    """
    path = folder / CARD_FILE
    before = read_text(path, MAX_CARD_BYTES) if path.is_file() else ""
    try:
        card, clean = completed(before, config), published(config)
        data, public = card.encode(), published_card(card, config, clean).encode()
    except CheckpointError:
        raise
    except Exception as error:  # records of any shape at all, which may be a stranger's
        raise CheckpointError(
            f"The records of training and metrics in {CONFIG_FILE} are not this program's; empty "
            f"them: {type(error).__name__}, {one_line(error)}."
        ) from error
    check_size(CARD_FILE, max(len(data), len(public)), MAX_CARD_BYTES)
    if card != before:
        write_atomically(path, data)
    return clean, public


def push_space(root: Path, name: HubName, *, private: bool = False) -> str:
    """Upload a checkout of this project as a Docker Space, created where it is missing.

    Only files that git tracks are sent, with their changes; other files in the Space are removed.
    README.md gets the front matter that a Space needs.

    Returns:
        The Space's address.

    Raises:
        HubError: `root` is not a git checkout, or the Hub did not accept it or did not answer for
            `IDLE_TIMEOUT` seconds.
    """
    files = {path: root / path for path in tracked(root)}
    readme = f"---\n{space_head()}\n---\n\n" + (root / CARD_FILE).read_text(encoding="utf-8")
    sources: dict[str, Path | bytes] = {**files, CARD_FILE: readme.encode()}
    additions = [CommitOperationAdd(path, source) for path, source in sources.items()]
    message, kind = f"The app at {_state(root)}", "space"

    def upload(api: HfApi) -> str:
        api.create_repo(
            name.repo_id, repo_type=kind, space_sdk="docker", private=private, exist_ok=True
        )
        # In one answer, unlike the list of a repository's files, which comes in pages without end.
        there = api.space_info(name.repo_id).siblings or []
        stale = {file.rfilename for file in there} - {*sources, MADE_BY_HUB}
        # Several large files at once would be sent by threads that cannot be given up.
        for addition in additions:
            if _is_large(addition):
                api.preupload_lfs_files(name.repo_id, [addition], repo_type=kind, free_memory=False)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            *additions,
            *(CommitOperationDelete(path) for path in sorted(stale)),
        ]
        api.create_commit(name.repo_id, operations, commit_message=message, repo_type=kind)
        return f"{constants.ENDPOINT}/spaces/{name.repo_id}"

    return _uploaded(name, upload)


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


def _is_large(addition: CommitOperationAdd) -> bool:
    """Whether the Hub may want a file in large file storage: one that is large, or not text."""
    if addition.upload_info.size > MAX_TEXT_BYTES:
        return True
    with addition.as_file() as file:
        return b"\0" in file.read(SAMPLE_BYTES)


def _uploaded(name: HubName, upload: Callable[[HfApi], Result]) -> Result:
    """Run requests to the Hub with an idle timeout; raises each error as one plain sentence."""
    if not sys.stderr.isatty():  # a bar belongs on a terminal, not before an error in a log
        disable_progress_bars()
    try:
        return uploading(partial(upload, HfApi()), IDLE_TIMEOUT)
    except Exception as error:
        raise translate(error, name) from error
