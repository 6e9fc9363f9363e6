"""Representations against the Keras model."""

import keras
import numpy as np
import pytest

from ndmixer import ModelSpec, accounting, build_model, load_dataset, stages
from ndmixer.representations import (
    LARGEST_ANSWER,
    LARGEST_BATCH,
    batch_size,
    early_exits,
    in_batches,
    probe_images,
    representations,
)


@pytest.fixture(scope="module")
def case():
    spec = ModelSpec(in_shape=(3, 4), repr_shape=(5, 2), out_shape=(2, 3), depth=2, num_classes=4)
    model = build_model(spec)
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(random.normal(size=variable.shape))
    return spec, model, {v.path: v.numpy() for v in model.weights}


@pytest.mark.parametrize("count", [1, 7, 503])
def test_every_stage_is_what_the_keras_model_computes(case, count):
    spec, model, weights = case
    images = np.random.default_rng(1).random((count, 12), np.float32)
    found = representations(spec, weights, images)
    assert tuple(found) == stages(spec)
    for name in ("embed", "block_0", "block_1", "head", "logits"):
        part = keras.Model(model.input, model.get_layer(name).output)
        expected = part(images.reshape(-1, 3, 4)).numpy()
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"head": "axis_concat", "out_shape": None},
        {"gate": False, "residual": False},
        {"depth": 0},
        {"task": "autoencoder", "out_shape": None},
        {"task": "autoencoder", "out_shape": None, "repr_shape": (3, 4), "embedding": False},
        {"in_shape": (12,), "repr_shape": (5,), "out_shape": (3,)},
    ],
    ids=["mix", "concat", "plain", "depth 0", "autoencoder", "no embedding", "1-D"],
)
def test_an_early_exit_is_the_keras_model_without_the_blocks_after_it(change):
    given = {"in_shape": (3, 4), "repr_shape": (5, 2), "out_shape": (2, 3), "depth": 2}
    spec = ModelSpec(**(given | {"num_classes": 4} | change))
    random = np.random.default_rng(3)
    shapes = accounting(spec).weights.items()
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes}
    images = random.random((3, *spec.in_shape), np.float32)
    values = representations(spec, weights, images)
    found = early_exits(spec, weights, values)
    assert len(found) == spec.depth + 1
    for depth, output in enumerate(found.values()):
        model = build_model(spec.model_copy(update={"depth": depth}))
        for variable in model.weights:
            variable.assign(weights[variable.path])
        np.testing.assert_allclose(output, model(images).numpy(), rtol=1e-3, atol=1e-4)
    last = list(values.values())[-1]
    np.testing.assert_allclose(list(found.values())[-1], last, rtol=1e-4, atol=1e-5)


def test_batches_one_after_the_other_are_the_whole(case, monkeypatch):
    spec, _, weights = case
    images = np.random.default_rng(2).random((23, 12), np.float32)
    expected = representations(spec, weights, images)
    monkeypatch.setattr("ndmixer.representations.LARGEST_BATCH", 10)
    wanted = ("input", "block_0/axis_1", "block_1")
    seen = []
    for part, name, values in in_batches(spec, weights, images, wanted):
        seen.append((part.start, name))
        np.testing.assert_allclose(values, expected[name][part], rtol=1e-5, atol=1e-6)
    assert seen == [(start, name) for start in (0, 10, 20) for name in wanted]
    assert not list(in_batches(spec, weights, images[:0], wanted))


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [(("embed",), 65_536), (("embed", "block_0/axis_1", "head"), 2 * 65_536 + 28)],
)
def test_a_batch_is_as_small_as_keeps_all_wanted_stages_small(wanted, numbers):
    spec = ModelSpec(repr_shape=(256, 256), out_shape=(1, 28))
    size = batch_size(spec, wanted)
    assert size * 4 * numbers <= LARGEST_ANSWER < (size + 1) * 4 * numbers
    assert batch_size(spec, ("logits",)) == LARGEST_BATCH


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
    with pytest.raises(ValueError, match=message):
        next(in_batches(spec, weights, images, wanted or ("input",)))


def test_the_probes_are_the_first_test_image_of_each_class():
    data = load_dataset("mnist")
    images, labels = probe_images(data)
    assert labels.tolist() == list(range(10))
    for image, label in zip(images, labels, strict=True):
        np.testing.assert_array_equal(image, data.x_test[list(data.y_test).index(label)])
