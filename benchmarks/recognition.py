"""How many class-conditional pictures are recognised as their class, and how long they take.

    python -m benchmarks.recognition --checkpoint mnist --count 2000

Two samplers from noise level 8 without guidance: probability flow in 20 Heun steps, and the bridge
in 40 steps. The judge is the project's classifier of real pictures.
"""

import click
from tqdm import tqdm

from dale_demo.card import hardware
from dale_demo.checkpoint import find_checkpoint, load_checkpoint
from dale_demo.evaluation import evaluate, find_classifier, load_classifier
from dale_demo.sampling import SamplingSettings, cycle_labels

RUNS = (("probability-flow", 20), ("bridge", 40))


@click.command(context_settings={"show_default": True})
@click.option("--checkpoint", default="mnist", help="Name of a bundled network, or a folder.")
@click.option("--count", default=2000, help="Pictures for each sampler.")
@click.option("--device", default="cpu", help="Where to compute.")
def main(checkpoint: str, count: int, device: str) -> None:
    """Print a table of the recognised shares."""
    network = load_checkpoint(find_checkpoint(checkpoint), device)
    judge = load_classifier(find_classifier(network.config.dataset), device)
    labels = cycle_labels(range(len(network.config.class_names)), count)
    print(f"{count} pictures each; {hardware(device)}\n")
    print("| sampler | steps | calls | recognised | 95 % interval | seconds |")
    print("|---|---|---|---|---|---|")
    for sampler, steps in RUNS:
        settings = SamplingSettings(sampler=sampler, steps=steps, labels=labels)
        with tqdm(unit="step", leave=False) as bar:
            record = evaluate(network, judge, settings, watch=lambda _, bar=bar: bar.update())
        result = record["class_accuracy"]
        low, high = result["interval"]
        print(
            f"| {sampler} | {steps} | {record['calls']} | {result['share']:.2%} "
            f"| {low:.2%} to {high:.2%} | {record['seconds']:.1f} |"
        )


if __name__ == "__main__":
    main()
