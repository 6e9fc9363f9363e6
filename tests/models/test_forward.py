from math import sqrt

import keras
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from ndmixer import ModelSpec, accounting, build_model, stages
from ndmixer.models import forward
from ndmixer.models.forward import gelu
from tests.strategies import model_specs

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def random_weights(spec, seed):
    """No zeros, in gates and biases either; small enough that nothing overflows."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.normal(0.4, 1.0, shape).astype("float32")
        / np.float32(sqrt(shape[0]) if len(shape) == 2 else 2)
        for name, shape in accounting(spec).weights.items()
    }


def keras_stages(spec, weights, images):
    """Every stage, the axes of blocks too, by calling the layers of the built model."""
    model = build_model(spec)
    for variable in model.weights:
        variable.assign(weights[variable.path])
    h, found = images, {"input": images}
    for layer in model.layers[1:]:
        if layer.name.startswith("block_"):
            inner = h
            for net in layer.blocks[0].nets:
                inner = net(inner)
                found[f"{layer.name}/{net.name}"] = inner
        h = layer(h)
        if layer.name != "flat":
            found[layer.name] = h
    np.testing.assert_allclose(h, model(images), rtol=1e-5, atol=1e-6)
    return {name: np.asarray(value) for name, value in found.items()}


@settings(max_examples=30, deadline=None)
@given(model_specs(), st.integers(0, 2**31))
def test_every_stage_is_that_of_the_keras_model(spec, seed):
    weights = random_weights(spec, seed)
    images = np.random.default_rng(seed).normal(size=(3, *spec.in_shape)).astype("float32")
    expected = keras_stages(spec, weights, images)

    found = list(forward(spec, weights, tf.constant(np.moveaxis(images, 0, -1))))

    assert tuple(name for name, _ in found) == stages(spec) == tuple(expected)
    for name, value in found:
        np.testing.assert_allclose(
            np.moveaxis(value.numpy(), -1, 0), expected[name], err_msg=name, **CLOSE
        )


@pytest.mark.parametrize("head", ["mix", "axis_concat"])
def test_twenty_five_axes(head):
    shape = (2, *(1,) * 23, 3)
    spec = ModelSpec(in_shape=shape, repr_shape=shape, depth=1, head=head)
    weights = random_weights(spec, 0)
    images = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    model = build_model(spec)
    for variable in model.weights:
        variable.assign(weights[variable.path])
    flat = images.reshape(2, -1).T.reshape(*shape, 2)
    *_, (_, logits) = forward(spec, weights, tf.constant(flat))
    np.testing.assert_allclose(logits.numpy().T, model(images), **CLOSE)


def test_compiled_it_is_the_same():
    spec = ModelSpec(in_shape=(3, 4), repr_shape=(2, 5), depth=1, hidden_size=4)
    weights = random_weights(spec, 0)
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 4, 6)).astype("float32"))
    compiled = tf.function(
        lambda w, x: [value for _, value in forward(spec, w, x)], jit_compile=True
    )
    for (name, eager), value in zip(forward(spec, weights, x), compiled(weights, x), strict=True):
        np.testing.assert_allclose(value, eager, err_msg=name, **CLOSE)


GELU_POINTS = np.concatenate([np.linspace(-6, 6, 121), [-40, -1e4, -1e30, 40, 1e4, 1e30]])


def exact_gelu(x):
    return x * 0.5 * (1 + scipy.special.erf(x / sqrt(2)))


def test_gelu_is_exact():
    y = gelu(tf.constant(GELU_POINTS, tf.float32)).numpy()
    np.testing.assert_allclose(y, exact_gelu(GELU_POINTS), rtol=1e-5, atol=2e-6)
    approximate = keras.activations.gelu(GELU_POINTS[:121], approximate=True).numpy()
    assert np.abs(approximate - y[:121]).max() > 1e-4  # the test could tell


def test_gradient_of_gelu_is_its_slope():
    x = tf.constant(GELU_POINTS, tf.float32)
    upstream = tf.constant(np.linspace(-2, 3, len(GELU_POINTS)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours, theirs = gelu(x), keras.activations.gelu(x, approximate=False)
    found = tape.gradient(ours, x, upstream).numpy()
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, tape.gradient(theirs, x, upstream), rtol=1e-4, atol=1e-5)
    near, step = GELU_POINTS[:121], 1e-6
    slope = (exact_gelu(near + step) - exact_gelu(near - step)) / (2 * step)
    np.testing.assert_allclose(found[:121], upstream[:121] * slope, rtol=1e-4, atol=1e-5)


def test_gradients_of_all_weights_are_those_of_the_keras_model():
    spec = ModelSpec(in_shape=(3, 4), repr_shape=(2, 5), depth=2, head="axis_concat")
    weights = {name: tf.constant(w) for name, w in random_weights(spec, 0).items()}
    images = np.random.default_rng(0).normal(size=(3, 3, 4)).astype("float32")
    model = build_model(spec)
    for variable in model.weights:
        variable.assign(weights[variable.path])
    with tf.GradientTape() as tape:
        tape.watch(list(weights.values()))
        *_, (_, logits) = forward(spec, weights, tf.constant(np.moveaxis(images, 0, -1)))
        loss = tf.reduce_sum(tf.sin(logits))
    ours = tape.gradient(loss, weights)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.sin(model(images)))
    theirs = tape.gradient(loss, [v.value for v in model.trainable_weights])
    for variable, gradient in zip(model.trainable_weights, theirs, strict=True):
        assert np.any(gradient != 0)
        np.testing.assert_allclose(
            ours[variable.path], gradient, rtol=1e-3, atol=1e-4, err_msg=variable.path
        )
