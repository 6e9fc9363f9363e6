"""Single pieces of the compiled code against NumPy and SciPy."""

import numpy as np
import pytest
from scipy.special import erf, expit

from ndmixer.kernels import step


def slope(function, x):
    return (function(x + 1e-6) - function(x - 1e-6)) / 2e-6


ORACLES = {
    "gelu": lambda x: x * 0.5 * (1 + erf(x / np.sqrt(2))),
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x * expit(x),
    "tanh": np.tanh,
}


@pytest.mark.parametrize("name", ORACLES)
def test_activations_and_their_derivatives(name):
    x = np.linspace(-30, 30, 40 * step.LANES).astype(np.float32)
    work = np.concatenate([x, np.zeros_like(x)])
    step.activate(step.ACTIVATIONS.index(name), work, 0, len(x), len(x) // step.LANES)
    exact = x.astype(float)
    np.testing.assert_allclose(work[: len(x)], ORACLES[name](exact), rtol=3e-7, atol=3e-7)
    np.testing.assert_allclose(work[len(x) :], slope(ORACLES[name], exact), atol=3e-6)


@pytest.mark.parametrize("name", ORACLES)
def test_activations_pass_on_what_is_no_number(name):
    work = np.full(2 * step.LANES, np.nan, np.float32)
    step.activate(step.ACTIVATIONS.index(name), work, 0, step.LANES, 1)
    assert np.isnan(work[: step.LANES]).all()
