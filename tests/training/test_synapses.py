"""Synapses: how they are drawn, and that exponentiated gradient leaves every sign as it was."""

import copy
import dataclasses
import math

import pytest
import torch
from torch.testing import assert_close

from dale_demo.checkpoint.card import model_card
from dale_demo.checkpoint.folder import load_checkpoint
from dale_demo.network import Denoiser, UNetConfig
from dale_demo.plasticity import statistics
from dale_demo.training.config import TrainingConfig
from dale_demo.training.continuation import continued
from dale_demo.training.initial import drawn_network, initial_model
from dale_demo.training.run import train
from dale_demo.training.state import STATE_FILE
from dale_demo.training.synapses import (
    ZERO_GAIN,
    draw_synapses,
    sign_changes,
    synapse_record,
    synapses,
)

CONFIG = TrainingConfig(
    images=16 * 30, batch_size=16, warmup=32, ema=0.9, width=16, multipliers=(1, 2), seed=4
)
EG = dataclasses.replace(CONFIG, rule="eg")


def run(data, out, config, reports=None, **options):
    """Train on the CPU, to the end or for `reports` reports of ten steps."""
    progress = train(data, out, config, report_every=10, cpu=True, **options)
    for report, _ in enumerate(progress, 1):
        if report == reports:
            progress.close()
    return load_checkpoint(out)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, halves):
    """The same network trained by both rules, the drawn start the same, and a third as usual."""
    settings = {
        "eg": EG,
        "adam": dataclasses.replace(CONFIG, magnitudes="log-normal"),
        "usual": CONFIG,
    }
    folder = tmp_path_factory.mktemp("rules")
    record = {"command": "train"}
    return {n: run(halves, folder / n, config, record=record) for n, config in settings.items()}


def drawn(magnitudes, signs="random") -> tuple[Denoiser, Denoiser]:
    """A network as PyTorch starts it, and with its synapses drawn."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        usual = Denoiser(UNetConfig(width=32, multipliers=(1, 2)))
    model = Denoiser(usual.config)
    model.load_state_dict(usual.state_dict())
    draw_synapses(model, magnitudes, signs, torch.Generator().manual_seed(1))
    return usual, model


@pytest.mark.parametrize("magnitudes", ["log-normal", "half-normal"])
def test_drawn_synapses_keep_the_mean_square_of_the_usual_start(magnitudes):
    usual, model = drawn(magnitudes)
    for name, weight in synapses(model).items():
        before = synapses(usual)[name].square().mean().item()
        expected = before or ZERO_GAIN**2 / (weight.numel() // len(weight))
        # An average of n squares, of which the log-normal ones have a kurtosis of about 11.
        error = 4 * math.sqrt(11 / weight.numel())
        assert weight.square().mean().item() == pytest.approx(expected, rel=error), name
        assert (weight > 0).float().mean().item() == pytest.approx(0.5, abs=0.12)
    rest = [name for name, _ in model.named_parameters() if name not in synapses(model)]
    assert_close(
        {name: model.get_parameter(name) for name in rest},
        {name: usual.get_parameter(name) for name in rest},
    )


def test_drawn_synapses_have_the_distribution_asked_for():
    w = {name: drawn(name)[1].unet.middle[0].conv1.weight for name in ("log-normal", "half-normal")}
    fits = {
        n: (statistics.fit(v, "log-normal").ks, statistics.fit(v, "normal").ks)
        for n, v in w.items()
    }
    assert fits["log-normal"][0] < 0.01 < 0.05 < fits["log-normal"][1]
    assert fits["half-normal"][1] < 0.01 < 0.05 < fits["half-normal"][0]


def test_a_presynaptic_channel_has_one_sign_by_columns_alone():
    """All weights from an input channel, all positions of its kernels, and all from a label."""
    columns, random = drawn("log-normal", "columns")[1], drawn("log-normal")[1]
    label = columns.unet.embed.label.weight
    for name, weight in synapses(columns).items():
        outgoing = weight if weight is label else weight.movedim(1, 0)
        for model, alike in ((columns, True), (random, False)):
            signs = synapses(model)[name].sign()
            signs = (signs if weight is label else signs.movedim(1, 0)).flatten(1)
            assert bool((signs == signs[:, :1]).all()) == alike, name
        assert len(outgoing.sign().unique()) == 2, name


def test_exponentiated_gradient_changes_no_sign_and_adam_many(trained):
    for rule, checkpoint in trained.items():
        record = checkpoint.config.training["synapses"]
        start = drawn_network(checkpoint.config)
        changed = sign_changes(synapses(start), synapses(checkpoint.model))
        assert record["changed_sign"] == changed
        assert record["count"] + record["others"] == sum(
            p.numel() for p in checkpoint.model.parameters()
        )
        moved = [
            not torch.equal(w, synapses(start)[n]) for n, w in synapses(checkpoint.model).items()
        ]
        assert all(moved), "every tensor has learned"
        if rule == "eg":
            assert changed == 0
        else:
            assert changed > 0.01 * record["signed"]
    assert trained["eg"].config.training["synapses"]["signed"] == record["count"]
    assert trained["usual"].config.training["synapses"]["signed"] < record["count"]


def test_both_rules_start_from_the_same_synapses(trained):
    eg, adam, usual = (drawn_network(trained[n].config) for n in ("eg", "adam", "usual"))
    assert_close(dict(synapses(eg)), dict(synapses(adam)), rtol=0, atol=0)
    assert sign_changes(synapses(eg), synapses(usual)) > 0


def test_the_start_can_be_drawn_again_from_the_record(trained, halves):
    for checkpoint in trained.values():
        settings = checkpoint.config.training["settings"]
        config = TrainingConfig(**settings | {"multipliers": tuple(settings["multipliers"])})
        first, again = initial_model(config, halves), drawn_network(checkpoint.config)
        assert_close(dict(again.named_parameters()), dict(first.named_parameters()))
    unknown = dataclasses.replace(checkpoint.config, training={"settings": {"seed": "x"}})
    assert drawn_network(unknown) is None
    assert drawn_network(dataclasses.replace(unknown, training={})) is None


def test_the_card_tells_what_became_of_the_synapses(trained):
    cards = {name: model_card(checkpoint.config) for name, checkpoint in trained.items()}
    count = trained["eg"].config.training["synapses"]["count"]
    assert f"**0 of {count:,} synapses changed sign**" in cards["eg"]
    assert "exponentiated gradient" in cards["eg"]
    assert "**0 of" not in cards["adam"]
    assert "exponentiated gradient along" not in cards["adam"]


def test_a_further_run_counts_from_the_first_draw(halves, tmp_path):
    run(halves, tmp_path / "net", EG)
    for reports in (1, None):
        network, config = continued(tmp_path / "net", 2 * EG.images, {})
        assert config.rule == "eg"
        last = run(halves, tmp_path / "net", config, reports, initial=network, further=True)
    record = last.config.training["synapses"]
    assert record["changed_sign"] == 0
    assert record == synapse_record(drawn_network(last.config), last.model)
    assert record["start"] == last.config.training["before"]["synapses"]["start"]


def test_a_changed_sign_is_found_in_the_weights_themselves(halves, tmp_path, monkeypatch):
    """The negative control: one synapse turned by hand in the course of a run."""
    progress = train(halves, tmp_path / "net", EG, report_every=10, cpu=True)
    next(progress)
    turned = next(iter(synapses(progress.gi_frame.f_locals["run"].model).values()))
    with torch.no_grad():
        turned.view(-1)[5].neg_()
    with pytest.raises(RuntimeError, match="1 synapses have changed sign"):
        progress.close()
    assert not (tmp_path / "net" / STATE_FILE).exists()


def test_synapses_of_zero_are_refused(trained, halves, tmp_path):
    holed = copy.deepcopy(trained["adam"])
    holed.model.get_parameter("unet.first.weight").data[0, 0, 0, 0] = 0
    with pytest.raises(ValueError, match="1 synapses of the network to start from are zero"):
        run(halves, tmp_path / "net", EG, initial=holed)
    moved = run(halves, tmp_path / "adam", EG, initial=trained["adam"])
    assert moved.config.training["synapses"]["changed_sign"] > 0, "before, by Adam"
