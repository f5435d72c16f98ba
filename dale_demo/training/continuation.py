"""Going on with a finished network: the settings of the further run, from the record of the last.

The further run starts from the averaged weights of the finished one, with a learning rate that
warms up and falls anew over the images that it adds, and with Adam's moments at zero: the end of a
half cosine leaves no rate to go on with.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import CONFIG_FILE
from dale_demo.checkpoint.folder import Checkpoint, load_checkpoint
from dale_demo.data import Dataset
from dale_demo.training.config import TrainingConfig
from dale_demo.training.state import STATE_FILE

INHERITED = (
    *("batch_size", "rule", "learning_rate", "synapse_rate", "warmup", "ema", "label_dropout"),
    *("recipe", "log_noise_mean", "log_noise_std", "augment", "guidance", "guidance_below"),
)
"""Settings that a further run takes from the record of the last, where they are not given."""


def continued(
    folder: Path | str, total: int, given: Mapping[str, Any]
) -> tuple[Checkpoint, TrainingConfig]:
    """The network in `folder`, and the settings of the run that takes it to `total` images.

    Called again on a further run that was interrupted, it returns the same settings.

    Args:
        total: Images seen in all, over every run of the network's history.
        given: Settings of `TrainingConfig` that differ from those of the last run. Its seed is one
            above that of the last, so that no batch is drawn twice.

    Raises:
        ValueError: There is no network, its first run is unfinished, its record does not say what
            it has seen, or it has seen `total` images.
        CheckpointError: The network is damaged.
    """
    folder = Path(folder)
    if not (folder / CONFIG_FILE).exists():
        raise ValueError(f"{folder} holds no network to continue; leave out --continue-to.")
    network = load_checkpoint(folder)
    network.config.check_posterior_mean("further training")
    before = network.config.training
    if (folder / STATE_FILE).exists():
        before = before.get("before") or {}
        if not before:
            raise ValueError(
                f"The run in {folder} is not finished; finish it by its own command, without "
                "--continue-to."
            )
    seen = _images(dataclasses.replace(network.config, training=before), folder)
    if total <= seen:
        raise ValueError(
            f"The network in {folder} has seen {seen:,} images; --continue-to needs more than that."
        )
    try:
        settings = _inherited(network.config, before) | {"images": total - seen}
        return network, TrainingConfig(**settings | dict(given))
    except TypeError as error:
        raise ValueError(f"The record of training in {folder} is damaged.") from error


def check_data(network: Checkpoint, data: Dataset) -> None:
    """Check that `data` is what a network was trained on; raises ValueError."""
    moments = network.config.data_distribution
    if (data.class_names, data.fit_log_normal()) != (network.config.class_names, moments):
        raise ValueError(
            "The network was trained on other images or under another --map; go on with these by "
            "--from and another --out."
        )


def _images(config: CheckpointConfig, folder: Path) -> int:
    """Images that a network has seen over all of its runs."""
    counts = [record.get("images") for record in config.runs]
    known = [count for count in counts if type(count) is int and count >= 0]
    if len(known) < len(counts):
        raise ValueError(f"The network in {folder} has no record of how many images it has seen.")
    return sum(known)


def _inherited(config: CheckpointConfig, before: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the last run, for a network of the same shape."""
    recorded = before.get("settings")
    recorded = recorded if isinstance(recorded, Mapping) else {}
    shape = {name: getattr(config.network, name) for name in ("width", "multipliers", "patch")}
    own = {name: recorded[name] for name in INHERITED if name in recorded}
    seed = recorded.get("seed", TrainingConfig.seed)
    return own | shape | {"dropout": config.network.dropout, "seed": seed + 1}
