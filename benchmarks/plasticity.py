"""Exponentiated gradient against gradient descent: measured results beside expected values.

    python -m benchmarks.plasticity            # all but the largest
    python -m benchmarks.plasticity --quick    # those that take seconds

Expected values come from earlier small experiments, whose settings are met as far as they are
known; the tasks name the sources of the experiments. Each number is the mean over the seeds. "Best"
rates are searched on validation examples at the first seed, and every trial is printed.
"""

import os
import statistics as std
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import click
import torch

from benchmarks.shared import device_option
from dale_demo.data import ROOT_VARIABLE
from dale_demo.drawing.markdown import text_table
from dale_demo.hardware import hardware
from dale_demo.plasticity import (
    CorrelatedRegression,
    Digits,
    Experiment,
    OnlineRegression,
    RelevantInputs,
    Rule,
    RuleState,
    ScoreNetwork,
    Trial,
    statistics,
)
from dale_demo.plasticity.pruning import SHARES
from dale_demo.plasticity.tasks import Task

Measure = Callable[[Experiment, str, RuleState], float]
EG, GD, CONSTRAINED = Rule("eg"), Rule("gd"), Rule("sign-constrained")


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Args:
        name: What is measured.
        rule: Label of the rule.
        measure: Computes it from a finished run.
        expected: Value of the earlier experiments; None where there is none.
        form: Format of both numbers.
    """

    name: str
    rule: str
    measure: Measure
    expected: float | None = None
    form: str = ".3f"


@dataclass(frozen=True)
class Benchmark:
    """A task, its learning rules, and what to measure.

    Args:
        title: Heading.
        task: What is learned.
        rules: By label; a rule without a rate is searched.
        results: Rows of the table.
        quick: Takes seconds.
        largest: Takes minutes and gigabytes.
    """

    title: str
    task: Task
    rules: Mapping[str, Rule]
    results: Sequence[Result]
    quick: bool = True
    largest: bool = False


def accuracy(_: Experiment, __: str, state: RuleState) -> float:
    return state.test_accuracy


def relevant_share(_: Experiment, __: str, state: RuleState) -> float:
    return state.relevant_share


def flipped_share(_: Experiment, __: str, state: RuleState) -> float:
    return state.flipped


def cumulative_loss(_: Experiment, __: str, state: RuleState) -> float:
    return state.cumulative_loss


def change_distance(name: str) -> Measure:
    """KS distance to a normal distribution: of the change of all weights, "w", or of all ln|w|."""

    def measure(experiment: Experiment, label: str, _: RuleState) -> float:
        start, end = experiment.start().double(), experiment.weights(label).double()
        if name == "ln|w|":
            start, end = start.abs().log(), end.abs().log()
        return statistics.fit(end - start, "normal").ks

    return measure


def log_skew(experiment: Experiment, label: str, _: RuleState) -> float:
    return statistics.log_skew(experiment.weights(label))


def pruned_accuracy(amount: float) -> Measure:
    """Test accuracy after the smallest weights, a share `amount` of all, were removed."""
    return lambda experiment, label, _: experiment.pruning((amount,))[label][0]


def relevant_inputs(
    title: str,
    task: RelevantInputs,
    rules: Mapping[str, Rule],
    expected: Mapping[tuple[str, str], float],
    quick: bool = True,
    largest: bool = False,
) -> Benchmark:
    """GD and EG with test accuracy, share of |w| on relevant inputs and share of flipped signs."""
    measures = {
        "test accuracy": accuracy,
        "|w| on relevant inputs": relevant_share,
        "signs flipped": flipped_share,
    }
    return Benchmark(
        title,
        task,
        rules,
        [
            Result(name, label, measure, expected.get((name, label)))
            for label in rules
            for name, measure in measures.items()
        ],
        quick,
        largest,
    )


def online(inputs: int, relevant: int, gd: float, eg: float, tuned: bool = False) -> Benchmark:
    """Cumulative loss of GD at 1/(4N) and EG± at 1/U², U = k; or both at the best rates."""
    options = {"total": float(relevant)}
    rules = {
        "GD": Rule("gd", None if tuned else 1 / (4 * inputs)),
        "EG±": Rule("eg", None if tuned else 1 / relevant**2, options),
    }
    how = "best rates" if tuned else "fixed rates"
    return Benchmark(
        f"Online regression, N = {inputs}, k = {relevant}, {how}",
        OnlineRegression(inputs=inputs, relevant=relevant),
        rules,
        [
            Result("cumulative loss", "GD", cumulative_loss, gd, ",.0f"),
            Result("cumulative loss", "EG±", cumulative_loss, eg, ",.0f"),
        ],
        quick=inputs <= 500,
    )


SMALL = RelevantInputs()
FULL = RelevantInputs(relevant=100, threshold=50, examples=10_000, epochs=30)
SMALL_EXPECTED = {
    ("test accuracy", "GD"): 0.758,
    ("|w| on relevant inputs", "GD"): 0.11,
    ("signs flipped", "GD"): 0.32,
    ("test accuracy", "EG"): 0.993,
    ("|w| on relevant inputs", "EG"): 0.98,
    ("signs flipped", "EG"): 0.0,
}


def full(inputs: int, gd: float, eg: float, rates: Sequence[float] = ()) -> Benchmark:
    """With the best rates; or with the rates given, which reproduce the expected values."""
    rules = {"GD": GD, "EG": EG}
    if rates:
        rules = {"GD": Rule("gd", rates[0]), "EG": Rule("eg", rates[1])}
    expected = {("test accuracy", "GD"): gd, ("test accuracy", "EG"): eg}
    return relevant_inputs(
        f"50 of 100 among {inputs:,}, {'fixed' if rates else 'best'} rates",
        replace(FULL, inputs=inputs),
        rules,
        expected,
        quick=False,
        largest=inputs > 2000,
    )


def geometry(start: str) -> Benchmark:
    """KS distances of the change to a normal distribution; a normal start leaves ln|w| skewed."""
    expected = {("w", "GD"): 0.005, ("ln|w|", "GD"): 0.18, ("w", "EG"): 0.1, ("ln|w|", "EG"): 0.005}
    results = [
        Result(f"KS distance, change of {name}", label, change_distance(name), value)
        for (name, label), value in expected.items()
    ]
    if start == "normal":
        results.append(Result("skew of ln|w| at the end", "EG", log_skew, -1.56, ".2f"))
    return Benchmark(
        f"Geometry, {start} start",
        CorrelatedRegression(start=start),
        {"GD": Rule("gd", 0.001), "EG": Rule("eg", 0.05)},
        results,
    )


def digits(data: str, signs: str, epochs: int, rates: Mapping[str, float | None]) -> Benchmark:
    """Accuracy, before and after pruning."""
    rules = {
        "GD": Rule("gd", rates["GD"]),
        "sign-constrained": Rule("sign-constrained", rates["sign-constrained"]),
        "EG": Rule("eg", rates["EG"]),
    }
    measures = [
        (f"test accuracy, {amount:.0%} pruned", pruned_accuracy(amount)) for amount in SHARES[1:]
    ]
    return Benchmark(
        f"Digits, {data}, signs by {signs}, {epochs} epochs",
        Digits(data=data, signs=signs, epochs=epochs),
        rules,
        [
            *(Result("test accuracy", label, accuracy) for label in rules),
            *(Result(name, label, measure) for name, measure in measures for label in rules),
        ],
        quick=False,
    )


def score_network() -> Benchmark:
    """Held-out M-DSM loss, signs and weights of a small score network, at the page's rates."""
    task, momentum = ScoreNetwork(), {"momentum": 0.9}
    rules = {
        "GD": Rule("gd", task.rates["gd"], momentum),
        "sign-constrained": Rule("sign-constrained", task.rates["sign-constrained"], momentum),
        "EG": Rule("eg", task.rates["eg"], momentum),
        "Adam": Rule("adam", task.rates["adam"]),
        "EG-Adam": Rule("eg-adam", task.rates["eg-adam"]),
    }
    measures = {
        "held-out loss": lambda _, __, state: state.test_loss,
        "signs flipped": flipped_share,
        "KS distance to log-normal": lambda _, __, state: state.fits["log-normal"].ks,
        "KS distance to normal": lambda _, __, state: state.fits["normal"].ks,
    }
    results = [
        Result(name, label, measure) for name, measure in measures.items() for label in rules
    ]
    return Benchmark("A score network", task, rules, results, quick=False)


BENCHMARKS = (
    relevant_inputs(
        "10 of 20 among 2,000, fixed rates",
        SMALL,
        {"GD": Rule("gd", 0.01), "EG": Rule("eg", 1.0)},
        SMALL_EXPECTED,
    ),
    relevant_inputs(
        "10 of 20 among 2,000, best rates",
        SMALL,
        {"GD": GD, "sign-constrained": CONSTRAINED, "EG": EG},
        {},
        quick=False,
    ),
    full(200, 0.982, 0.983),
    full(2_000, 0.713, 0.939, rates=(0.0025, 0.125)),
    full(2_000, 0.713, 0.939),
    full(20_000, 0.662, 0.958),
    online(100, 3, 300, 80),
    online(500, 3, 1476, 112),
    online(2_000, 3, 3724, 139),
    online(8_000, 3, 5301, 166),
    online(100, 100, 10_000, 14_672, tuned=True),
    geometry("log-normal"),
    geometry("normal"),
    digits("stored", "columns", 10, {"GD": None, "sign-constrained": None, "EG": None}),
    score_network(),
)
MNIST = (
    digits("mnist", "random", 5, {"GD": 0.4, "sign-constrained": 0.4, "EG": 2.0}),
    digits("mnist", "columns", 5, {"GD": 0.4, "sign-constrained": 0.4, "EG": 2.0}),
)


@click.command(context_settings={"show_default": True})
@click.option("--quick", is_flag=True, help="Only benchmarks that take seconds.")
@click.option("--largest", is_flag=True, help="Also n = 20,000: minutes, and 1.5 GB.")
@click.option("--only", default="", help="Only benchmarks whose title contains this.")
@click.option("--seeds", default="0,1,2", help="Seeds of data, start and order.")
@device_option
def main(quick: bool, largest: bool, only: str, seeds: str, device: str) -> None:
    """Print measured values beside the expected ones."""
    numbers = [int(seed) for seed in seeds.split(",")]
    chosen = [
        b
        for b in (*BENCHMARKS, *(MNIST if ROOT_VARIABLE in os.environ else ()))
        if only in b.title and (b.quick or not quick) and (largest or not b.largest)
    ]
    print(f"Seeds {numbers}; {hardware(device)}", flush=True)
    for benchmark in chosen:
        measure(benchmark, numbers, device)


def measure(benchmark: Benchmark, seeds: Sequence[int], device: str) -> None:
    """Run a benchmark at every seed and print its table."""
    print(f"\n### {benchmark.title}\n", flush=True)
    started, columns, rules = time.monotonic(), [], benchmark.rules
    for seed in seeds:
        experiment = Experiment(benchmark.task, rules, seed=seed, device=device)
        print_trials(experiment)
        rules = experiment.rules
        *_, last = experiment.snapshots(2)
        columns.append(
            [r.measure(experiment, r.rule, last.states[r.rule]) for r in benchmark.results]
        )
    rows = map(row, benchmark.results, zip(*columns, strict=True))
    print(text_table(("Result", "Rule", "Expected", "Measured", "From", "To"), rows))
    rates = ", ".join(f"{label} {rule.learning_rate:.3g}" for label, rule in rules.items())
    print(f"\nLearning rates: {rates}. {time.monotonic() - started:.0f} s.", flush=True)


def row(result: Result, values: Sequence[float]) -> tuple[str, ...]:
    """Name, rule, expected value, and mean, minimum and maximum over the seeds."""
    expected = "" if result.expected is None else format(result.expected, result.form)
    measured = (format(v, result.form) for v in (std.fmean(values), min(values), max(values)))
    return result.name, result.rule, expected, *measured


def print_trials(experiment: Experiment) -> None:
    """Print the search of learning rates, one line for each rule."""
    for label, trials in experiment.trials.items():
        print(f"Search, {label}: {'; '.join(describe(trials))}\n")


def describe(trials: Iterable[Trial]) -> Iterable[str]:
    """Rate → validation loss (accuracy)."""
    for trial in sorted(trials, key=lambda t: t.learning_rate):
        kind = "" if trial.accuracy is None else f" ({trial.accuracy:.3f})"
        yield f"{trial.learning_rate:.3g} → {trial.loss:.4g}{kind}"


if __name__ == "__main__":
    torch.set_num_threads(1)  # the weights are too few to be worth sharing out
    main()
