"""Gated residual blocks start as the identity, and every weight of a model learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ndmixer.layers import NdMixer, ResidualLayers


def make_model():
    x = keras.Input((6, 5), name="images")
    h = NdMixer((4, 3), net="dense", gate=False, name="embed")(x)
    for i in range(2):
        h = ResidualLayers([NdMixer((4, 3), hidden_size=5, name="mixer")], name=f"block_{i}")(h)
    return keras.Model(x, keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(h)))


PATHS = [
    *(f"embed/axis_{axis}/{w}" for axis in (1, 2) for w in ("kernel", "bias")),
    *(
        path
        for i in range(2)
        for path in (
            *(
                f"block_{i}/mixer/axis_{axis}/dense_{j}/{w}"
                for axis in (1, 2)
                for j in (1, 2)
                for w in ("kernel", "bias")
            ),
            f"block_{i}/mixer/gate/value",
        )
    ),
    "logits/kernel",
    "logits/bias",
]


def paths(model):
    return [w.path for w in model.weights]


def test_weight_paths():
    model = make_model()
    assert paths(model) == PATHS
    assert paths(keras.models.clone_model(model)) == PATHS
    assert paths(keras.Model.from_config(model.get_config())) == PATHS
    config = keras.saving.serialize_keras_object(model)
    assert paths(keras.saving.deserialize_keras_object(config)) == PATHS


def test_untrained_gated_blocks_are_the_identity():
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
    blocks = ResidualLayers([NdMixer((4, 5)) for _ in range(16)])
    outputs = keras.ops.convert_to_numpy(blocks(x))
    assert outputs.tobytes() == x.tobytes()


@pytest.mark.parametrize(("optimizer", "jit_compile"), [("sgd", False), ("adam", True)])
def test_fit_changes_every_weight(optimizer, jit_compile):
    keras.utils.set_random_seed(0)
    model = make_model()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 6, 5)).astype("float32"), rng.integers(0, 3, 16)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        {"sgd": keras.optimizers.SGD(0.5), "adam": keras.optimizers.Adam(0.01)}[optimizer],
        loss,
        jit_compile=jit_compile,
    )

    with tf.GradientTape() as tape:
        value = loss(y, model(x))
    gradients = tape.gradient(value, model.trainable_weights)
    moved = {p for p, g in zip(PATHS, gradients, strict=True) if np.any(g.numpy() != 0)}
    inside = {p for p in PATHS if "/dense_" in p}
    assert moved == set(PATHS) - inside  # a gate of 0 lets no gradient through

    before = model.get_weights()
    for step_moves in (moved, set(PATHS)):
        model.fit(x, y, batch_size=16, epochs=1, verbose=0)
        after = model.get_weights()
        changed = {p for p, a, b in zip(PATHS, before, after, strict=True) if np.any(a != b)}
        assert changed == step_moves
