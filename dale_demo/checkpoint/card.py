"""The model card: README.md of a checkpoint folder, from its config.json."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dale_demo.checkpoint.config import CheckpointConfig, setting
from dale_demo.checkpoint.files import (
    CARD_FILE,
    CONFIG_FILE,
    CheckpointError,
    one_line,
    write_atomically,
)
from dale_demo.checkpoint.folder import load_config
from dale_demo.checkpoint.results import floor_kind, quality_table
from dale_demo.data import PositiveMap
from dale_demo.datasets import DATASETS, title_of
from dale_demo.drawing.markdown import clock, fenced, plain, text_table
from dale_demo.network import MAX_NOISE_LEVEL, Denoiser

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData


PAPER = "https://arxiv.org/abs/2510.02730"
GENERATION = "unconditional-image-generation"
CURVE_ROWS = 12


def model_card(config: CheckpointConfig) -> str:
    """Render a network's card as Markdown with Hub front matter."""
    sections = (
        front_matter(model_card_data(config)),
        _description(config),
        _usage(config),
        _contents(config),
        "## Training\n\n" + training_section(config.training),
        "## Measured quality\n\n" + _quality(config.metrics),
        _LIMITS,
        _REFERENCES,
    )
    return "\n\n".join(sections) + "\n"


def model_card_data(config: CheckpointConfig) -> "ModelCardData":
    """The front matter of a network's card, its measured quality as the Hub's `model-index`."""
    results = [
        _eval_result(config.dataset, record)
        for record in config.metrics.get("evaluations", ())
        if "class_accuracy" in record
    ]
    measured: dict[str, Any] = {}
    if results:
        name = f"{_kind(config)} on {title_of(config.dataset)}"
        measured = {"metrics": ["accuracy"], "model_name": name, "eval_results": results}
    return card_data(config.dataset, GENERATION, ["diffusion", "dales-law"], **measured)


def completed(card: str, config: CheckpointConfig) -> str:
    """A card with all the front matter that the Hub reads; what it says already stays as it is.

    Args:
        card: README.md of a checkpoint; where it is empty, a new card is written.
        config: Of the same checkpoint.

    Raises:
        CheckpointError: The front matter of `card` is not YAML, or the metrics in `config` are
            not this program's.
    """
    from huggingface_hub import ModelCard, ModelCardData

    with _own_metrics():
        ours, fresh = model_card_data(config).to_dict(), model_card(config)
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
    of as many pictures of the same classes; the weights are not touched.

    Args:
        min_noise_level: Where the measured runs ended, which becomes the network's own; earlier
            results are dropped where it was another.

    Raises:
        CheckpointError: The folder is not a checkpoint, or its metrics are not this program's.
    """
    folder, config = Path(folder), load_config(folder)
    with _own_metrics():
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
    """`earlier` with `record` in place of what has the same `key`."""
    return [*(other for other in earlier if key(other) != key(record)), dict(record)]


def _settings(record: Mapping[str, Any]) -> Any:
    return record["settings"]


@contextmanager
def _own_metrics() -> Iterator[None]:
    """Say in one sentence that the block's metrics are not such as `evaluate` stores."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"The metrics in {CONFIG_FILE} are not this program's; empty them: {error!r}."
        ) from error


def front_matter(data: "ModelCardData") -> str:
    return f"---\n{data.to_yaml()}\n---"


def card_data(dataset: str, task: str, tags: list[str], **measured: Any) -> "ModelCardData":
    from huggingface_hub import ModelCardData

    return ModelCardData(
        license="mit",
        library_name="dale-demo",
        pipeline_tag=task,
        tags=[*tags, "log-normal", "multiplicative-noise"],
        datasets=_hub_id(dataset),
        **measured,
    )


def _hub_id(dataset: str) -> str | None:
    return DATASETS[dataset].hub_id if dataset in DATASETS else None


def _eval_result(dataset: str, record: Mapping[str, Any]) -> "EvalResult":
    from huggingface_hub import EvalResult

    settings, result = record["settings"], record["class_accuracy"]
    return EvalResult(
        task_type=GENERATION,
        dataset_type=_hub_id(dataset) or dataset,
        dataset_name=title_of(dataset),
        metric_type="accuracy",
        metric_value=result["share"],
        metric_name=(
            f"Recognised as their class: {settings['sampler']}, {settings['steps']} steps, "
            f"{record['calls']} calls from noise level {settings['noise_level']:g}, "
            f"{result['count']} pictures"
        ),
        metric_args=dict(settings),
    )


def _kind(config: CheckpointConfig) -> str:
    return f"{'Additive' if config.positive_map is PositiveMap.EXP else 'Multiplicative'} diffusion"


def _description(config: CheckpointConfig) -> str:
    return (
        f"# {_kind(config)} on {plain(title_of(config.dataset))}\n\n"
        "A score network for generative modelling by multiplication: data are positive, noise is "
        "log-normal (geometric Brownian motion), and every sampling step multiplies, so that no "
        "value ever changes sign, as synapses under Dale's law. The method is that of "
        f"[Dale meets Langevin]({PAPER}). The network predicts ln x₀ from ln x_t at any noise "
        f"level, for {len(config.class_names)} classes or none."
        + (_ADDITIVE if config.positive_map is PositiveMap.EXP else "")
    )


def _usage(config: CheckpointConfig) -> str:
    last, shape = len(config.class_names) - 1, [2, *config.network.image_shape]
    library = f"""\
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.hub.lookup import resolve
from dale_demo.sampling import SamplingSettings, run

checkpoint = load_checkpoint(resolve("FOLDER").folder)
for step in run(checkpoint, SamplingSettings(labels=(0, {last}), seed=1)):
    print(step.index, step.calls)
images = checkpoint.config.positive_map.pixels(step.x)  # uint8 {shape}"""
    command = (
        f"python -m dale_demo sample --checkpoint FOLDER --labels 0,{last} "
        "--num-images 16 --out samples.png"
    )
    return (
        "## Use\n\nFOLDER is the folder of this card, or OWNER/NAME of its repository on the "
        "Hugging Face Hub.\n\n" + fenced(library, "python") + "\n\n" + fenced(command, "bash")
    )


def _contents(config: CheckpointConfig) -> str:
    network, law, start = config.network, config.data_distribution, config.start
    channels, height, width = network.image_shape
    colour = "grey" if channels == 1 else f"{channels} channels"
    rows = [
        ("Pictures", f"{height}×{width}, {colour}, as x = {config.positive_map.formula}"),
        ("Law of ln x", f"mean {law.log_mean:.4f}, standard deviation {law.log_std:.4f}"),
        (
            f"Fitted start at noise level {config.process.max_noise_level:g}",
            f"mean {start.log_mean:.4f}, standard deviation {start.log_std:.4f}",
        ),
        ("Last noise level of a walk", f"{config.min_noise_level:g}"),
        ("U-Net", f"width {network.width}, levels {network.multipliers}, patch {network.patch}"),
        ("Parameters", f"{_parameters(config):,}"),
        ("Classes", ", ".join(config.class_names)),
    ]
    return "## Contents\n\n" + text_table(("", ""), rows)


def _parameters(config: CheckpointConfig) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in Denoiser(config.network).parameters())


def training_section(facts: Mapping[str, Any]) -> str:
    if "command" not in facts:
        return "Not recorded."
    rows = [("Hardware", facts.get("hardware", "not recorded"))]
    if "images" in facts:
        rows.append(("Pictures seen", f"{facts['images']:,}"))
    if "seconds" in facts:
        rows.append(("Time (h:mm)", clock(facts["seconds"])))
    guidance = setting(facts, "guidance", 1)
    parts = [fenced(facts["command"], "bash"), text_table(("", ""), rows)]
    if guidance != 1:
        below = setting(facts, "guidance_below", MAX_NOISE_LEVEL)
        levels = f" at noise levels up to {below:g}" if below < MAX_NOISE_LEVEL else ""
        if fine_below := setting(facts, "fine_guidance_below", 0):
            levels += f", but {setting(facts, 'fine_guidance', 1):g} up to {fine_below:g}"
        taught = _TAUGHT_BY_THREE if facts.get("towards") else _TAUGHT
        led = "away from" if guidance > 1 else "back towards"
        parts.insert(0, taught.format(led=led, guidance=guidance, levels=levels))
    if facts.get("made"):
        parts.insert(0, _MADE)
    if facts.get("loss_curve"):
        parts.append(_curve(facts["loss_curve"], _LOSS if guidance == 1 else _TAUGHT_LOSS))
    if facts.get("before"):
        parts = [
            training_section(facts["before"]),
            "Then, from the weights that this gave:",
            *parts,
        ]
    return "\n\n".join(parts)


def _curve(curve: Sequence[tuple[int, float]], loss: str) -> str:
    """The loss at about a dozen points, and what kind of loss it is."""
    points = curve[:: -(-len(curve) // CURVE_ROWS)]
    if points[-1] != curve[-1]:
        points = [*points, curve[-1]]
    rows = ((f"{seen:,}", f"{value:.4f}") for seen, value in points)
    return f"Loss ({loss}):\n\n" + text_table(("Pictures seen", "Loss"), rows)


def _quality(metrics: Mapping[str, Any]) -> str:
    records = metrics.get("evaluations", ())
    return f"{_ABOUT_QUALITY}\n\n{quality_table(records, metrics)}" if records else NOT_MEASURED


_ADDITIVE = (
    "\n\n**This one is the baseline to compare with:** its data are x₀ = e^pixel, so that ln x₀ is "
    "the pixel itself, and all of it is ordinary additive diffusion on raw pixels."
)

_MADE = "The pictures of this run are not the data set's own: a network made them."
_LOSS = "M-DSM, preconditioned; 1 is no better than the data's mean"
_TAUGHT_LOSS = "M-ESM, preconditioned; 0 is what the teacher says"
_TAUGHT = """\
Not from the data's own ln x₀, but from a teacher: a trained network, led {led} a weaker one by
w = {guidance:g}{levels} ([autoguidance](https://arxiv.org/abs/2406.02507)). The teacher takes two
calls a step; here one network learns what it says."""
_TAUGHT_BY_THREE = """\
Not from the data's own ln x₀, but from a teacher: a trained network, led along the way from a
weaker one to a better one, by w − 1 times its length, w = {guidance:g}{levels}. The teacher takes
three calls a step; here one network learns what it says."""

_ABOUT_QUALITY = """\
Recognised: share of class-conditional pictures that a classifier of real pictures takes for their
class, with Wilson's 95 % interval. Fréchet and kernel distance, precision and recall are those of
the classifier's features, against the test pictures; they are not comparable with numbers from
other features. Nearest: median distance in pixels to the nearest training picture, and in brackets
that of the nearest percent. The floor is what as many training pictures get, as many of each class
as were asked for, but for Nearest, where it is that of the test pictures: what lies much nearer was
memorised."""

NOT_MEASURED = "Not measured yet."

_LIMITS = """\
## Limits

It knows its own kind of picture and nothing else. It was made to show and to study multiplicative
sampling, not to compete with large models; the class accuracy of samples says nothing about their
variety. Like every model of data, it may return pictures close to those it was trained on."""

_REFERENCES = f"""\
## References

- Shetty, Prasath, Seelamantula: [Dale meets Langevin: A Multiplicative Denoising Diffusion
  Model]({PAPER}), 2025.
- Karras et al.: [Elucidating the design space of diffusion-based generative
  models](https://arxiv.org/abs/2206.00364), 2022.
- Hyvärinen: Some extensions of score matching, Computational Statistics and Data Analysis 51,
  2007."""
