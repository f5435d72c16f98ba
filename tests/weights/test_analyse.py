"""Reports on weights: counts, fits and histograms against scipy, sampling, what has no fit."""

import csv
import io

import numpy as np
import pytest
from scipy import stats

from dale_demo.weights import analyse as module
from dale_demo.weights.analyse import Pool, analyse, chosen, histogram
from dale_demo.weights.reference import log_normal_density, normal_density, song_density
from dale_demo.weights.report import EDGES, NUMBERS, Layer, Report
from dale_demo.weights.tensors import WeightsError, of_arrays


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def log_normal(random, shape, log_mean=-2.0, log_std=0.8, positive=0.7):
    signs = np.where(random.random(shape) < positive, 1, -1)
    return signs * np.exp(random.normal(log_mean, log_std, shape))


def report(**arrays: np.ndarray) -> Report:
    return analyse(of_arrays(arrays))


def test_counts_and_fits_are_those_of_scipy(random):
    w = log_normal(random, (60, 50))
    w[0, :5] = 0, -0.0, np.nan, np.inf, -np.inf
    layer = report(w=w, b=np.ones(50)).layers[0]
    kept = w[np.isfinite(w) & (w != 0)]
    assert (layer.name, layer.shape) == ("w", (60, 50))
    assert (layer.excitatory, layer.inhibitory) == ((kept > 0).sum(), (kept < 0).sum())
    assert (layer.zeros, layer.unusable, layer.count) == (2, 3, 2997)
    assert layer.fitted == layer.signed == layer.counts.sum() == len(kept)
    logs = np.log(np.abs(kept))
    assert layer.log_mean == pytest.approx(logs.mean())
    assert layer.log_std == pytest.approx(logs.std())
    assert layer.log_skew == pytest.approx(stats.skew(logs))
    ks = stats.kstest(logs, stats.norm(logs.mean(), logs.std()).cdf).statistic
    assert layer.ks_log_normal == pytest.approx(ks)
    ks = stats.kstest(kept, stats.norm(kept.mean(), kept.std()).cdf).statistic
    assert layer.ks_normal == pytest.approx(ks)
    theory, sample = layer.quantiles[0]
    np.testing.assert_allclose(theory[49], logs.mean(), rtol=1e-6)
    np.testing.assert_allclose(sample[49], np.median(logs), rtol=1e-6)


@pytest.mark.parametrize("name", ["log-normal", "normal"])
def test_each_distribution_is_told_from_the_other(random, name):
    w = log_normal(random, (100, 50)) if name == "log-normal" else random.normal(size=(100, 50))
    layer = report(w=w).layers[0]
    assert (layer.nearer, layer.likelier) == (name, name)
    assert layer.log_skew == pytest.approx({"log-normal": 0, "normal": -1.54}[name], abs=0.15)


def test_the_histogram_is_numpy_s_and_counts_what_lies_outside(random):
    sizes = np.exp(random.normal(-3, 2, 5000))
    np.testing.assert_array_equal(histogram(sizes), np.histogram(sizes, EDGES)[0])
    outside = histogram(np.array([1e-300, 1e-12, 1e300]))
    assert (outside[0], outside[-1], outside.sum()) == (2, 1, 3)


def test_all_synapses_together_and_what_is_not_among_them(random):
    found = report(
        a=log_normal(random, (30, 40)),
        mask=np.tril(np.ones((9, 9))),
        b=random.normal(size=(10, 10, 2)),
        bias=np.ones(40),
        empty=np.ones((0, 3)),
    )
    assert [layer.name for layer in found.layers] == ["a", "mask", "b"]
    assert found.constant == ("mask",)
    assert found.others == 40
    assert found.whole.count == found.whole.fitted == 1200 + 200
    assert found.fitted_layers == 2
    assert found.nearer_log_normal == 1
    np.testing.assert_array_equal(
        found.whole.counts, found.layers[0].counts + found.layers[2].counts
    )
    assert found.find("b") is found.layers[2]
    assert found.find("none") is found.whole


@pytest.mark.parametrize(
    "w",
    [
        np.zeros((3, 3)),
        np.full((3, 3), -2.0),
        np.array([[1.0, -1.0]] * 5),
        np.full((2, 2), np.nan),
        np.array([[1e308, -1e308], [1e307, 1e306]]),
        np.array([[1.0, 2.0]]),
    ],
)
def test_what_cannot_be_fitted_is_counted_all_the_same(w):
    found = report(w=w)
    (layer,) = found.layers
    assert layer.fitted == 0
    assert layer.count + layer.unusable == w.size
    assert np.isnan([layer.log_mean, layer.ks_normal, layer.z]).all()
    assert (layer.nearer, layer.likelier) == ("", "")
    assert found.fitted_layers == 0


def test_nothing_to_look_at_is_a_sentence():
    with pytest.raises(WeightsError, match="no weights in it"):
        report(bias=np.ones((0, 3)))


def test_very_many_weights_are_fitted_by_a_random_sample(random, monkeypatch):
    monkeypatch.setattr(module, "FITTED_WHOLE", 10_000)
    monkeypatch.setattr(module, "SAMPLED", 4_000)
    w = log_normal(random, (2000, 300))
    few = log_normal(random, (80, 100))
    found = report(w=w, few=few)
    large, small = found.layers
    assert 3_500 < large.fitted < 4_000
    assert small.fitted == 8_000
    assert large.count == large.counts.sum() == 600_000, "counts are of all"
    error = 4 * 0.8 / np.sqrt(large.fitted)
    assert large.log_mean == pytest.approx(np.log(np.abs(w)).mean(), abs=error)
    assert 1_000 < found.whole.fitted <= 10_000
    assert found == report(w=w, few=few), "the sample is the same every time"


def test_a_sample_is_spread_over_the_whole_tensor():
    indices = chosen("w", 10**7)
    assert len(indices) == len(set(indices)) > 0.95 * module.SAMPLED
    assert np.histogram(indices, 10, (0, 10**7))[0].min() > 0.09 * len(indices)
    assert not np.array_equal(indices, chosen("v", 10**7))
    assert chosen("w", 10**6) is None


def test_the_pool_gives_every_weight_the_same_chance(random, monkeypatch):
    monkeypatch.setattr(module, "FITTED_WHOLE", 20_000)
    pool = Pool()
    for value, count in ((1, 15_000), (2, 200_000), (3, 5_000), (4, 80_000)):
        pool.add(np.full(min(count, 20_000), float(value)), count)
    shares = np.bincount(pool.weights.astype(int))[1:] / len(pool.weights)
    assert len(pool.weights) <= 20_000
    np.testing.assert_allclose(shares, np.array([15, 200, 5, 80]) / 300, atol=0.012)


def test_a_pool_of_few_weights_holds_all():
    pool = Pool()
    pool.add(np.arange(5.0), 5)
    pool.add(np.empty(0), 0)
    pool.add(np.arange(3.0), 3)
    assert list(pool.weights) == [0, 1, 2, 3, 4, 0, 1, 2]


def test_a_report_survives_being_stored(random):
    found = report(a=log_normal(random, (30, 40)), b=random.normal(size=(9, 9)), c=np.ones(3))
    again = Report.from_arrays(found.arrays())
    assert again == found
    for one, other in zip((*again.layers, again.whole), (*found.layers, found.whole), strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        np.testing.assert_allclose(one.quantiles, other.quantiles)
    assert {type(getattr(again.whole, name)) for name in NUMBERS} == {int, float}


def test_the_table_of_layers():
    found = Report((Layer("=1+1", (2, 3), excitatory=4, log_mean=-1.25),), Layer(""))
    first, last = csv.DictReader(io.StringIO(found.csv()))
    assert first["layer"] == "'=1+1", "no formula for a spreadsheet"
    assert (first["shape"], first["weights"], first["log_mean"]) == ("2×3", "4", "-1.25")
    assert (last["layer"], last["z"], last["nearer"]) == ("", "", "")


def test_densities_integrate_to_one_and_are_those_of_scipy():
    y = np.linspace(-12, 8, 20_001)
    assert np.trapezoid(song_density(y), y) == pytest.approx(1)
    assert np.trapezoid(log_normal_density(y, -1, 1), y) == pytest.approx(1)
    both = normal_density(y, 0.3, 0.8, 1) + normal_density(y, 0.3, 0.8, -1)
    assert np.trapezoid(both, y) == pytest.approx(1, abs=1e-4)
    w = np.exp(y)
    np.testing.assert_allclose(song_density(y), w * 0.426 / w * np.exp(
        -((y + 0.702) ** 2) / (2 * 0.9355**2)), rtol=2e-3, err_msg="as published")  # fmt: skip
    song = stats.lognorm(0.9355, scale=np.exp(-0.702))
    np.testing.assert_allclose(song_density(y), w * song.pdf(w), rtol=1e-9)
    assert (round(song.mean(), 2), round(song.median(), 2)) == (0.77, 0.5)
