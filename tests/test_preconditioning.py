"""Preconditioning: unit variances for the network, and the posterior mean where it is silent."""

import pytest
import torch
from torch.testing import assert_close

from dale_demo.preconditioning import Preconditioning
from tests.distributions import normals

MEAN, STD = 0.2, 0.3
AROUND = Preconditioning(MEAN, STD)


@pytest.mark.parametrize("s", [0.01, 0.3, 5.0])
def test_the_network_sees_and_answers_unit_variance(s, generator):
    n, level = 200_000, torch.tensor(s, dtype=torch.float64)
    y0 = MEAN + STD * normals(generator, n)
    u = y0 + s * normals(generator, n)
    assert AROUND.scaled(u, level).var().item() == pytest.approx(1, rel=0.02)
    assert AROUND.scaled(u, level).mean().item() == pytest.approx(0, abs=0.02)
    target = AROUND.target(y0, u, level)
    assert target.var().item() == pytest.approx(1, rel=0.02)
    # Nothing of it can be told from u, where the data are normal: the rest is the network's.
    assert (target * AROUND.scaled(u, level)).mean().item() == pytest.approx(0, abs=0.02)
    if s > STD:  # below it the noise alone decides
        wrong = Preconditioning(MEAN, 2 * STD).target(y0, u, level)
        assert wrong.var().item() != pytest.approx(1, rel=0.1)


def test_the_target_is_the_answer_that_gives_the_data(generator):
    y0, u, s = normals(generator, 5, 4), normals(generator, 5, 4), torch.full((5, 1), 0.7).double()
    assert_close(AROUND.estimate(AROUND.target(y0, u, s), u, s), y0)


def test_without_an_answer_it_is_the_posterior_mean_and_without_noise_the_state(generator):
    u, silent = normals(generator, 6), torch.zeros(6, dtype=torch.float64)
    s = torch.tensor(0.4, dtype=torch.float64)
    # The product of N(ȳ, s_d²) and N(u, s²): precisions add.
    precisions = 1 / STD**2, 1 / 0.4**2
    mean = (precisions[0] * MEAN + precisions[1] * u) / sum(precisions)
    assert_close(AROUND.estimate(silent, u, s), mean)
    loud = 100 * normals(generator, 6)
    assert_close(AROUND.estimate(loud, u, torch.zeros_like(s)), u)
    assert not torch.allclose(AROUND.estimate(loud, u, s), mean)
