"""The front matter of a model card, which the Hub reads: licence, tags, data set, results."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.data import PositiveMap
from dale_demo.datasets import DATASETS, title_of

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

GENERATION = "unconditional-image-generation"


def front_matter(metadata: "ModelCardData") -> str:
    """Render metadata as the YAML block at the head of a card."""
    return f"---\n{metadata.to_yaml()}\n---"


def hub_metadata(dataset: str, task: str, tags: list[str], **results: Any) -> "ModelCardData":
    """Metadata of a model of this project.

    Args:
        dataset: Name of the training data; its Hub id is looked up.
        task: A pipeline tag of the Hub.
        tags: Beside those that all models of this project have.
        results: Measured quality, as `ModelCardData` takes it.
    """
    from huggingface_hub import ModelCardData

    return ModelCardData(
        license="mit",
        library_name="dale-demo",
        pipeline_tag=task,
        tags=[*tags, "log-normal", "multiplicative-noise"],
        datasets=_hub_id(dataset),
        **results,
    )


def network_metadata(config: CheckpointConfig) -> "ModelCardData":
    """Metadata of a score network, its measured quality as the Hub's `model-index`."""
    results = [
        _eval_result(config.dataset, record)
        for record in config.metrics.get("evaluations", ())
        if "class_accuracy" in record
    ]
    measured: dict[str, Any] = {}
    if results:
        name = f"{kind_of(config)} on {title_of(config.dataset)}"
        measured = {"metrics": ["accuracy"], "model_name": name, "eval_results": results}
    return hub_metadata(config.dataset, GENERATION, ["diffusion", "dales-law"], **measured)


def kind_of(config: CheckpointConfig) -> str:
    """What kind of diffusion a network was trained for, as the beginning of a title."""
    return f"{'Additive' if config.positive_map is PositiveMap.EXP else 'Multiplicative'} diffusion"


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
            f"{record['calls']} network evaluations from noise level "
            f"{settings['noise_level']:g}, {result['count']} images"
        ),
        metric_args=dict(settings),
    )
