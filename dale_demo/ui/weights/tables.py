"""Tables of the page Weights: the numbers of a network, of its layers, and of what changed."""

import math
from collections.abc import Sequence

from dale_demo.drawing.markdown import number, plain, table
from dale_demo.weights.change_report import POTENTIALS, ChangeReport, LayerChange
from dale_demo.weights.report import Layer, Report

NUMBER_ROWS = (
    ("synapses", "Weights between two units: tensors of two or more dimensions, or a list."),
    ("excitatory", "Share of w > 0 among the weights that have a sign."),
    ("inhibitory", "Share of w < 0; in a network without Dale’s law, about half."),
    ("zero", "Weights of exactly 0; they have no logarithm and are left out of the fits."),
    ("ln\\|w\\|, mean ± s.d.", "The width on the log axis; in cortex the s.d. is 0.94."),
    ("skew of ln\\|w\\|", "0 for a log-normal distribution, −1.54 for a normal one around 0."),
    ("KS to log-normal", "Largest gap between distribution functions, the smaller in bold."),
    ("KS to normal", "The same for the normal fit: the smaller of the two is nearer."),
    (
        "likelihood, nats a weight",
        "Log-normal against normal, with its z: above 0 favours log-normal.",
    ),
    ("layers nearer to log-normal", "Of those that could be fitted; each counts once."),
    ("fitted weights", "All that are not 0, or a random sample of them where there are very many."),
    ("biases and norms", "Further numbers of the file: they shift and scale, and are no synapses."),
)
CHANGE_ROWS = (
    ("weights compared", "Those that are finite before and after learning."),
    (
        "signs changed",
        "Weights that ended on the other side of zero, and their share of those that had a sign "
        "before: none under Dale’s law.",
    ),
    (
        "left or reached zero",
        "Weights that were 0 at one of the two times, which has no logarithm.",
    ),
    ("not changed at all", "Weights that learning never reached; they are left out of the test."),
    ("KS, φ = ½w²", "Of the change of w, to a normal distribution: gradient descent’s geometry."),
    (
        "KS, φ = ⅓\\|w\\|³",
        "Of the change of w\\|w\\|, a geometry in which small weights move most.",
    ),
    ("KS, φ = \\|w\\| ln\\|w\\|", "Of the change of ln\\|w\\|: exponentiated gradient’s geometry."),
    ("nearest, by layer", "In how many layers each of the three distances is the smallest."),
)
COLUMNS: tuple[tuple[str, str, str | None], ...] = (
    ("layer", "Name of the tensor in the file.", None),
    ("shape", "Its dimensions.", None),
    ("weights", "How many it holds, zeros included.", "localized"),
    ("excitatory", "Share of the positive weights among those that have a sign.", "percent"),
    ("zero", "Weights that are exactly 0; they have no logarithm and are not fitted.", "localized"),
    ("mean ln|w|", "The median weight is about e to this power.", "%.2f"),
    ("s.d. ln|w|", "Width on the log axis: 0.94 between pyramidal cells of layer 5.", "%.2f"),
    ("skew ln|w|", "0 for a log-normal distribution, −1.54 for a normal one around 0.", "%.2f"),
    (
        "KS log-normal",
        "Largest gap between the weights’ distribution function and the fit’s.",
        "%.3f",
    ),
    ("KS normal", "The same for the normal fit; the smaller of the two is nearer.", "%.3f"),
    ("nearer", "The distribution of the smaller KS distance.", None),
    (
        "likelihood",
        "Log-normal against normal, in nats a weight: above 0 favours log-normal.",
        "%.3f",
    ),
    ("likelier", "What the likelihood favours; empty where its z is under 2.", None),
)
"""Head, meaning and format of each column of the table of layers."""


def numbers(reports: Sequence[Report], layers: Sequence[Layer], titles: Sequence[str]) -> str:
    """A table: a row for each number, a column for each network."""
    columns = [_column(report, layer) for report, layer in zip(reports, layers, strict=True)]
    return _explained(NUMBER_ROWS, titles, columns)


def _column(report: Report, layer: Layer) -> tuple[str, ...]:
    least = ("log-normal", "normal").index(layer.nearer) if layer.nearer else None
    ks = _bold((layer.ks_log_normal, layer.ks_normal), least)
    return (
        f"{layer.count:,}" + _left_out(layer),
        _percent(layer.excitatory_share),
        _percent(1 - layer.excitatory_share),
        f"{layer.zeros:,}",
        f"{_number(layer.log_mean, '.2f')} ± {_number(layer.log_std, '.2f')}",
        _number(layer.log_skew, "+.2f"),
        *ks,
        f"{_number(layer.likelihood, '+.3f')} ({_number(layer.z, '+.0f')})",
        f"{report.nearer_log_normal} of {report.fitted_layers}",
        f"{layer.fitted:,}" + (", a sample" if layer.fitted < layer.signed else ""),
        f"{report.others:,}",
    )


def _left_out(layer: Layer) -> str:
    parts = [
        f"{layer.unusable:,} NaN or infinite" if layer.unusable else "",
        f"{layer.blank:,} empty cells" if layer.blank else "",
    ]
    said = ", ".join(filter(None, parts))
    return f" ({said} left out)" if said else ""


def layer_rows(report: Report) -> dict[str, list[object]]:
    """The table of layers by column; `None` where a number is not known."""
    rows = [
        (
            layer.name,
            "×".join(map(str, layer.shape)),
            layer.count,
            layer.excitatory_share,
            layer.zeros,
            layer.log_mean,
            layer.log_std,
            layer.log_skew,
            layer.ks_log_normal,
            layer.ks_normal,
            layer.nearer,
            layer.likelihood,
            layer.likelier,
        )
        for layer in report.layers
    ]
    heads = [head for head, _, _ in COLUMNS]
    columns = zip(*rows, strict=True) if rows else ((),) * len(heads)
    return {head: list(map(_known, column)) for head, column in zip(heads, columns, strict=True)}


def changes(found: Sequence[tuple[str, ChangeReport, LayerChange]]) -> str:
    """A table of what changed: a row for each number, a column for each network."""
    columns = [_change_column(report, layer) for _, report, layer in found]
    return _explained(CHANGE_ROWS, [title for title, _, _ in found], columns)


def _explained(
    names: Sequence[tuple[str, str]], titles: Sequence[str], columns: Sequence[tuple[str, ...]]
) -> str:
    """A table in which what a number means stands below its name."""
    rows = [
        (f"{name}: :small[:gray[{meaning}]]", *(column[i] for column in columns))
        for i, (name, meaning) in enumerate(names)
    ]
    return table(("", *map(plain, titles)), rows)


def _change_column(report: ChangeReport, layer: LayerChange) -> tuple[str, ...]:
    counts = report.nearest_counts
    return (
        f"{layer.count:,}",
        f"**{layer.flipped:,}** ({_percent(layer.flipped_share)})",
        f"{layer.from_zero:,}",
        f"{layer.still:,}",
        *_bold(layer.ks, POTENTIALS.index(layer.nearest) if layer.nearest else None),
        f"w {counts['2-norm']}, w\\|w\\| {counts['3-norm']}, ln\\|w\\| {counts['entropy']}",
    )


def _bold(values: Sequence[float], which: int | None) -> tuple[str, ...]:
    """Format distances, one of them in bold."""
    texts = [_number(value, ".3f") for value in values]
    return tuple(f"**{text}**" if i == which else text for i, text in enumerate(texts))


def _number(value: float, spec: str) -> str:
    return number(value, spec) if math.isfinite(value) else "–"


def _percent(share: float) -> str:
    return f"{share:.1%}" if math.isfinite(share) else "–"


def _known(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value
