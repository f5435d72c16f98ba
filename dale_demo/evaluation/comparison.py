"""What is compared when the quality of samples is: the ways of sampling, and tables of the results.

Every way is measured by one classifier's features against the same test pictures. A distance
depends on how many pictures it was taken of, so each number of pictures has a table of its own,
with the floor that as many real pictures reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dale_demo.checkpoint.results import DISTANCES, distances, recognised
from dale_demo.datasets import DATASETS
from dale_demo.drawing.markdown import text_table
from dale_demo.evaluation.evaluate import Record
from dale_demo.evaluation.report import Report
from dale_demo.evaluation.trade_off import LINES, Kind, Point, TradeOff
from dale_demo.samplers import LANGEVIN, SamplerName
from dale_demo.sampling import PRESETS, SamplingSettings, StartName, cycle_labels, paper_annealed

CALLS = (10, 20, 50)
"""Network calls for one picture, about which every sampler is measured from noise level 8."""
ADDITIVE: tuple[SamplerName, ...] = ("multistep", "bridge", "multistep-bridge", "probability-flow")
OURS: tuple[SamplerName, ...] = (*ADDITIVE, "dale-langevin")
STARTS: tuple[StartName, ...] = ("fitted", "class-averaged")

SAMPLER_NAMES: dict[SamplerName, str] = {
    "multistep": "multistep (DPM-Solver++)",
    "bridge": "bridge",
    "multistep-bridge": "multistep bridge (SDE-DPM-Solver++)",
    "probability-flow": "probability flow (Heun)",
    "dale-langevin": "Dale–Langevin",
    "unconstrained": "unconstrained",
}
KIND_NAMES: dict[Kind, str] = {
    "ours": "",
    "additive": ", additive",
    "paper": ", paper",
    "annealed": ", paper, annealed",
}


@dataclass(frozen=True)
class Method:
    """One way of sampling.

    Args:
        kind: Whose settings they are; "additive" ones are for a network of raw pixels.
        settings: Everything but the labels.
    """

    kind: Kind
    settings: SamplingSettings

    @property
    def name(self) -> str:
        """What sets it apart from others, but for calls and start."""
        return SAMPLER_NAMES[self.settings.sampler] + KIND_NAMES[self.kind]

    @property
    def slow(self) -> bool:
        """Whether it takes so many calls that only few pictures are drawn."""
        return self.kind not in LINES

    def drawing(self, classes: int, count: int) -> SamplingSettings:
        """The settings for `count` pictures, which go round all classes.

        Picture i is the same for every count, so the first of many are what few would be.
        """
        return replace(self.settings, labels=cycle_labels(range(classes), count))


def our_methods() -> list[Method]:
    """Our samplers at about 10, 20 and 50 calls, from noise level 8."""
    return [Method("ours", _within(sampler, calls)) for sampler in OURS for calls in CALLS]


def additive_methods() -> list[Method]:
    """The same for a network of raw pixels: DPM-Solver++, ancestral sampling, EDM's Heun."""
    return [Method("additive", _within(sampler, calls)) for sampler in ADDITIVE for calls in CALLS]


def paper_methods(dataset: str) -> list[Method]:
    """The paper's two samplers from both of its starts; with its annealing where it has constants.

    1000 steps from noise level 0.8, so a picture takes a thousand calls and more.
    """
    plain = {sampler: replace(PRESETS["paper"], sampler=sampler) for sampler in LANGEVIN}
    annealed = {
        sampler: paper_annealed(dataset, sampler)
        for sampler in LANGEVIN
        if dataset in DATASETS and sampler in DATASETS[dataset].annealed
    }
    kinds: tuple[tuple[Kind, dict[SamplerName, SamplingSettings]], ...] = (
        ("paper", plain),
        ("annealed", annealed),
    )
    return [
        Method(kind, replace(settings, start=start))
        for kind, several in kinds
        for settings in several.values()
        for start in STARTS
    ]


def _within(sampler: SamplerName, calls: int) -> SamplingSettings:
    """The default settings with the most steps that take at most `calls` calls."""
    steps = (calls + 1) // 2 if sampler == "probability-flow" else calls
    return replace(PRESETS["wide"], sampler=sampler, steps=steps)


@dataclass(frozen=True)
class Comparison:
    """Methods, and what was measured of them so far.

    Args:
        dataset: Name of the data set.
        classes: How many classes it has.
        methods: Each with the report of the network that it is for, in the order of the tables.
        ours: The report that holds the floors.
        seen: Pictures that the network of each kind, ours or additive, has seen in training.
    """

    dataset: str
    classes: int
    methods: Sequence[tuple[Method, Report]]
    ours: Report
    seen: dict[Kind, int]

    def measured(self, count: int) -> list[tuple[Method, Record]]:
        """The methods with their results on `count` pictures, where there are any."""
        found = [
            (method, report.find(method.drawing(self.classes, count)))
            for method, report in self.methods
        ]
        return [(method, record) for method, record in found if record is not None]

    def table(self, count: int) -> str:
        """A Markdown table of what was measured on `count` pictures, the floor in its last row."""
        floor = self._floor(count)
        rows = [
            (
                method.name,
                method.settings.start,
                f"{record['calls']:,}",
                f"{record['seconds']:.0f}",
                recognised(record),
                f"{record['frechet']['value'] / floor['frechet']['value']:.2f}",
                *distances(record),
            )
            for method, record in self.measured(count)
        ]
        rows.append(("real pictures, the floor", *"————", "1.00", *distances(floor)))
        return text_table(_HEAD, rows)

    def trade_off(self, count: int) -> TradeOff:
        """What was measured on `count` pictures, as points; seconds on the first one's hardware."""
        measured, floor = self.measured(count), self._floor(count)["frechet"]
        hardware = measured[0][1]["hardware"]
        points = tuple(
            Point(
                name=method.name,
                sampler=method.settings.sampler,
                kind=method.kind,
                start=method.settings.start,
                calls=record["calls"],
                seconds=record["seconds"] / count if record["hardware"] == hardware else None,
                frechet=record["frechet"]["value"],
                error=record["frechet"]["error"],
            )
            for method, record in measured
        )
        return TradeOff(
            self.dataset,
            count,
            hardware,
            self.seen,
            floor["value"],
            floor["error"],
            points,
        )

    def _floor(self, count: int) -> Record:
        floor = self.ours.floor(count, conditional=True)
        if floor is None:
            raise ValueError(f"The floor of {count:,} pictures has not been measured.")
        return floor


_HEAD = (
    "Method",
    "Start",
    "Calls",
    "Seconds",
    "Recognised",
    "× floor",
    *DISTANCES,
)
