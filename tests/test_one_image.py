"""The tasks of an inspecting worker that look at one image, against the Keras model."""

import base64

import keras
import numpy as np
import pytest

from ndmixer import ModelSpec, TrainSpec, build_model, load_dataset, runs, stages
from ndmixer.jobs import looking as tasks

SPEC = ModelSpec(repr_shape=(6, 5), out_shape=(3, 2), depth=2)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NDMIXER_RUNS", str(tmp_path_factory.mktemp("runs")))
        run = runs.create(SPEC, TrainSpec())
    model = build_model(SPEC, seed=3)
    random = np.random.default_rng(0)
    for variable in model.weights:  # the gates are 0 at first, and would hide the blocks
        variable.assign(random.normal(0, 0.3, variable.shape))
    run.save_snapshot({v.path: v.numpy() for v in model.weights}, 7)
    run.end("stopped", step=7)
    return str(run.folder), model


def test_an_image_is_what_the_keras_model_makes_of_it(case):
    folder, model = case
    data = load_dataset("mnist")
    for part, x, y in (("test", data.x_test, data.y_test), ("train", data.x_train, data.y_train)):
        found = tasks._one_image(folder, 7, 0, part, 123)
        assert tuple(found["values"]) == stages(SPEC)
        assert found["label"] == y[123]
        assert found["step"] == 7
        np.testing.assert_array_equal(found["values"]["input"], x[123])
        for name in ("embed", "block_0", "block_1", "head", "logits"):
            expected = keras.Model(model.input, model.get_layer(name).output)(x[123:124])[0]
            np.testing.assert_allclose(found["values"][name], expected, rtol=1e-4, atol=1e-4)
        assert list(found["exits"]) == ["embed", "block_0", "block_1"]
        for name, logits in found["exits"].items():
            rest = model.get_layer(name).output
            for layer in ("head", "flat", "logits"):
                rest = model.get_layer(layer)(rest)
            expected = keras.Model(model.input, rest)(x[123:124])[0]
            np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


def test_pixels_from_elsewhere_are_looked_at(case):
    folder, model = case
    image = np.random.default_rng(1).random((28, 28), np.float32)
    found = tasks._one_image(folder, None, 0, base64.b64encode(image.tobytes()).decode(), 0)
    assert found["label"] is None
    np.testing.assert_allclose(
        found["values"]["logits"], model(image[None])[0], rtol=1e-4, atol=1e-4
    )


def test_outputs_are_those_of_the_keras_model(case):
    folder, model = case
    data = load_dataset("mnist")
    found = tasks._outputs_of(folder, 7, 0, "test", 300)
    np.testing.assert_array_equal(found["labels"], data.y_test[:300])
    np.testing.assert_array_equal(tasks._labels_of("mnist", "test", 300), found["labels"])
    expected = model(data.x_test[:300]).numpy()
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-4, atol=1e-4)


def test_an_image_that_is_not_there_is_refused(case):
    with pytest.raises(ValueError, match="choose an image below 10,000"):
        tasks._one_image(case[0], 7, 0, "test", 10_000)
    pixels = base64.b64encode(np.zeros(5, np.float32).tobytes()).decode()
    with pytest.raises(ValueError, match="an image must hold 784 numbers"):
        tasks._one_image(case[0], 7, 0, pixels, 0)
