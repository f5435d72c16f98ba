"""The model card: README.md of a checkpoint folder, from its config.json."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dale_demo.checkpoint import CheckpointConfig


def model_card(config: "CheckpointConfig") -> str:
    """Render the card as Markdown with Hub front matter."""
    return f"# {config.dataset}\n"
