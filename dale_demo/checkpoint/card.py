"""The model card: README.md of a checkpoint folder, from its config.json."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    CheckpointError,
    one_line,
    write_atomically,
)
from dale_demo.checkpoint.folder import load_config
from dale_demo.checkpoint.history import training_section
from dale_demo.checkpoint.metadata import front_matter, kind_of, network_metadata
from dale_demo.checkpoint.results import floor_kind, quality_table
from dale_demo.checks import brief
from dale_demo.data import PositiveMap
from dale_demo.datasets import title_of
from dale_demo.drawing.markdown import fenced, plain, text_table
from dale_demo.network import MAX_NOISE_LEVEL, outline

PAPER = "https://arxiv.org/abs/2510.02730"
NOT_MEASURED = "Not measured yet."


def model_card(config: CheckpointConfig) -> str:
    """Render a network's card as Markdown with Hub front matter."""
    sections = (
        front_matter(network_metadata(config)),
        _description(config),
        _usage(config),
        _contents(config),
        "## Training\n\n" + training_section(config.training),
        "## Measured quality\n\n" + _quality(config.metrics),
        _LIMITS,
        _REFERENCES,
    )
    return "\n\n".join(sections) + "\n"


def completed(card: str, config: CheckpointConfig) -> str:
    """Add to a card what its front matter lacks; fields that it has keep their values.

    Args:
        card: README.md of a checkpoint; where it is empty, a new card is written.
        config: Of the same checkpoint.

    Raises:
        CheckpointError: The front matter of `card` is not YAML, or the records in `config` are
            not this program's.
    """
    from huggingface_hub import ModelCard, ModelCardData

    with _checked_records():
        ours, fresh = network_metadata(config).to_dict(), model_card(config)
    if not card.strip():
        return fresh
    try:
        given = ModelCard(card).data.to_dict()
    except Exception as error:  # the YAML parser has errors of its own
        raise CheckpointError(f"The head of {CARD_FILE} is wrong: {one_line(error)}.") from error
    whole = ours | given
    if whole == given:
        return card
    body = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL)
    return f"{front_matter(ModelCardData(**whole))}\n\n{body.lstrip()}"


def add_evaluation(
    folder: Path | str,
    record: Mapping[str, Any],
    floor: Mapping[str, Any] | None = None,
    min_noise_level: float | None = None,
) -> None:
    """Store a result of `evaluation.evaluate` in a checkpoint folder: config.json and README.md.

    It replaces an earlier result with the same settings, and `floor` (see `Reference.floor`) one
    of as many images of the same classes; the weights are not touched.

    Args:
        min_noise_level: Where the measured runs ended, which becomes the network's own; earlier
            results are dropped where it was another.

    Raises:
        CheckpointError: The folder is not a checkpoint, or its records are not this program's.
    """
    folder, config = Path(folder), load_config(folder)
    with _checked_records():
        metrics = dict(config.metrics)
        if min_noise_level is not None and min_noise_level != config.min_noise_level:
            config, metrics["evaluations"] = replace(config, min_noise_level=min_noise_level), ()
        metrics["evaluations"] = _replaced(metrics.get("evaluations", ()), record, _settings)
        if floor is not None:
            metrics["floors"] = _replaced(metrics.get("floors", ()), floor, floor_kind)
        config = replace(config, metrics=metrics)
        card = model_card(config)
    write_atomically(folder / CONFIG_FILE, config.to_json().encode())
    write_atomically(folder / CARD_FILE, card.encode())


def _replaced(
    earlier: Iterable[Mapping[str, Any]],
    record: Mapping[str, Any],
    key: Callable[[Mapping[str, Any]], Any],
) -> list[Mapping[str, Any]]:
    """`earlier` without what has the same `key` as `record`, and `record` at its end."""
    return [*(other for other in earlier if key(other) != key(record)), dict(record)]


def _settings(record: Mapping[str, Any]) -> Any:
    return record["settings"]


@contextmanager
def _checked_records() -> Iterator[None]:
    """Turn the block's errors into one sentence: its records are not such as this program writes.

    They come from a config.json that anybody may have written, as any JSON.
    """
    try:
        yield
    except CheckpointError:
        raise
    except _NOT_OURS as error:
        raise CheckpointError(
            f"The training or the metrics in {CONFIG_FILE} are not this program's; empty them: "
            f"{brief(repr(error), 120)}."
        ) from error


_NOT_OURS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a value of another kind than expected raises."""


def _description(config: CheckpointConfig) -> str:
    return (
        f"# {kind_of(config)} on {plain(title_of(config.dataset))}\n\n"
        "A score network for generative modelling by multiplication: data are positive, noise is "
        "log-normal (geometric Brownian motion), and every sampling step multiplies, so that no "
        "value ever changes sign, as for synapses under Dale's law. The method is that of "
        f"[Dale meets Langevin]({PAPER}). The network predicts ln x₀ from ln x_t at "
        f"{_noise_levels(config)}, for {len(config.class_names)} classes or none."
        + (_FEW_STEPS if config.levels else "")
        + (_ADDITIVE if config.positive_map is PositiveMap.EXP else "")
    )


def _noise_levels(config: CheckpointConfig) -> str:
    most = config.max_noise_level
    return "any noise level" if most == MAX_NOISE_LEVEL else f"noise levels up to {most:g}"


def _usage(config: CheckpointConfig) -> str:
    last, shape = len(config.class_names) - 1, [2, *config.network.image_shape]
    argument = option = ""
    if config.levels:
        argument = f'sampler="leap", steps={len(config.levels[-1])}, '
    elif (most := config.max_noise_level) < MAX_NOISE_LEVEL:  # the default may be above it
        argument, option = f"noise_level={most:g}, ", f"--noise-level {most:g} "
    library = f"""\
from dale_demo.checkpoint import load_checkpoint
from dale_demo.hub import resolve
from dale_demo.sampling import SamplingSettings, run

checkpoint = load_checkpoint(resolve("FOLDER").folder)
for step in run(checkpoint, SamplingSettings({argument}labels=(0, {last}), seed=1)):
    print(step.index, step.score_evaluations)
images = checkpoint.config.positive_map.pixels(step.x)  # uint8 {shape}"""
    command = (
        f"python -m dale_demo sample --checkpoint FOLDER --labels 0,{last} "
        f"--num-images 16 {option}--out samples.png"
    )
    return (
        "## Use\n\nFOLDER is the folder of this card, or OWNER/NAME of its repository on the "
        "Hugging Face Hub.\n\n" + fenced(library, "python") + "\n\n" + fenced(command, "bash")
    )


def _contents(config: CheckpointConfig) -> str:
    network, data, start = config.network, config.data_distribution, config.start
    channels, height, width = network.image_shape
    colour = "grey" if channels == 1 else f"{channels} channels"
    rows = [
        ("Images", f"{height}×{width}, {colour}, as x = {config.positive_map.formula}"),
        (
            "Distribution of ln x",
            f"mean {data.log_mean:.4f}, standard deviation {data.log_std:.4f}",
        ),
        (
            f"Fitted start at noise level {config.process.max_noise_level:g}",
            f"mean {start.log_mean:.4f}, standard deviation {start.log_std:.4f}",
        ),
        ("Minimum noise level", f"{config.min_noise_level:g}"),
        *(
            (f"Noise levels of {len(levels)} leaps", ", ".join(f"{s:g}" for s in levels))
            for levels in config.levels
        ),
        ("U-Net", f"width {network.width}, levels {network.multipliers}, patch {network.patch}"),
        ("Parameters", f"{_parameters(config):,}"),
        ("Classes", ", ".join(config.class_names)),
    ]
    return "## Contents\n\n" + text_table(("", ""), rows)


def _parameters(config: CheckpointConfig) -> int:
    return sum(parameter.numel() for parameter in outline(config.network).parameters())


def _quality(metrics: Mapping[str, Any]) -> str:
    records = metrics.get("evaluations", ())
    if not records:
        return NOT_MEASURED
    parts = [_ABOUT_QUALITY, quality_table(records, metrics)]
    if metrics.get("notes"):
        parts.append(str(metrics["notes"]))
    return "\n\n".join(parts)


_ADDITIVE = (
    "\n\n**This network is the additive baseline:** its data are x₀ = e^pixel, so that ln x₀ is "
    "the pixel itself, and the whole method is ordinary additive diffusion on raw pixels."
)

_FEW_STEPS = (
    "\n\n**This network needs few evaluations:** it was distilled to take a noised image to the "
    "end of its trajectory at once. Between such leaps the forward process adds noise again. Its "
    "estimate is not the posterior mean, so that no other sampler and no restoration can use it."
)

_ABOUT_QUALITY = """\
NFE: network evaluations for one image. Recognised: share of class-conditional images that a
classifier trained on real images assigns to their class, with Wilson's 95 % interval. Fréchet and
kernel distance, precision and recall compare the classifier's features of the samples with those of
the test images; they are not comparable with numbers from other features. Nearest: median distance
in pixels to the nearest training image, and in brackets the first percentile. The floor is what as
many training images get, in the same numbers of each class; under Nearest it is what the test
images get: samples that lie much nearer were memorised."""

_LIMITS = """\
## Limits

The network generates images like those of its data set and nothing else. It was made to show and to
study multiplicative sampling, not to compete with large models; the class accuracy of samples says
nothing about their variety. Like every generative model, it may return images close to those it was
trained on."""

_REFERENCES = f"""\
## References

- Shetty, Prasath, Seelamantula: [Dale meets Langevin: A Multiplicative Denoising Diffusion
  Model]({PAPER}), 2025.
- Karras et al.: [Elucidating the design space of diffusion-based generative
  models](https://arxiv.org/abs/2206.00364), 2022.
- Hyvärinen: Some extensions of score matching, Computational Statistics and Data Analysis 51,
  2007."""
