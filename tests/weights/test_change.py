"""What changed between two networks: signs, and the geometry that the change is Gaussian in."""

import numpy as np
import pytest
import torch

from dale_demo.plasticity.geometry import MIRROR_MAPS
from dale_demo.plasticity.statistics import dual_gaussianity
from dale_demo.weights import change as module
from dale_demo.weights.change import compare
from dale_demo.weights.change_report import POTENTIALS, ChangeReport
from dale_demo.weights.tensors import WeightsError, of_arrays


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.fixture
def start(random) -> dict[str, np.ndarray]:
    """Two layers of different scale, and a bias."""
    layers = {
        name: np.exp(random.normal(mean, 0.6, (80, 100))) * random.choice([-1, 1], (80, 100))
        for name, mean in (("a", -3), ("b", 0))
    }
    return layers | {"bias": np.zeros(100)}


def changed(start, rule) -> ChangeReport:
    end = {name: rule(w) if w.ndim > 1 else w + 1 for name, w in start.items()}
    return compare(of_arrays(start), of_arrays(end))


def test_steps_in_the_weights_are_gaussian_in_the_weights(start, random):
    found = changed(start, lambda w: w + 0.5 * np.abs(w).mean() * random.normal(size=w.shape))
    assert [layer.nearest for layer in found.layers] == ["2-norm", "2-norm"]
    assert found.whole.nearest == "2-norm"
    assert found.whole.flipped > 500
    assert found.nearest_counts == {"2-norm": 2, "3-norm": 0, "entropy": 0}


def test_multiplications_are_gaussian_in_the_logarithm_and_change_no_sign(start, random):
    found = changed(start, lambda w: w * np.exp(0.5 * random.normal(size=w.shape)))
    assert [layer.nearest for layer in found.layers] == ["entropy", "entropy"]
    assert (found.whole.nearest, found.whole.flipped) == ("entropy", 0)
    assert found.whole.ks[2] < 0.015 < 0.1 < found.whole.ks[0]


def test_one_changed_sign_rules_the_entropy_out(start, random):
    def rule(w):
        end = w * np.exp(0.5 * random.normal(size=w.shape))
        end[0, 0] *= -1
        return end

    found = changed(start, rule)
    assert found.whole.flipped == 2
    assert found.whole.signed == found.whole.count, "none was 0"
    assert np.argmin(found.layers[0].ks) == 2
    assert {layer.nearest for layer in (*found.layers, found.whole)} == {"2-norm"}


def test_distances_are_those_of_the_learning_rules_page(start, random):
    end = {name: w + 0.01 * random.normal(size=w.shape) for name, w in start.items()}
    (layer, _) = compare(of_arrays(start), of_arrays(end)).layers
    fits = dual_gaussianity(torch.from_numpy(start["a"]), torch.from_numpy(end["a"]))
    assert layer.ks == pytest.approx([fits[name].ks for name in POTENTIALS])
    assert tuple(MIRROR_MAPS) == POTENTIALS
    assert layer.flipped == (start["a"] * end["a"] < 0).sum()


def test_zeros_and_what_is_not_finite(start, random):
    end = {name: w * np.exp(random.normal(size=w.shape)) for name, w in start.items()}
    start["a"][0, :7] = 0
    end["a"][0, 5:10] = 0
    end["a"][1, :4] = np.nan
    start["b"], end["b"] = start["b"].copy(), start["b"].copy()
    layer, still = compare(of_arrays(start), of_arrays(end)).layers
    assert (layer.count, layer.signed) == (7996, 7996 - 7)
    assert (layer.from_zero, layer.used) == (8, 7996 - 10)
    assert layer.still == 2
    assert (still.still, still.used, still.nearest) == (8000, 0, "")
    assert np.isnan(still.ks).all()


def test_too_few_changes_are_not_fitted(start):
    def rule(w):
        end = w.copy()
        end[0, :99] *= 2
        return end

    found = changed(start, rule)
    assert [layer.used for layer in (*found.layers, found.whole)] == [0, 0, 0]
    assert found.whole.still == 2 * (8000 - 99)


@pytest.mark.parametrize("rule", [lambda w: w * 2, lambda w: w + 1])
def test_a_change_that_is_the_same_for_all_is_no_evidence(start, rule):
    """Of positive weights; the rounding of its sums is none either."""
    positive = {name: np.abs(w) for name, w in start.items()}
    assert changed(positive, rule).whole.used == 0
    assert changed(
        positive, lambda w: rule(w) * (1 + np.arange(w.size).reshape(w.shape))
    ).whole.used


def test_layers_of_one_network_only_are_counted(start):
    end = {"a": start["a"] * 2, "b": start["b"].T, "c": start["a"], "bias": start["bias"]}
    found = compare(of_arrays(start), of_arrays(end))
    assert [layer.name for layer in found.layers] == ["a"]
    assert found.unmatched == 3, "b on both sides, and c"
    with pytest.raises(
        WeightsError, match=r"no layer of the same name .* 'a' of shape \(80, 100\)"
    ):
        compare(of_arrays(start), of_arrays({"other": start["a"]}))
    with pytest.raises(WeightsError, match="has no weights"):
        compare(of_arrays({}), of_arrays(start))


def test_large_layers_are_compared_by_the_same_sample(start, random, monkeypatch):
    monkeypatch.setattr(module, "SAMPLED", 3000)
    found = changed(start, lambda w: w * np.exp(0.5 * random.normal(size=w.shape)))
    assert all(2000 < layer.used < 3000 for layer in found.layers)
    assert found.whole.nearest == "entropy"
    assert found.whole.count == 16_000, "signs are of all"
    monkeypatch.setattr(module, "MAX_REMEMBERED", 5000)
    with pytest.raises(WeightsError, match="too large to be compared"):
        changed(start, lambda w: 2 * w)


def test_a_report_survives_being_stored(start, random):
    found = changed(start, lambda w: w + 0.1 * random.normal(size=w.shape))
    again = ChangeReport.from_arrays(found.arrays())
    assert again == found
    np.testing.assert_array_equal(again.whole.quantiles, found.whole.quantiles)
    head, *rows = found.csv().splitlines()
    assert head.endswith("used,ks 2-norm,ks 3-norm,ks entropy,nearest")
    assert [row.split(",")[0] for row in rows] == ["a", "b", ""]
