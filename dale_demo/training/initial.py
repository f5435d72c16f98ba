"""The network that a training run starts from: new, or with the weights of a trained one."""

import dataclasses
from collections.abc import Mapping

import torch

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import MAX_WEIGHT_BYTES, CheckpointError
from dale_demo.checkpoint.folder import Checkpoint
from dale_demo.data import Dataset
from dale_demo.network import Denoiser, UNetConfig, outline
from dale_demo.training.config import TrainingConfig
from dale_demo.training.synapses import draw_synapses, synapses


def network_config(config: TrainingConfig, data: Dataset) -> UNetConfig:
    """The network that `config` asks for, with the image shape, classes and log moments of `data`.

    Raises:
        ValueError: The images are not square, or `UNetConfig` refuses a setting.
    """
    distribution = data.fit_log_normal()
    channels, height, width = data.images.shape[1:]
    if height != width:
        raise ValueError(f"Images must be square, got {height}×{width}.")
    return UNetConfig(
        image_size=height,
        image_channels=channels,
        num_classes=len(data.class_names),
        patch=config.patch,
        width=config.width,
        multipliers=config.multipliers,
        dropout=config.dropout,
        log_mean=distribution.log_mean,
        log_std=distribution.log_std,
    )


def check_weights(config: TrainingConfig, data: Dataset) -> None:
    """Check, before any memory is taken, that the network is not too large to be saved.

    Raises:
        CheckpointError: It is larger than a checkpoint may be.
        ValueError: As for `network_config`.
    """
    network = network_config(config, data)
    size = sum(tensor.nbytes for tensor in outline(network).state_dict().values())
    if size > MAX_WEIGHT_BYTES:
        raise CheckpointError(
            f"The network would have {size:,} bytes, more than the {MAX_WEIGHT_BYTES:,} of a "
            "checkpoint; choose a smaller width or multipliers."
        )


def initial_model(
    config: TrainingConfig, data: Dataset, initial: Checkpoint | None = None
) -> Denoiser:
    """The network before the first step, channels last, on the CPU.

    Its weights are drawn from the seed in `config`, or are those of `initial`; the class averages
    and log moments in its buffers are those of `data` in either case.

    Raises:
        ValueError: `initial` has another shape, or synapses of zero, which exponentiated gradient
            cannot move; or as for `network_config`.
    """
    model = _drawn(config, network_config(config, data))
    model.class_averages.copy_(data.class_averages())
    for buffer, moment in zip((model.log_means, model.log_stds), data.log_moments(), strict=True):
        buffer.copy_(moment)
    if initial:
        _copy_weights(initial, model)
        if config.rule == "eg":
            _check_no_zeros(model)
    return model.to(memory_format=torch.channels_last)


def drawn_network(config: CheckpointConfig) -> Denoiser | None:
    """The network before the first step of its first run, as far as it can be drawn again.

    Its parameters are those of the start, on the CPU; its buffers are zero.

    Returns:
        None where the record in `config` does not tell how it was drawn.
    """
    settings = config.runs[0].get("settings")
    if not isinstance(settings, Mapping) or "seed" not in settings:
        return None
    names = ("seed", "rule", "magnitudes", "signs")
    try:
        drawn = TrainingConfig(**{name: settings[name] for name in names if name in settings})
        return _drawn(drawn, config.network)
    except (TypeError, ValueError, KeyError):
        return None


def _drawn(config: TrainingConfig, network: UNetConfig) -> Denoiser:
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = Denoiser(network)
    if config.magnitudes:
        generator = torch.Generator().manual_seed(config.seed)
        draw_synapses(model, config.magnitudes, config.signs, generator)
    return model


def _check_no_zeros(model: Denoiser) -> None:
    zeros = sum(int((w == 0).sum()) for w in synapses(model).values())
    if zeros:
        raise ValueError(
            f"{zeros:,} synapses of the network to start from are zero, and exponentiated gradient "
            "cannot move them; start from another, or leave out --from."
        )


@torch.no_grad()
def _copy_weights(initial: Checkpoint, model: Denoiser) -> None:
    config, other = model.config, initial.model.config
    # What may differ: the moments of the data, which are not trained, and dropout.
    free = {name: getattr(config, name) for name in ("log_mean", "log_std", "dropout")}
    if dataclasses.replace(other, **free) != config:
        raise ValueError(
            f"The network to start from has another shape, {other}, than this run asks for, "
            f"{config}; choose its width and multipliers."
        )
    for own, trained in zip(model.parameters(), initial.model.parameters(), strict=True):
        own.copy_(trained)
