"""The tasks behind the pages Weights and Reconstructions, on runs of a temporary folder."""

import keras
import numpy as np
import pytest

from ndmixer import ModelSpec, TrainSpec, accounting, build_model, load_dataset, runs
from ndmixer.geometry import class_averages
from ndmixer.jobs import operating, reconstructing
from tests.models.test_forward import CLOSE, random_weights

AUTOENCODER = ModelSpec(task="autoencoder", repr_shape=(4, 3), depth=2)
CLASSIFIER = ModelSpec(repr_shape=(4, 3), depth=2)
STEP, COUNT = 7, 300


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("NDMIXER_RUNS", str(tmp_path))

    def make(model, value=1.0):
        run = runs.create(model, TrainSpec())
        weights = random_weights(model, 0)
        weights = {name: np.float32(value) * weights[name] for name in weights}
        run.save_snapshot(weights, STEP)
        run.end("stopped", step=STEP)
        place = str(run.folder), STEP, run.weights_path(STEP).stat().st_mtime_ns
        return run, weights, place

    return make


def keras_model(spec, weights):
    model = build_model(spec)
    for variable in model.weights:
        variable.assign(weights[variable.path])
    return model


@pytest.mark.parametrize("stage", ["input", "embed", "block_1", "block_1/axis_2", "logits"])
def test_the_kernels_of_a_stage_are_those_of_the_run(made, stage):
    _, weights, place = made(CLASSIFIER)
    found = operating._kernels(*place, stage)
    assert (found["step"], found["finite"]) == (STEP, True)
    np.testing.assert_array_equal(
        found["gates"], [weights[f"block_{i}/mixer/gate/value"] for i in (0, 1)]
    )
    own = {name for name in found if name in weights}
    if "/" in stage:
        parts = ("dense_1/kernel", "dense_1/bias", "dense_2/kernel", "dense_2/bias")
        assert own == {f"block_1/mixer/axis_2/{part}" for part in parts}
        first, second = (weights[f"block_1/mixer/axis_2/dense_{i}/kernel"] for i in (1, 2))
        np.testing.assert_allclose(found["talk/2"], first @ second, **CLOSE)
        values = np.linalg.eigvalsh(found["talk/2"] @ found["talk/2"].T)[::-1]
        np.testing.assert_allclose(found["singular/2"] ** 2, values, atol=1e-6)
    else:
        names = next(s.weights for s in accounting(CLASSIFIER).stages if s.name == stage)
        assert own == set(names)


def test_weights_that_are_not_finite_have_no_talk(made):
    *_, place = made(CLASSIFIER, np.nan)
    found = operating._kernels(*place, "block_0")
    assert not found["finite"]
    assert not any(name.startswith("talk") for name in found)


def test_surgery_is_told_beside_the_untouched_model_and_leaves_the_run_alone(made):
    run, weights, place = made(CLASSIFIER)
    before = {p: p.read_bytes() for p in run.folder.rglob("*") if p.is_file()}
    images = load_dataset("mnist").x_test[:COUNT]
    found = operating._surgery(*place, "test", COUNT, '[["block_1", 0.0]]', '["block_0/axis_1"]')
    model = keras_model(CLASSIFIER, weights)
    expected = model.predict(images, verbose=0).argmax(axis=1)
    np.testing.assert_array_equal(found["before/predictions"], expected)
    assert not np.array_equal(found["before/predictions"], found["after/predictions"])
    assert found["after/distances"].shape == (10, 10)
    np.testing.assert_array_equal(found["labels"], load_dataset("mnist").y_test[:COUNT])
    again = operating._surgery(*place, "test", COUNT, "[]", "[]")
    np.testing.assert_array_equal(again["after/distances"], found["before/distances"])
    assert {p: p.read_bytes() for p in run.folder.rglob("*") if p.is_file()} == before


def test_reconstructions_are_those_of_the_keras_model(made):
    _, weights, place = made(AUTOENCODER, 0.6)
    images = load_dataset("mnist").x_train[:COUNT]
    outputs = keras_model(AUTOENCODER, weights).predict(images, verbose=0)
    errors = np.sqrt(np.mean((outputs - images) ** 2, axis=(1, 2)))
    found = reconstructing._reconstructions(*place, "train", COUNT, "worst", 5, 1)
    np.testing.assert_allclose(found["errors"], errors, **CLOSE)
    assert found["indices"].tolist() == np.argsort(errors)[::-1][5:10].tolist()
    np.testing.assert_array_equal(found["inputs"], images[found["indices"]])
    np.testing.assert_allclose(found["outputs"], outputs[found["indices"]], **CLOSE)


def test_averages_and_walks_are_decoded_from_their_stage(made):
    _, weights, place = made(AUTOENCODER, 0.6)
    data = load_dataset("mnist")
    images, labels = data.x_test[:COUNT], data.y_test[:COUNT]
    model = keras_model(AUTOENCODER, weights)
    encode = keras.Model(model.input, model.get_layer("block_1").output)
    head = model.get_layer("head")

    found = reconstructing._decoded_averages(*place, "block_1", "test", COUNT)
    averages = class_averages(encode.predict(images, verbose=0), labels)
    np.testing.assert_allclose(found["decoded"], head(averages), **CLOSE)
    np.testing.assert_allclose(found["inputs"], class_averages(images, labels), **CLOSE)

    found = reconstructing._walk(*place, "block_1", "test", 3, 8, 5)
    first, second = encode.predict(images[[3, 8]], verbose=0)
    quarter = (0.75 * first + 0.25 * second)[None]
    np.testing.assert_allclose(found["decoded"][1], head(quarter)[0], **CLOSE)
    np.testing.assert_allclose(found["decoded"][[0, 4]], model(images[[3, 8]]), **CLOSE)
    np.testing.assert_allclose(found["blended"][2], (images[3] + images[8]) / 2, **CLOSE)
    assert found["labels"].tolist() == labels[[3, 8]].tolist()
