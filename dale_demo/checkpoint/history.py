"""The training history of a model as Markdown, from the records of its runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dale_demo.checkpoint.config import setting
from dale_demo.drawing.markdown import clock, fenced, plain, text_table
from dale_demo.network import MAX_NOISE_LEVEL

CURVE_ROWS = 12


def training_section(record: Mapping[str, Any]) -> str:
    """Render the record of a training run, after those of the runs before it.

    Args:
        record: See `CheckpointConfig.training`.
    """
    if "command" not in record:
        return "Not recorded."
    run = "\n\n".join(_run(record))
    if before := record.get("before"):
        return f"{training_section(before)}\n\nThen, from the weights of that run:\n\n{run}"
    return run


def _run(record: Mapping[str, Any]) -> Iterator[str]:
    """The paragraphs about one run."""
    yield from _code(record)
    guidance = setting(record, "guidance", 1)
    if guidance != 1:
        yield _teacher(record, guidance)
    if about := _DISTILLATION.get(setting(record, "recipe", "edm")):
        yield about
    yield fenced(record["command"], "bash")
    rows = [("Hardware", record.get("hardware", "not recorded"))]
    if "images" in record:
        rows.append(("Images seen", f"{record['images']:,}"))
    if "held_out" in record:
        rows.append(("Held out for testing", f"{record['held_out']:,} images, a random tenth"))
    if "seconds" in record:
        rows.append(("Time (h:mm)", clock(record["seconds"])))
    if setting(record, "rule", "adam") == "eg":
        rows.append(("Learning rule", _EXPONENTIATED))
    yield text_table(("", ""), rows)
    if record.get("synapses"):
        yield _synapses(record["synapses"])
    if record.get("loss_curve"):
        yield _curve(record["loss_curve"], _loss(record, guidance))
    if record.get("notes"):
        yield str(record["notes"])


def _code(record: Mapping[str, Any]) -> Iterator[str]:
    """Which code made a run with options that were removed since.

    `--pictures`, `--towards` and `--fine-guidance` left "made", "towards" and a setting in the
    record; "code" was added by hand.
    """
    if code := record.get("code"):
        yield f"Trained by the code of commit {plain(code)}, {_REMOVED}"
    elif record.get("made") or record.get("towards") or setting(record, "fine_guidance_below", 0):
        yield f"Trained by earlier code, {_REMOVED}"
    if record.get("made"):
        yield "The images of this run were not the data set's own but sampled from a network."


def _teacher(record: Mapping[str, Any], guidance: float) -> str:
    below = setting(record, "guidance_below", MAX_NOISE_LEVEL)
    levels = f" at noise levels up to {below:g}" if below < MAX_NOISE_LEVEL else ""
    text = _THREE_NETWORKS if record.get("towards") else _TWO_NETWORKS
    direction = "away from" if guidance > 1 else "back towards"
    return text.format(direction=direction, guidance=guidance, levels=levels)


def _synapses(found: Mapping[str, Any]) -> str:
    """What training has done to the synapses, from what `training.synapses` records."""
    parts = [
        f"**{found['changed_sign']:,} of {found['signed']:,} synapses changed sign** since they "
        f"were drawn. The network has {found['count']:,} synapses, the numbers of its convolutions "
        f"and linear maps, and {found['others']:,} other parameters, biases and norms. "
        f"{found['layers_log_normal']} of {found['layers']} layers are nearer to a log-normal than "
        "to a normal distribution (by the Kolmogorov–Smirnov distance, KS)."
    ]
    if "end" in found:
        columns = ("log_mean", "log_std", "log_skew", "ks_log_normal", "ks_normal")
        heads = ("Synapses", "Mean of ln|w|", "S.d.", "Skewness", "KS to log-normal", "to normal")
        rows = (
            (title, *(f"{found[name][column]:.3f}" for column in columns))
            for title, name in (("As drawn", "start"), ("Trained", "end"))
        )
        parts.append(text_table(heads, rows))
    if "nearest" in found:
        distances = found["change"].items()
        listed = ", ".join(f"{_SPACES[name]} {distance:.3f}" for name, distance in distances)
        parts.append(
            f"The change since then is nearest to normal in {_SPACES[found['nearest']]} (KS: "
            f"{listed}), which tells [the geometry of the learning rule]({_GEOMETRY}); where signs "
            "changed, ln|w| is ruled out."
        )
    return "\n\n".join(parts)


def _loss(record: Mapping[str, Any], guidance: float) -> str:
    """What kind of loss a run minimised."""
    if guidance != 1:
        return "M-ESM, preconditioned; 0 is the teacher's own score"
    recipe = setting(record, "recipe", "edm")
    if recipe == "consistency":
        return "consistency; 0 where every state is taken to the end of its trajectory"
    if recipe == "matching":
        return "half the mean square of the step that each image is told to take"
    if recipe == "paper":
        return "M-DSM as in the paper: mean squared error of ln x₀, t uniform"
    return "M-DSM, preconditioned; 1 is no better than the data's mean"


def _curve(curve: Sequence[tuple[int, float]], loss: str) -> str:
    """The loss at about a dozen points, and what kind of loss it is."""
    points = curve[:: -(-len(curve) // CURVE_ROWS)]
    if points[-1] != curve[-1]:
        points = [*points, curve[-1]]
    rows = ((f"{seen:,}", f"{value:.4f}") for seen, value in points)
    return f"Loss ({loss}):\n\n" + text_table(("Images seen", "Loss"), rows)


_EXPONENTIATED = (
    "exponentiated gradient along Adam's direction for the synapses, Adam for biases and norms"
)
_SPACES = {"2-norm": "w", "3-norm": "w|w|", "entropy": "ln|w|"}
"""The variable to which a learning rule adds its steps, by the name of its potential."""
_GEOMETRY = "https://arxiv.org/abs/2305.19394"

_REMOVED = "which had options that later versions lack."

_TWO_NETWORKS = """\
This run learned from a teacher, not from the data's own ln x₀. The teacher is a trained network,
guided {direction} a weaker one with w = {guidance:g}{levels}
([autoguidance](https://arxiv.org/abs/2406.02507)). It takes two network evaluations for each score;
the network that has learned the same score takes one."""
_DISTILLATION = {
    "consistency": """\
This run distilled a teacher, the network that it started from: from a noised image it followed the
teacher's probability flow a little down, and brought its own estimates at both ends together
([consistency models](https://arxiv.org/abs/2303.01469)). Its estimate is therefore not the mean of
all images that a state may come from, but one of them.""",
    "matching": """\
This run distilled a teacher, the network that it started from, by the distribution of its images: a
second network learned the score of the images that this one makes, and every image took a step
along the difference between the teacher's score and that one
([distribution matching](https://arxiv.org/abs/2311.18828)). Its estimate is therefore not the mean
of all images that a state may come from, but one of them.""",
}
_THREE_NETWORKS = """\
This run learned from a teacher, not from the data's own ln x₀. The teacher is a trained network, to
whose score w − 1 times the difference between the scores of a better and a weaker network is added,
w = {guidance:g}{levels}. It takes three network evaluations for each score; the network that has
learned the same score takes one."""
