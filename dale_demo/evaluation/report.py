"""A report: the evaluations of one network, saved in a file as they are made."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dale_demo.checkpoint.files import WEIGHTS_FILE, read_text, write_atomically
from dale_demo.checkpoint.results import floor_kind, quality_table
from dale_demo.checks import check_float, check_word
from dale_demo.evaluation.evaluate import Record, described
from dale_demo.process import DEFAULT_MIN_NOISE_LEVEL
from dale_demo.sampling import SamplingSettings

CLASSIFIER = "a classifier"
"""Whose features distances are taken in, unless another network's are asked for."""

MAX_REPORT_BYTES = 16 * 2**20
"""Some 10,000 evaluations."""
MAX_NAME = 4096
_DAMAGE = (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What use of another's JSON may raise."""


@dataclass
class Report:
    """Evaluations of one network under several settings.

    Args:
        checkpoint: Name or folder of the network, as it was asked for.
        weights: SHA-256 of its weights.
        floors: What as many real images get, as `Reference.floor` returns it.
        evaluations: As `evaluate.measure` returns them.
        features: Whose features the distances are taken in.
        min_noise_level: Where runs on a Karras grid ended; see `CheckpointConfig`.
    """

    checkpoint: str
    weights: str
    floors: list[Record] = field(default_factory=list)
    evaluations: list[Record] = field(default_factory=list)
    features: str = CLASSIFIER
    min_noise_level: float = DEFAULT_MIN_NOISE_LEVEL

    @classmethod
    def resume(
        cls,
        checkpoint: str,
        folder: Path,
        file: Path | None,
        features: str = CLASSIFIER,
        min_noise_level: float = DEFAULT_MIN_NOISE_LEVEL,
    ) -> "Report":
        """The report in `file` to be continued, or an empty one.

        Raises:
            ValueError: The file holds something else, or results that differ in more than their
                settings: of other weights, in other features, of runs that end elsewhere.
        """
        weights = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
        if file is None or not file.exists():
            return cls(checkpoint, weights, features=features, min_noise_level=min_noise_level)
        report = cls._read(file)
        if report.weights != weights:
            problem = "is the report of another network"
        elif report.features != features:
            problem = f"holds distances in the features of {report.features}, not of {features}"
        elif report.min_noise_level != min_noise_level:
            ended = f"{report.min_noise_level:g}, not at {min_noise_level:g}"
            problem = f"is about runs that end at noise level {ended}"
        else:
            return report
        raise ValueError(f"{file} {problem}; name another file.")

    @classmethod
    def _read(cls, file: Path) -> "Report":
        text = read_text(file, MAX_REPORT_BYTES)
        try:
            raw = json.loads(text)
            if "last_level" in raw:  # its name in files written before
                raw["min_noise_level"] = raw.pop("last_level")
            report = cls(**raw)
            report._check()
        except _DAMAGE as error:
            raise ValueError(f"{file} holds no report; name another file.") from error
        return report

    def _check(self) -> None:
        """Raise one of `_DAMAGE` unless everything can be used as it is in a report of our own."""
        for name in ("checkpoint", "weights", "features"):
            check_word(name, getattr(self, name), MAX_NAME)
        check_float("min_noise_level", self.min_noise_level, 0, 1)
        for records in (self.floors, self.evaluations):
            if not (isinstance(records, list) and all(isinstance(one, dict) for one in records)):
                raise TypeError("Floors and evaluations must be lists of objects.")
        if not all(isinstance(one["settings"], dict) for one in self.evaluations):
            raise TypeError("The settings of an evaluation must be an object.")
        self.to_markdown()

    def missing(self, runs: Iterable[SamplingSettings]) -> list[SamplingSettings]:
        """Those of `runs` that have not been evaluated."""
        return [settings for settings in runs if self.find(settings) is None]

    def find(self, settings: SamplingSettings) -> Record | None:
        """The evaluation under `settings`, where there is one."""
        wanted = described(settings)
        return next((one for one in self.evaluations if one["settings"] == wanted), None)

    def floor(self, count: int, conditional: bool) -> Record | None:
        """The floor of `count` images where it was measured, of all classes in turn or not."""
        found = (floor for floor in self.floors if floor_kind(floor) == (count, conditional))
        return next(found, None)

    def save(self, file: Path) -> None:
        """Write everything as JSON."""
        text = json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)
        write_atomically(file, (text + "\n").encode())

    def to_markdown(self) -> str:
        """A table of the evaluations with their floors, and whose features it rests on."""
        rows = quality_table(self.evaluations, {"floors": self.floors})
        return f"Distances in the features of {self.features}.\n\n{rows}"
