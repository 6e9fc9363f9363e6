import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from ndmixer import ModelSpec, accounting, build_model

CLASSIFIER = ModelSpec(in_shape=(6, 5), repr_shape=(4, 3), out_shape=(2, 7), depth=2, num_classes=3)
NARROW = {"in_shape": (6, 5), "repr_shape": (4, 3), "depth": 2}
IMAGES = np.random.default_rng(0).normal(size=(4, 6, 5)).astype("float32")


def test_a_stage_is_the_output_of_the_layer_of_its_name():
    model = build_model(CLASSIFIER)
    assert [layer.name for layer in model.layers] == [
        *("input", "embed", "block_0", "block_1", "head", "flat", "logits")
    ]
    assert {w.dtype for w in model.weights} == {"float32"}
    assert len(model.trainable_weights) == len(model.weights)


@pytest.mark.parametrize("task", ["classifier", "autoencoder"])
def test_the_model_is_named_after_its_task(task):
    model = build_model(ModelSpec(task=task, **NARROW))
    assert model.name == task
    assert model.input_shape == (None, 6, 5)
    assert model.output_shape == ((None, 10) if task == "classifier" else (None, 6, 5))


def test_weights_are_random_but_gates_and_biases_are_zero():
    keras.utils.set_random_seed(0)
    one, other = build_model(CLASSIFIER), build_model(CLASSIFIER)
    for a, b in zip(one.weights, other.weights, strict=True):
        assert np.any(a != b) == a.path.endswith("kernel")
        assert np.any(a != 0) == a.path.endswith("kernel")
    kernels = [np.ravel(w)[0] for w in one.weights if w.path.endswith("kernel")]
    assert len(set(kernels)) == len(kernels)


@pytest.mark.parametrize("head", ["mix", "axis_concat"])
@pytest.mark.parametrize("embedding", [True, False])
def test_untrained_gated_blocks_are_the_identity(embedding, head):
    shape = (4, 3) if embedding else (6, 5)
    spec = ModelSpec(in_shape=(6, 5), repr_shape=shape, depth=3, head=head, embedding=embedding)
    model = build_model(spec)
    names = ["embed" if embedding else "input", "block_0", "block_1", "block_2"]
    before, *blocks = _outputs(model, names)
    assert np.ptp(before) > 0
    assert all(block.tobytes() == before.tobytes() for block in blocks)


@pytest.mark.parametrize(("gate", "residual"), [(False, True), (False, False)])
def test_blocks_without_a_gate_are_not_the_identity(gate, residual):
    model = build_model(ModelSpec(gate=gate, residual=residual, **NARROW))
    before, block = _outputs(model, ["embed", "block_0"])
    mixer = model.get_layer("block_0").blocks[0]
    mixed = keras.ops.convert_to_numpy(mixer(before))
    assert np.abs(mixed).max() > 0.1
    np.testing.assert_array_equal(block, before + mixed if residual else mixed)


def test_gated_blocks_without_residual_start_at_zero():
    before, block = _outputs(build_model(ModelSpec(residual=False, **NARROW)), ["embed", "block_0"])
    assert np.any(before != 0)
    assert not np.any(block)


def _outputs(model, names):
    outputs = [model.get_layer(name).output for name in names]
    return [np.asarray(value) for value in keras.Model(model.input, outputs)(IMAGES)]


def test_twenty_five_axes_are_built_and_run():
    shape = (2, *(1,) * 23, 3)
    spec = ModelSpec(in_shape=shape, repr_shape=shape, depth=1, num_classes=2)
    model = build_model(spec)
    assert {w.path: tuple(w.shape) for w in model.weights} == accounting(spec).weights
    assert model(np.ones((2, *shape), "float32")).shape == (2, 2)


LOAD = """
import sys
import keras, numpy as np
import ndmixer.layers
for i, path in enumerate(sys.argv[2:]):
    model = keras.models.load_model(path)
    x = np.load(sys.argv[1])
    np.save(path + ".npy", model(x))
    print(model.name, *(w.path for w in model.weights))
"""


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own
def test_saved_models_are_the_same_in_another_process(tmp_path):
    keras.utils.set_random_seed(1)
    np.save(tmp_path / "x.npy", IMAGES)
    paths, expected, printed = [], [], []
    for spec in (
        CLASSIFIER,
        ModelSpec(head="axis_concat", gate=False, activation="silu", hidden_size=3, **NARROW),
        ModelSpec(task="autoencoder", residual=False, **NARROW),
    ):
        model = build_model(spec)
        for weight in model.weights:
            if weight.path.endswith("gate/value"):
                weight.assign(0.7)
        paths.append(str(tmp_path / f"{len(paths)}.keras"))
        model.save(paths[-1])
        expected.append(np.asarray(model(IMAGES)))
        printed.append(" ".join([model.name, *(w.path for w in model.weights)]))

    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path / "x.npy"), *paths],
        env={**os.environ, "PYTHONPATH": os.getcwd(), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert loaded.stdout.splitlines() == printed
    for path, outputs in zip(paths, expected, strict=True):
        assert np.abs(outputs).max() > 0
        np.testing.assert_allclose(np.load(path + ".npy"), outputs, rtol=1e-6, atol=1e-7)
