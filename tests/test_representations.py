"""Representations against the Keras model."""

import keras
import numpy as np
import pytest

from ndmixer import ModelSpec, build_model, load_dataset, stages
from ndmixer.representations import BATCH, probe_images, representations


@pytest.fixture(scope="module")
def case():
    spec = ModelSpec(in_shape=(3, 4), repr_shape=(5, 2), out_shape=(2, 3), depth=2, num_classes=4)
    model = build_model(spec)
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(random.normal(size=variable.shape))
    return spec, model, {v.path: v.numpy() for v in model.weights}


@pytest.mark.parametrize("count", [1, 7, BATCH + 3])
def test_every_stage_is_what_the_keras_model_computes(case, count):
    spec, model, weights = case
    images = np.random.default_rng(1).random((count, 12), np.float32)
    found = representations(spec, weights, images)
    assert tuple(found) == stages(spec)
    for name in ("embed", "block_0", "block_1", "head", "logits"):
        part = keras.Model(model.input, model.get_layer(name).output)
        expected = part(images.reshape(-1, 3, 4)).numpy()
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)


def test_only_the_wanted_stages_come_back(case):
    spec, _, weights = case
    assert list(representations(spec, weights, np.zeros((2, 3, 4)), ("block_1",))) == ["block_1"]


@pytest.mark.parametrize(
    ("images", "wanted", "message"),
    [
        (np.zeros((2, 3, 5)), None, "an image must hold 12 numbers"),
        (np.zeros((2, 3, 4)), ("block_9",), "the stages of this model are input, embed"),
    ],
)
def test_what_does_not_fit_is_refused(case, images, wanted, message):
    spec, _, weights = case
    with pytest.raises(ValueError, match=message):
        representations(spec, weights, images, wanted)


def test_the_probes_are_the_first_test_image_of_each_class():
    data = load_dataset("mnist")
    images, labels = probe_images(data)
    assert labels.tolist() == list(range(10))
    for image, label in zip(images, labels, strict=True):
        np.testing.assert_array_equal(image, data.x_test[list(data.y_test).index(label)])
