"""How long a run will take: the size of a network, what is learned from runs, the words."""

import threading

import pytest
import torch
from torch import nn

from dale_demo.network import Attention, Denoiser, UNetConfig
from dale_demo.ui.shared import estimate
from dale_demo.ui.shared.estimate import Estimator, guess, in_words, multiplications, too_long

SMALL = UNetConfig(image_size=8, num_classes=3, width=16, multipliers=(1,))
LARGE = UNetConfig(image_size=48, image_channels=3, width=32, multipliers=(1, 2, 4))


def counted(config: UNetConfig) -> int:
    """Multiplications of one evaluation, counted while the network runs."""
    total = 0

    def count(layer: nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d):
            total += out[0, 0].numel() * layer.weight.numel()
        elif isinstance(layer, Attention):
            total += 2 * out.shape[1] * out[0, 0].numel() ** 2

    model = Denoiser(config)
    for layer in model.modules():
        layer.register_forward_hook(count)
    with torch.inference_mode():
        model(torch.zeros(1, *config.image_shape), torch.ones(1))
    return total


@pytest.mark.parametrize("config", [SMALL, LARGE, UNetConfig(), UNetConfig(multipliers=(2, 4))])
def test_the_size_of_a_network_is_what_it_computes(config):
    assert multiplications(config) == counted(config)


def test_a_network_is_guessed_until_it_has_been_measured():
    estimator = Estimator()
    first = estimator.seconds(LARGE, "cpu", 100, 16)
    assert first == guess(LARGE, "cpu", 100, 16) > 0
    estimator.learn(LARGE, "cpu", 50, 4, 3 * guess(LARGE, "cpu", 50, 4))
    assert estimator.seconds(LARGE, "cpu", 100, 16) == pytest.approx(3 * first)
    assert estimator.seconds(SMALL, "cpu", 100, 16) == guess(SMALL, "cpu", 100, 16)


def test_the_average_follows_later_runs():
    estimator = Estimator()
    once = guess(LARGE, "cpu", 100, 16)
    estimator.learn(LARGE, "cpu", 100, 16, once)
    for _ in range(20):
        estimator.learn(LARGE, "cpu", 100, 16, 4 * once)
    assert estimator.seconds(LARGE, "cpu", 100, 16) == pytest.approx(4 * once, rel=0.01)


@pytest.mark.parametrize(("evaluations", "seconds"), [(0, 5.0), (10, 0.01), (10, 0.0)])
def test_too_little_work_teaches_nothing(evaluations, seconds):
    estimator = Estimator()
    estimator.learn(LARGE, "cpu", evaluations, 16, seconds)
    assert len(estimator) == 0


def test_only_so_many_networks_are_remembered(monkeypatch):
    monkeypatch.setattr(estimate, "NETWORKS", 5)
    estimator = Estimator()
    configs = [UNetConfig(num_classes=n) for n in range(1, 10)]
    threads = [
        threading.Thread(target=estimator.learn, args=(config, "cpu", 10, 4, 1e3))
        for config in configs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(estimator) == 5


def test_a_device_of_another_kind_is_guessed_like_a_cpu():
    assert guess(LARGE, "mps", 10, 4) == guess(LARGE, "cpu", 10, 4) > guess(LARGE, "cuda", 10, 4)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, ""),
        (1.9, ""),
        (2, "about 2 s"),
        (9.4, "about 9 s"),
        (9.6, "about 10 s"),
        (41, "about 40 s"),
        (57, "about 55 s"),
        (58, "about 1 min"),
        (290, "about 5 min"),
        (5400, "about 90 min"),
        (7200, "about 2 h"),
        (1e300, "more than 100 h"),
    ],
)
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words


def test_too_long_is_one_short_sentence():
    choices = ["fewer steps", "fewer repeats", "fewer images", "guidance 1"]
    sentence = too_long(5400, choices)
    assert "about 90 min" in sentence
    assert "choose fewer steps, fewer repeats, fewer images or guidance 1, or" in sentence
    assert "command line" in sentence
    assert len(sentence) <= 300
    assert "choose fewer steps, or" in too_long(5400, ["fewer steps"])
    assert "choose a smaller network, or" in too_long(5400, [])
    assert too_long(estimate.LONGEST_RUN, choices) is None
