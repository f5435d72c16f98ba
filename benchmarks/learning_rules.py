"""What a learning rule makes of the weights: two starts, two rules, the same network and images.

    DALE_DATA=… python -m benchmarks.learning_rules --runs FOLDER

Trains a small score network from half-normal and from log-normal |w|, by Adam and by exponentiated
gradient, at several seeds, and measures signs, distributions and samples. The runs stay in FOLDER:
an interrupted one is continued, a finished one is only measured. Twelve runs of 65,000 images take
about half an hour on two cores; each number is the mean over the seeds with its standard error.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import click
from tqdm import tqdm

from benchmarks.shared import compile_option, open_reference
from dale_demo.checkpoint.config import CheckpointConfig
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.data import load
from dale_demo.drawing.markdown import text_table
from dale_demo.evaluation.evaluate import Reference, measure, sample
from dale_demo.hardware import hardware
from dale_demo.plasticity.layers import Magnitudes
from dale_demo.sampling import PRESETS, cycle_labels
from dale_demo.training.config import Rule, TrainingConfig
from dale_demo.training.run import train
from dale_demo.training.state import STATE_FILE

HEADS = (
    *("Start of |w|", "Rule", "Synapses that changed sign", "Layers nearer log-normal"),
    *("KS to log-normal", "KS to normal", "Skewness of ln|w|", "Loss", "Recognised", "Fréchet"),
)


@dataclass(frozen=True)
class Cell:
    """A start and a rule, with what each seed's run came to.

    Args:
        found: Of each seed, the numbers of a row, in the order of `HEADS`.
    """

    magnitudes: Magnitudes
    rule: Rule
    found: Sequence[Sequence[float]]

    def row(self) -> list[str]:
        """The cell as a row of the table: mean ± standard error."""
        forms = (".1%", ".1f", ".3f", ".3f", ".2f", ".3f", ".1%", ".3f")
        columns = zip(*self.found, strict=True)
        return [self.magnitudes, self.rule, *map(_mean_and_error, columns, forms)]


def _mean_and_error(values: Sequence[float], form: str) -> str:
    mean = f"{statistics.mean(values):{form}}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {statistics.stdev(values) / math.sqrt(len(values)):{form}}"


def _numbers(config: CheckpointConfig, evaluation: dict[str, Any]) -> list[float]:
    """What a run came to, in the order of `HEADS`."""
    record = config.training["synapses"]
    end = record["end"]
    return [
        record["changed_sign"] / record["signed"],
        record["layers_log_normal"],
        end["ks_log_normal"],
        end["ks_normal"],
        end["log_skew"],
        config.training["loss_curve"][-1][1],
        evaluation["class_accuracy"]["share"],
        evaluation["frechet"]["value"],
    ]


def _evaluate(folder: Path, reference: Reference, count: int) -> list[float]:
    checkpoint = load_checkpoint(folder)
    classes = len(checkpoint.config.class_names)
    settings = replace(PRESETS["wide"], labels=cycle_labels(range(classes), count))
    images, seconds = sample(checkpoint, settings)
    found = measure(checkpoint, reference.classifier, settings, images, seconds, reference)
    return _numbers(checkpoint.config, found)


@click.command(context_settings={"show_default": True})
@click.option("--runs", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--dataset", default="mnist", help="Data set of a bundled classifier.")
@click.option("--images", default=65_000, help="Images that each run sees.")
@click.option("--seeds", default=3, help="Runs of each start and rule.")
@click.option("--num-images", default=500, help="Images sampled from each network.")
@compile_option
def main(
    runs: Path, dataset: str, images: int, seeds: int, num_images: int, compiled: bool
) -> None:
    """Print the table."""
    data, reference = load(dataset, "train"), open_reference(dataset, "cpu")
    cells = []
    for magnitudes, rule in product(get_args(Magnitudes)[::-1], get_args(Rule)):
        found = []
        for seed in range(seeds):
            config = TrainingConfig(
                images, rule=rule, magnitudes=magnitudes, multipliers=(1, 2), seed=seed
            )
            folder = runs / f"{magnitudes}-{rule}-{seed}"
            if not folder.exists() or (folder / STATE_FILE).exists():
                run = train(data, folder, config, compiled=compiled, cpu=True)
                for _ in tqdm(run, desc=folder.name, total=images // config.batch_size // 50):
                    pass
            found.append(_evaluate(folder, reference, num_images))
        cells.append(Cell(magnitudes, rule, found))
    print(f"{dataset}, {images:,} images seen, {seeds} seeds; {hardware('cpu', False)}\n")
    print(text_table(HEADS, [cell.row() for cell in cells]))


if __name__ == "__main__":
    main()
