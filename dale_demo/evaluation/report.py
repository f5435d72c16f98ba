"""A report: what several evaluations of one network found, kept in a file as they are made."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dale_demo.checkpoint.files import WEIGHTS_FILE, write_atomically
from dale_demo.checkpoint.results import floor_kind, quality_table
from dale_demo.evaluation.evaluate import Record, described
from dale_demo.process import DEFAULT_MIN_NOISE_LEVEL
from dale_demo.sampling import SamplingSettings

CLASSIFIER = "a classifier"
"""Whose features distances are taken in, unless another network's are asked for."""


@dataclass
class Report:
    """Evaluations of one network under several settings.

    Args:
        checkpoint: Name or folder of the network, as it was asked for.
        weights: SHA-256 of its weights.
        floors: As `Reference.floor` returns them: what as many real pictures get.
        evaluations: As `evaluation.evaluate` returns them.
        features: Whose features the distances are taken in.
        min_noise_level: Where walks on a Karras grid ended; see `CheckpointConfig`.
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
            ValueError: The file holds something else, or the report of other weights or features,
                or of walks that end elsewhere.
        """
        weights = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
        if file is None or not file.exists():
            return cls(checkpoint, weights, features=features, min_noise_level=min_noise_level)
        try:
            report = cls(**json.loads(file.read_text()))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{file} holds no report; name another file.") from error
        if report.weights != weights:
            raise ValueError(f"{file} is the report of another network; name another file.")
        if report.features != features:
            raise ValueError(
                f"{file} holds distances in the features of {report.features}, not of {features}; "
                "name another file."
            )
        if report.min_noise_level != min_noise_level:
            raise ValueError(
                f"{file} is about walks that end at noise level {report.min_noise_level:g}, not at "
                f"{min_noise_level:g}; name another file."
            )
        return report

    def missing(self, runs: Iterable[SamplingSettings]) -> list[SamplingSettings]:
        """Those of `runs` that have not been evaluated."""
        return [settings for settings in runs if self.find(settings) is None]

    def find(self, settings: SamplingSettings) -> Record | None:
        """The evaluation under `settings`, where there is one."""
        wanted = described(settings)
        return next((one for one in self.evaluations if one["settings"] == wanted), None)

    def floor(self, count: int, conditional: bool) -> Record | None:
        """The floor for `count` pictures, of classes in turn or as they come, where it has been
        measured."""
        found = (f for f in self.floors if floor_kind(f) == (count, conditional))
        return next(found, None)

    def save(self, file: Path) -> None:
        """Write everything as JSON."""
        text = json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)
        write_atomically(file, (text + "\n").encode())

    def to_markdown(self) -> str:
        """A table of the evaluations with their floors, and whose features it rests on."""
        rows = quality_table(self.evaluations, {"floors": self.floors})
        return f"Distances in the features of {self.features}.\n\n{rows}"
