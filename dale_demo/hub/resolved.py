"""The result of looking up a network: where it is, where it came from, and its checkpoint."""

import copy
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from dale_demo.checkpoint.folder import Checkpoint, load_checkpoint

Origin = Literal["bundled", "folder", "cache", "downloaded"]


@dataclass(frozen=True)
class Resolved:
    """A network that was found.

    Args:
        name: What was asked for.
        folder: The checkpoint folder.
        origin: Where the folder came from.
        repo_id: OWNER/NAME, of a network from the Hub.
        commit: Full commit of that repository.
        doubt: Why the Hub could not be asked for a newer commit, or that could not be stored; else
            empty.
        checkpoint: What verifying the folder has loaded, on the CPU; None where nothing has been
            verified yet, which is so for bundled networks and folders.
    """

    name: str
    folder: Path
    origin: Origin
    repo_id: str | None = None
    commit: str | None = None
    doubt: str = ""
    checkpoint: Checkpoint | None = field(default=None, repr=False, compare=False)

    @property
    def url(self) -> str | None:
        """Address of this commit on the Hub."""
        if self.commit is None:
            return None
        endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
        return f"{endpoint}/{self.repo_id}/tree/{self.commit}"

    @property
    def account(self) -> str:
        """Where the network came from, in one sentence."""
        if self.commit is None:
            return "Bundled with the app." if self.origin == "bundled" else "Read from a folder."
        commit = f"the Hugging Face Hub at commit {self.commit[:7]}"
        if self.origin == "downloaded":
            return f"Downloaded from {commit}."
        doubt = f"; could not check for a newer commit: {self.doubt}" if self.doubt else ""
        return f"Cached from {commit}{doubt}."

    def load(self, device: torch.device | str = "cpu") -> Checkpoint:
        """Return a checkpoint of the caller's own on `device`, read from disk at most once.

        Raises:
            CheckpointError: The folder is damaged.
        """
        if self.checkpoint is None:
            return load_checkpoint(self.folder, device)
        # Module.to moves in place, so a copy is moved: others may use the original.
        model = copy.deepcopy(self.checkpoint.model).to(device)
        return Checkpoint(model, self.checkpoint.config)
