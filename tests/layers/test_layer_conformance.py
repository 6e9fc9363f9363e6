"""Every exported layer keeps the whole Keras layer contract: one table, one test a promise."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import ndmixer.layers as nl

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """A layer with no argument at its default, and what is expected of it."""

    make: Callable[..., keras.Layer]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: dict[str, tuple[int, ...]]

    def build(self, **kwargs):
        """Returns the layer, built, with random weights, so that no gate is 0."""
        layer = self.make(name="top", **kwargs)
        layer.build((None, *self.input_shape))
        rng = np.random.default_rng(0)
        layer.set_weights([rng.normal(size=w.shape) for w in layer.weights])
        return layer

    def inputs(self, batch=3):
        return (
            np.random.default_rng(batch).normal(size=(batch, *self.input_shape)).astype("float32")
        )


def mlp_weights(prefix, n, hidden, units):
    return {
        f"{prefix}/dense_1/kernel": (n, hidden),
        f"{prefix}/dense_1/bias": (hidden,),
        f"{prefix}/dense_2/kernel": (hidden, units),
        f"{prefix}/dense_2/bias": (units,),
    }


ROWS = {
    "DenseOnAxis": Row(
        lambda **kw: nl.DenseOnAxis(6, 2, "gelu", "glorot_normal", "ones", **kw),
        (4, 5, 3),
        (4, 6, 3),
        {"top/kernel": (5, 6), "top/bias": (6,)},
    ),
    "DenseOnAxis, last": Row(
        lambda **kw: nl.DenseOnAxis(6, **kw),
        (4, 5),
        (4, 6),
        {"top/kernel": (5, 6), "top/bias": (6,)},
    ),
    "MLPOnAxis": Row(
        lambda **kw: nl.MLPOnAxis(6, -2, 7, "tanh", **kw),
        (4, 5),
        (6, 5),
        mlp_weights("top", 4, 7, 6),
    ),
    "ScalarGate": Row(nl.ScalarGate, (4, 5), (4, 5), {"top/value": ()}),
    "NdMixer": Row(
        lambda **kw: nl.NdMixer((6, 7), "mlp", 8, True, "silu", **kw),
        (4, 5),
        (6, 7),
        mlp_weights("top/axis_1", 4, 8, 6)
        | mlp_weights("top/axis_2", 5, 8, 7)
        | {"top/gate/value": ()},
    ),
    "NdMixer, dense": Row(
        lambda **kw: nl.NdMixer([6, 7], net="dense", gate=False, **kw),
        (4, 5),
        (6, 7),
        {
            "top/axis_1/kernel": (4, 6),
            "top/axis_1/bias": (6,),
            "top/axis_2/kernel": (5, 7),
            "top/axis_2/bias": (7,),
        },
    ),
    "AxisConcat": Row(
        nl.AxisConcat,
        (4, 5, 3),
        (15 + 12 + 20,),
        {
            f"top/axis_{i}/{name}": shape
            for i, n in enumerate((4, 5, 3), start=1)
            for name, shape in (("kernel", (n, 1)), ("bias", (1,)))
        },
    ),
    "Layers": Row(
        lambda dtype=None, **kw: nl.Layers(
            [
                nl.DenseOnAxis(6, 1, dtype=dtype, name="first"),
                nl.Layers([nl.ScalarGate(dtype=dtype, name="gate")], dtype=dtype, name="inner"),
            ],
            dtype=dtype,
            **kw,
        ),
        (4, 5),
        (6, 5),
        {"top/first/kernel": (4, 6), "top/first/bias": (6,), "top/inner/gate/value": ()},
    ),
    "ResidualLayers": Row(
        lambda dtype=None, **kw: nl.ResidualLayers(
            [nl.NdMixer((4, 5), hidden_size=7, dtype=dtype, name=f"mixer_{i}") for i in range(2)],
            dtype=dtype,
            **kw,
        ),
        (4, 5),
        (4, 5),
        {
            path: shape
            for i in range(2)
            for path, shape in {
                **mlp_weights(f"top/mixer_{i}/axis_1", 4, 7, 4),
                **mlp_weights(f"top/mixer_{i}/axis_2", 5, 7, 5),
                f"top/mixer_{i}/gate/value": (),
            }.items()
        },
    ),
}
rows = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())


def paths_and_shapes(layer):
    return {w.path: tuple(w.shape) for w in layer.weights}


def exported_layers():
    exported = {name: getattr(nl, name) for name in nl.__all__}
    return {k: v for k, v in exported.items() if inspect.isclass(v)}


@pytest.mark.parametrize("name", exported_layers())
def test_every_exported_layer_has_a_row(name):
    assert name in ROWS, f"add a row for {name}"
    assert isinstance(ROWS[name].make(), exported_layers()[name])


@pytest.mark.parametrize("name", exported_layers())
def test_every_argument_is_in_the_config(name):
    arguments = set(inspect.signature(exported_layers()[name].__init__).parameters)
    assert arguments - {"self", "kwargs"} <= set(ROWS[name].make().get_config())


@rows
def test_weights(row):
    layer = row.build()
    assert len(layer.weights) == len(layer.trainable_weights) == len(row.weights)
    assert paths_and_shapes(layer) == row.weights
    assert layer.count_params() == sum(int(np.prod(s)) for s in row.weights.values())


@rows
def test_no_two_kernels_start_alike(row):
    layer = row.make()
    layer.build((None, *row.input_shape))
    kernels = [w.numpy().ravel()[:3].tobytes() for w in layer.weights if w.name == "kernel"]
    assert len(set(kernels)) == len(kernels)


@rows
@pytest.mark.parametrize("dtype", [None, "mixed_float16"])
def test_config_round_trip(row, dtype):
    layer = row.build(dtype=dtype)
    config = json.dumps(keras.saving.serialize_keras_object(layer))
    for copy in (
        type(layer).from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(json.loads(config)),
    ):
        assert copy.get_config() == layer.get_config()
        outputs = copy(row.inputs())
        copy.set_weights(layer.get_weights())
        assert paths_and_shapes(copy) == row.weights
        outputs = copy(row.inputs())
        np.testing.assert_array_equal(outputs, layer(row.inputs()))


LOAD = """
import sys
import keras, numpy as np
import ndmixer.layers
folder, *names = sys.argv[1:]
for name in names:
    model = keras.saving.load_model(f"{folder}/{name}.keras")
    outputs = model(np.load(f"{folder}/{name}.in.npy"))
    np.savez(f"{folder}/{name}.out.npz", outputs, [w.path for w in model.weights])
"""


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning")  # Keras
def test_keras_files_load_in_a_fresh_process(tmp_path):
    expected = {}
    for i, row in enumerate(ROWS.values()):
        layer, inputs = row.build(), row.inputs()
        x = keras.Input(row.input_shape)
        model = keras.Model(x, layer(x))
        model.save(tmp_path / f"{i}.keras")
        np.save(tmp_path / f"{i}.in.npy", inputs)
        expected[str(i)] = row, keras.ops.convert_to_numpy(model(inputs))
    command = [sys.executable, "-c", LOAD, str(tmp_path), *expected]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, (row, outputs) in expected.items():
        with np.load(tmp_path / f"{name}.out.npz") as loaded:
            np.testing.assert_allclose(loaded["arr_0"], outputs, rtol=1e-6, atol=1e-6)
            assert list(loaded["arr_1"]) == list(row.weights)


@rows
@pytest.mark.parametrize("compute", ["float16", "bfloat16"])
def test_mixed_precision(row, compute):
    layer = row.build(dtype=f"mixed_{compute}")
    assert {w.dtype for w in layer.weights} == {"float32"}
    assert {sub.compute_dtype for sub in layer._flatten_layers()} == {compute}
    outputs = layer(row.inputs())
    assert keras.backend.standardize_dtype(outputs.dtype) == compute
    expected = keras.ops.convert_to_numpy(row.build()(row.inputs()))
    error = np.abs(keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32")) - expected)
    assert error.max() <= {"float16": 0.01, "bfloat16": 0.1}[compute] * np.abs(expected).max()


@rows
def test_shapes_and_dynamic_batch(row):
    expected = (None, *row.output_shape)
    assert row.make().compute_output_shape((None, *row.input_shape)) == expected
    layer = row.build()
    assert layer.compute_output_shape((None, *row.input_shape)) == expected
    assert layer(keras.Input(row.input_shape)).shape == expected
    assert row.make()(keras.Input(row.input_shape)).shape == expected
    traced = tf.function(layer, input_signature=[tf.TensorSpec((None, *row.input_shape))])
    assert tuple(traced.get_concrete_function().structured_outputs.shape) == expected
    for batch in (1, 4):
        inputs = row.inputs(batch)
        outputs = layer(inputs)
        assert tuple(outputs.shape) == (batch, *row.output_shape)
        np.testing.assert_allclose(traced(inputs), outputs, rtol=1e-5, atol=1e-5)


@rows
def test_every_weight_has_a_gradient(row):
    layer = row.build()
    with tf.GradientTape() as tape:
        loss = keras.ops.sum(keras.ops.square(layer(row.inputs())))
    gradients = tape.gradient(loss, layer.trainable_weights)
    for weight, gradient in zip(layer.weights, gradients, strict=True):
        assert gradient is not None, weight.path
        assert np.any(gradient.numpy() != 0), weight.path
