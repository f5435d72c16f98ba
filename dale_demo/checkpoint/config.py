"""config.json: the network of a checkpoint, its data, its training and its measured quality."""

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

from dale_demo.checkpoint.files import CONFIG_FILE, CheckpointError, one_line
from dale_demo.checks import check_float, check_word, shown
from dale_demo.data import PositiveMap
from dale_demo.network import MAX_NOISE_LEVEL, MIN_NOISE_LEVEL, UNetConfig
from dale_demo.process import DEFAULT_MIN_NOISE_LEVEL, GeometricBrownianMotion, LogNormal

Setting = TypeVar("Setting", float, str)

FORMAT_VERSION = 1
ARCHITECTURE = "log-denoiser-unet"
MAX_DEPTH = 64
"""Most levels of lists and objects in a config.json; a record of training takes one for each of the
runs before it."""
MAX_LEAPS = 64
"""Most noise levels in a list of `CheckpointConfig.levels`."""
MAX_NAME, MAX_DATASET = 255, 2000
"""Longest name of a class, which may be a folder's, and of a data set, which may hold paths."""


@dataclass(frozen=True)
class CheckpointConfig:
    """The fields of config.json.

    Args:
        dataset: Name of the training data.
        class_names: One for each class of the network, of 1 to 255 characters.
        network: Architecture, from which the network is rebuilt.
        process: The process of `start`; the network can be sampled with any other.
        start: Log-normal start fitted to the training data (the paper's setting).
        training: Record of the last training run, as JSON: "command", "hardware", "images",
            "seconds", "settings", "loss_curve"; "held_out", how many images of the set were kept
            for testing; "synapses", what became of these; where the run started from trained
            weights, "before", the record of the run that gave them; "code", the commit whose code
            is needed to run the command, where later code lacks one of its options; "notes",
            Markdown for the card.
        metrics: Measured quality, as JSON: "evaluations", "floors"; "notes", Markdown for the
            card.
        positive_map: How pixels became positive; a config.json without it, from before there was
            a choice, means 1 + pixel.
        min_noise_level: Noise level, in [0.002, 1], at which runs on a Karras grid take their last
            step, to the image: as low as the network's score can be trusted, which has to be
            measured.
        levels: Of a few-step network: the falling noise levels at which the sampler "leap"
            evaluates it, a list for each number of evaluations that it was distilled for. Empty
            for a network that estimates the posterior mean.

    Raises:
        ValueError: The class names do not fit the network, or a field is of the wrong kind or
            outside its range.
    """

    dataset: str
    class_names: tuple[str, ...]
    network: UNetConfig
    process: GeometricBrownianMotion
    start: LogNormal
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    positive_map: PositiveMap = PositiveMap.SHIFT
    min_noise_level: float = DEFAULT_MIN_NOISE_LEVEL
    levels: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        check_word("dataset", self.dataset, MAX_DATASET)
        if len(self.class_names) != self.network.num_classes:
            raise ValueError(
                f"{self.network.num_classes} classes but {len(self.class_names)} class names."
            )
        for name in self.class_names:
            check_word("Each of the class names", name, MAX_NAME)
        if not (isinstance(self.training, Mapping) and isinstance(self.metrics, Mapping)):
            raise ValueError("training and metrics must be JSON objects.")
        if not all(isinstance(run.get("before") or {}, Mapping) for run in self.runs):
            raise ValueError('Each "before" in training must be a JSON object.')
        check_float("min_noise_level", self.min_noise_level, MIN_NOISE_LEVEL, 1)
        for levels in self.levels:
            check_levels(levels)
        if len({len(levels) for levels in self.levels}) < len(self.levels):
            raise ValueError("levels must hold one list for each number of evaluations.")

    @property
    def data_distribution(self) -> LogNormal:
        """Log moments of the training data's pixels."""
        return LogNormal(self.network.log_mean, self.network.log_std)

    @property
    def runs(self) -> list[Mapping[str, Any]]:
        """The records of all training runs, each from the weights of the one before."""
        records = [self.training]
        while isinstance(before := records[0].get("before"), Mapping) and before:
            records.insert(0, before)
        return records

    @property
    def had_teacher(self) -> bool:
        """Whether the last run learned from a teacher in place of the data.

        Guidance moves a teacher away from the posterior mean, so D is then a little sharper than
        E[ln X₀ | X_t].
        """
        return setting(self.training, "guidance", 1) != 1

    @property
    def sign_changes(self) -> tuple[int, int] | None:
        """How many synapses changed sign in training, and of how many; None if not recorded."""
        record = self.training.get("synapses")
        if not isinstance(record, Mapping):
            return None
        changed, signed = record.get("changed_sign"), record.get("signed")
        if type(changed) is not int or type(signed) is not int or not 0 <= changed <= signed:
            return None
        return changed, signed

    @property
    def max_noise_level(self) -> float:
        """The highest noise level that the last run learned at: in the paper's recipe, s(T)."""
        learned_all = setting(self.training, "recipe", "edm") != "paper"
        return MAX_NOISE_LEVEL if learned_all else self.process.max_noise_level

    def levels_for(self, steps: int, noise_level: float) -> tuple[float, ...]:
        """The noise levels of a few-step network for `steps` evaluations, from `noise_level` down.

        They start no higher than the network's own; from a lower level, ln s is squeezed evenly
        between that and the network's last level.

        Raises:
            ValueError: The network was not distilled for so many evaluations.
        """
        known = {len(levels): levels for levels in self.levels}
        if steps not in known:
            counts = ", ".join(map(str, sorted(known)))
            raise ValueError(
                f"This network was distilled to sample in so many steps: {counts}; not in {steps}."
            )
        own = known[steps]
        top, last = min(noise_level, own[0]), own[-1]
        if top <= last or steps == 1:
            return tuple(s * top / own[0] for s in own)
        share = math.log(top / last) / math.log(own[0] / last)
        return tuple(last * (s / last) ** share for s in own)

    def check_posterior_mean(self, use: str) -> None:
        """Raise ValueError for a few-step network, whose estimate `use` cannot be built on."""
        if self.levels:
            raise ValueError(
                f"This network was distilled for the sampler leap: {use} needs a network that "
                "estimates the posterior mean, as this one does not."
            )

    def check_noise_level(self, noise_level: float) -> None:
        """Raise ValueError if the network was never trained at `noise_level`."""
        if noise_level > self.max_noise_level:
            raise ValueError(
                f"This network was trained by the paper's recipe, at noise levels up to "
                f"{self.max_noise_level:g}; {noise_level:g} is above that."
            )

    def to_json(self) -> str:
        """Serialise as config.json, with the format version first."""
        fields = {"format_version": FORMAT_VERSION, "architecture": ARCHITECTURE}
        fields |= dataclasses.asdict(self)
        if not self.levels:  # earlier programs, which know no few-step networks, read the others
            del fields["levels"]
        return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "CheckpointConfig":
        """Parse config.json.

        Raises:
            CheckpointError: Not JSON, another format, or a field is missing or out of range.
        """
        raw = parse_config(text, ARCHITECTURE)
        _check_kinds(raw)
        if "last_level" in raw:  # its name in networks published before
            raw["min_noise_level"] = raw.pop("last_level")
        try:
            return cls(
                **raw
                | {
                    "class_names": tuple(raw["class_names"]),
                    "network": UNetConfig(**raw["network"]),
                    "process": GeometricBrownianMotion(**raw["process"]),
                    "start": LogNormal(**raw["start"]),
                    "positive_map": PositiveMap(raw.get("positive_map", PositiveMap.SHIFT)),
                    "levels": tuple(map(tuple, raw.get("levels", ()))),
                }
            )
        except KeyError as error:
            raise CheckpointError(
                f"{CONFIG_FILE} lacks the field {shown(error.args[0])}."
            ) from error
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{CONFIG_FILE} is wrong: {one_line(error)}.") from error


def _check_kinds(raw: Mapping[str, Any]) -> None:
    """Check that the fields made of others are of the kind of JSON that they are read from.

    Raises:
        CheckpointError: One is of another kind.
    """
    kinds: dict[str, type] = dict.fromkeys(("class_names", "levels"), list)
    kinds |= dict.fromkeys(("network", "process", "start"), dict)
    for name, kind in kinds.items():
        if name in raw and not isinstance(raw[name], kind):
            what = "a list" if kind is list else "an object"
            raise CheckpointError(
                f"{CONFIG_FILE} is wrong: {name} must be {what}, got {shown(raw[name])}."
            )


def check_levels(levels: Sequence[float]) -> None:
    """Check the noise levels of a run of leaps; raises ValueError."""
    if not 1 <= len(levels) <= MAX_LEAPS:
        raise ValueError(f"Leaps take 1 to {MAX_LEAPS} noise levels, got {len(levels)}.")
    for level in levels:
        check_float("Each of the levels", level, MIN_NOISE_LEVEL, MAX_NOISE_LEVEL)
    if any(after >= before for before, after in pairwise(levels)):
        raise ValueError(f"The levels must fall, got {shown(levels)}.")


def setting(training: Mapping[str, Any], name: str, otherwise: Setting) -> Setting:
    """A number or a word among the "settings" of a training record.

    `otherwise` where it is missing, or of another kind than that.
    """
    settings = training.get("settings")
    value = settings.get(name) if isinstance(settings, Mapping) else None
    return (
        value
        if isinstance(value, str if isinstance(otherwise, str) else int | float)
        else otherwise
    )


def parse_config(text: str, architecture: str) -> dict[str, Any]:
    """Parse a config.json that describes an `architecture`; returns the fields beside its head.

    Raises:
        CheckpointError: Not JSON, another architecture, or another format version.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{CONFIG_FILE} is not JSON: {one_line(error)}.") from error
    _check_json(raw)
    if not isinstance(raw, dict) or raw.pop("architecture", None) != architecture:
        raise CheckpointError(f"{CONFIG_FILE} does not describe a {architecture!r} network.")
    version = raw.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{CONFIG_FILE} has format version {shown(version)}; this program reads "
            f"{FORMAT_VERSION}; update the program or fetch another revision."
        )
    return raw


def _check_json(raw: Any) -> None:
    """Check that parsed JSON can be walked through and written again.

    Raises:
        CheckpointError: It is nested too deeply, or holds half a surrogate pair.
    """
    level = [raw]
    for _ in range(MAX_DEPTH):
        level = [part for value in level for part in _parts(value)]
    if level:
        raise CheckpointError(f"{CONFIG_FILE} is nested more than {MAX_DEPTH} levels deep.")
    try:
        json.dumps(raw, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise CheckpointError(f"{CONFIG_FILE} holds text that is not valid Unicode.") from error


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
