"""The comparison of samplers: what is sampled, and the table and curves made of the results.

All methods are measured in one classifier's features against the same test images. A Fréchet
distance depends on how many images it is computed from, so each number of images has a table of
its own, with the floor in its last row: what as many real images get.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dale_demo.checkpoint.results import DISTANCES, distances, recognised
from dale_demo.datasets import DATASETS
from dale_demo.drawing.markdown import text_table
from dale_demo.evaluation.evaluate import Record
from dale_demo.evaluation.trade_off import Kind, Point, TradeOff
from dale_demo.paper import PROCESS
from dale_demo.samplers import LANGEVIN, SAMPLER_LABELS, SamplerName
from dale_demo.sampling import PRESETS, SamplingSettings, StartName, cycle_labels, paper_annealed

BUDGETS = (10, 20, 50)
"""Network evaluations for one image with which every sampler is measured from noise level 8."""
SLOW: tuple[Kind, ...] = ("paper", "annealed", "recipe")
"""The paper's settings, on whichever network: a thousand network evaluations for one image."""
ADDITIVE: tuple[SamplerName, ...] = ("multistep", "bridge", "multistep-bridge", "probability-flow")
"""Samplers that additive diffusion has too, and so runs on a network of raw pixels."""
STARTS: tuple[StartName, ...] = ("fitted", "class-averaged")


@dataclass(frozen=True)
class Method:
    """One row of the table: a network sampled in one way.

    Args:
        label: The sampler and what sets it apart; rows of one label differ in steps or start.
        network: Which of the networks compared: "ours", "additive", or "paper", which is trained by
            the paper's recipe.
        kind: How the figure draws it.
        settings: Everything but the labels.
    """

    label: str
    network: str
    kind: Kind
    settings: SamplingSettings

    @property
    def slow(self) -> bool:
        """Whether one image takes so many network evaluations that only few are sampled."""
        return self.kind in SLOW

    def with_labels(self, classes: int, count: int) -> SamplingSettings:
        """The settings for `count` images, whose labels go round all classes."""
        return replace(self.settings, labels=cycle_labels(range(classes), count))

    def shortened(self, steps: int) -> "Method":
        """The same in at most `steps` steps, to try out a comparison."""
        # The square root leaves methods of different budgets different.
        fewer = min(math.isqrt(self.settings.steps), steps)
        return replace(self, settings=replace(self.settings, steps=fewer))


def all_methods(dataset: str) -> list[Method]:
    """Every row, the quick ones first; rows for another network, few-step ones say, go here."""
    ours = [
        Method(SAMPLER_LABELS[sampler], "ours", "ours", _within(sampler, budget))
        for sampler in (*ADDITIVE, "dale-langevin")
        for budget in BUDGETS
    ]
    additive = [
        Method(f"{method.label}, additive", "additive", "additive", method.settings)
        for method in ours
        if method.settings.sampler in ADDITIVE
    ]
    apart = [method for network in ("ours", "paper") for method in narrow_methods(network)]
    recipe = [
        replace(method, label=f"{method.label}, paper’s training", network="paper", kind="recipe")
        for method in paper_methods(dataset)
        if method.settings.sampler == "dale-langevin"
    ]
    return [*ours, *additive, *apart, *paper_methods(dataset), *recipe]


def narrow_methods(network: str) -> list[Method]:
    """Our default sampler from the paper's noise level, to tell training and sampling apart.

    The paper's recipe learns no higher level, and its samplers start from none.
    """
    trained = {"ours": "", "paper": ", paper’s training"}[network]
    level = PROCESS.max_noise_level
    starts: tuple[StartName, ...] = ("exact", "class-averaged")
    return [
        Method(
            f"{SAMPLER_LABELS[settings.sampler]}, from s = {level:g}{trained}",
            network,
            "narrow",
            settings,
        )
        for settings in (replace(PRESETS["wide"], noise_level=level, start=s) for s in starts)
    ]


def paper_methods(dataset: str) -> list[Method]:
    """The paper's two samplers from both of its starts; with its annealing where it has constants.

    1000 steps from noise level 0.8, so an image takes a thousand network evaluations and more.
    """
    tuned = DATASETS[dataset].annealed if dataset in DATASETS else {}
    pairs = [(sampler, start) for sampler in LANGEVIN for start in STARTS]
    plain = [replace(PRESETS["paper"], sampler=sampler, start=start) for sampler, start in pairs]
    annealed = [paper_annealed(dataset, *pair) for pair in pairs if pair[0] in tuned]
    rows: list[tuple[Kind, str, SamplingSettings]] = [
        *(("paper", ", paper’s settings", settings) for settings in plain),
        *(("annealed", ", paper’s annealed settings", settings) for settings in annealed),
    ]
    return [
        Method(SAMPLER_LABELS[settings.sampler] + suffix, "ours", kind, settings)
        for kind, suffix, settings in rows
    ]


def _within(sampler: SamplerName, budget: int) -> SamplingSettings:
    """The default settings with the most steps that `budget` network evaluations allow."""
    # Heun's method evaluates the network twice a step, but only once in the last.
    steps = (budget + 1) // 2 if sampler == "probability-flow" else budget
    return replace(PRESETS["wide"], sampler=sampler, steps=steps)


Result = tuple[Method, Record]
"""A method with what was measured of it."""


def table(results: Sequence[Result], floor: Record) -> str:
    """A Markdown table of results on one number of images, the floor in its last row."""
    rows = [
        (
            method.label,
            method.settings.start,
            f"{record['calls']:,}",
            f"{record['seconds']:.0f}",
            recognised(record),
            f"{record['frechet']['value'] / floor['frechet']['value']:.2f}",
            *distances(record),
        )
        for method, record in results
    ]
    rows.append(("real images, the floor", *"————", "1.00", *distances(floor)))
    head = ("Method", "Start", "Network evaluations", "Seconds", "Recognised", "× floor")
    return text_table((*head, *DISTANCES), rows)


def trade_off(
    dataset: str, results: Sequence[Result], floor: Record, images_seen: Mapping[str, int]
) -> TradeOff:
    """The same results as curves; seconds only of what ran on the first one's hardware.

    Args:
        images_seen: Network → images that it has seen in training.
    """
    hardware, count = results[0][1]["hardware"], floor["pictures"]
    points = tuple(
        Point(
            label=method.label,
            sampler=method.settings.sampler,
            kind=method.kind,
            start=method.settings.start,
            network_evaluations=record["calls"],
            seconds=record["seconds"] / count if record["hardware"] == hardware else None,
            frechet=record["frechet"]["value"],
            error=record["frechet"]["error"],
        )
        for method, record in results
    )
    frechet = floor["frechet"]
    return TradeOff(
        dataset, count, hardware, dict(images_seen), frechet["value"], frechet["error"], points
    )
