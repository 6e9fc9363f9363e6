"""The layers against NumPy, on axes of unequal lengths: on square shapes a wrong axis passes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from ndmixer.layers import (
    DenseOnAxis,
    Layers,
    MLPOnAxis,
    NdMixer,
    ResidualLayers,
    ScalarGate,
    linear_on_axis,
)

RTOL = {"float32": 1e-5, "float64": 1e-12}


def np_dense(x, kernel, bias, axis):
    return np.moveaxis(np.tensordot(x, kernel, (axis, 0)) + bias, -1, axis)


def np_gelu(x):
    # TensorFlow rounds this constant to float32, even when x is float64.
    return x * (1 + erf(x * np.float64(np.float32(np.sqrt(0.5))))) / 2


def np_mlp(x, k1, b1, k2, b2, axis):
    return np_dense(np_gelu(np_dense(x, k1, b1, axis)), k2, b2, axis)


def assert_close(actual, expected, dtype):
    actual = keras.ops.convert_to_numpy(actual)
    assert actual.dtype == dtype
    assert actual.shape == expected.shape
    # Sums of positive and negative numbers: the error is relative to the largest of them.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=RTOL[dtype] * np.abs(expected).max())


def build_random(layer, input_shape, rng):
    """Builds the layer and returns random weights, which it now has, in float64."""
    layer.build(input_shape)
    weights = [rng.normal(size=w.shape).astype(layer.dtype) for w in layer.weights]
    layer.set_weights(weights)
    return [w.astype("float64") for w in weights]


@st.composite
def cases(draw):
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=6, unique=True))
    axis = draw(st.integers(1, len(lengths)))
    dtype = draw(st.sampled_from(list(RTOL)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = rng.normal(size=(draw(st.integers(1, 3)), *lengths)).astype(dtype)
    return x, axis - draw(st.sampled_from([0, x.ndim])), draw(st.integers(1, 8)), dtype, rng


@settings(deadline=None, max_examples=40)
@given(cases())
def test_dense_and_linear_on_axis(case):
    x, axis, units, dtype, rng = case
    layer = DenseOnAxis(units, axis, dtype=dtype)
    kernel, bias = build_random(layer, x.shape, rng)
    expected = np_dense(x.astype("float64"), kernel, bias, axis)
    assert_close(layer(x), expected, dtype)
    assert_close(linear_on_axis(x, kernel.astype(dtype), bias.astype(dtype), axis), expected, dtype)
    expected = np_dense(x.astype("float64"), kernel, 0, axis)
    assert_close(linear_on_axis(x, kernel.astype(dtype), axis=axis), expected, dtype)


@pytest.mark.parametrize("ndim", [3, 4, 5])
def test_the_bias_keeps_to_its_axis_on_square_shapes(ndim):
    """Where all lengths agree, `keras.ops.add(y, bias)` may take another axis."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(4,) * ndim).astype("float32")
    kernel, bias = rng.normal(size=(4, 4)).astype("float32"), rng.normal(size=4).astype("float32")
    for axis in range(1, ndim):
        expected = np_dense(x, kernel, bias, axis)
        assert_close(linear_on_axis(x, kernel, bias, axis), expected, "float32")
        inputs = keras.Input(x.shape[1:])
        model = keras.Model(inputs, linear_on_axis(inputs, kernel, bias, axis))
        assert_close(model(x), expected, "float32")


@settings(deadline=None, max_examples=40)
@given(cases(), st.one_of(st.none(), st.integers(1, 9)))
def test_mlp_on_axis(case, hidden_size):
    x, axis, units, dtype, rng = case
    layer = MLPOnAxis(units, axis, hidden_size, dtype=dtype)
    weights = build_random(layer, x.shape, rng)
    assert weights[0].shape == (x.shape[axis], hidden_size or units)
    assert_close(layer(x), np_mlp(x.astype("float64"), *weights, axis), dtype)


@pytest.mark.parametrize("dtype", RTOL)
@pytest.mark.parametrize("lengths", [(5,), (5, 3), (2, 5, 3), (4, 1, 5, 2, 3, 6)])
@pytest.mark.parametrize(("net", "gate"), [("mlp", True), ("dense", False)])
def test_nd_mixer(lengths, net, gate, dtype):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, *lengths)).astype(dtype)
    layer = NdMixer([n + 2 for n in reversed(lengths)], net=net, gate=gate, dtype=dtype)
    weights = build_random(layer, x.shape, rng)
    expected, one_axis, step = (
        x.astype("float64"),
        *((np_mlp, 4) if net == "mlp" else (np_dense, 2)),
    )
    for axis in range(1, x.ndim):
        expected = one_axis(expected, *weights[:step], axis)
        weights = weights[step:]
    if gate:
        expected = expected * weights.pop()
    assert weights == []
    assert_close(layer(x), expected, dtype)


def test_scalar_gate():
    gate = ScalarGate(dtype="float64")
    (value,) = build_random(gate, (None, 3), np.random.default_rng(2))
    x = np.arange(6.0).reshape(2, 3)
    assert_close(gate(x), x * value, "float64")


@pytest.mark.parametrize("residual", [False, True])
def test_block_lists(residual):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 4, 3))
    blocks = [DenseOnAxis(n, axis, dtype="float64") for axis, n in ((1, 4), (2, 3), (1, 4))]
    layer = (ResidualLayers if residual else Layers)(blocks, dtype="float64")
    weights = build_random(layer, x.shape, rng)
    expected = x
    for i, axis in enumerate((1, 2, 1)):
        expected = np_dense(expected, *weights[2 * i : 2 * i + 2], axis) + residual * expected
    assert_close(layer(x), expected, "float64")


@pytest.mark.parametrize("cls", [Layers, ResidualLayers])
def test_an_empty_block_list_is_the_identity(cls):
    x = np.arange(6, dtype="float32").reshape(2, 3)
    np.testing.assert_array_equal(cls([])(x), x)


def test_a_dropout_block_sees_the_training_flag():
    x = np.ones((2, 50), "float32")
    layer = Layers([keras.layers.Dropout(0.5)])
    np.testing.assert_array_equal(layer(x, training=False), x)
    assert np.any(keras.ops.convert_to_numpy(layer(x, training=True)) == 0)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("axis", [1, 13, 25])
def test_25_axes_forward_and_gradient(mode, axis):
    rng = np.random.default_rng(4)
    shape = [2, *(2 if i % 4 == 1 else 1 for i in range(1, 26))]
    shape[axis] = 3
    x = rng.normal(size=shape).astype("float32")
    kernel, bias = rng.normal(size=(3, 5)).astype("float32"), rng.normal(size=5).astype("float32")
    expected = np_dense(x, kernel, bias, axis)
    upstream = rng.normal(size=expected.shape).astype("float32")

    def step(x, kernel, bias, upstream):
        with tf.GradientTape() as tape:
            tape.watch((x, kernel, bias))
            y = linear_on_axis(x, kernel, bias, axis)
        return y, *tape.gradient(y, (x, kernel, bias), output_gradients=upstream)

    if mode != "eager":
        step = tf.function(step, jit_compile=mode == "xla")
    y, dx, dkernel, dbias = step(*map(tf.constant, (x, kernel, bias, upstream)))
    rows = np.moveaxis(upstream, axis, -1).reshape(-1, 5)
    assert_close(y, expected, "float32")
    assert_close(dx, np_dense(upstream, kernel.T, 0, axis), "float32")
    assert_close(dkernel, np.moveaxis(x, axis, -1).reshape(-1, 3).T @ rows, "float32")
    assert_close(dbias, rows.sum(0), "float32")


def test_nd_mixer_with_25_axes():
    rng = np.random.default_rng(5)
    lengths = [2 if i % 5 == 0 else 1 for i in range(25)]
    x = rng.normal(size=(2, *lengths)).astype("float32")
    layer = NdMixer([3 - n for n in lengths[:8]] + lengths[8:], net="dense", gate=False)
    weights = build_random(layer, x.shape, rng)
    expected = x.astype("float64")
    for i in range(25):
        expected = np_dense(expected, weights[2 * i], weights[2 * i + 1], i + 1)
    assert_close(layer(x), expected, "float32")
