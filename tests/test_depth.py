import keras
import numpy as np
import pytest

from ndmixer import ModelSpec, build_model
from ndmixer.accounting import accounting
from ndmixer.depth import Sample, accuracy_by_stage, moment, similarity_by_stage
from ndmixer.geometry import class_averages, distance_matrix
from ndmixer.probing import linear_cka

SPECS = [
    ModelSpec(in_shape=(6, 5), repr_shape=(3, 4), out_shape=(1, 4), depth=2, num_classes=3),
    ModelSpec(in_shape=(6, 5), repr_shape=(3, 4), depth=2, residual=False, gate=False),
    ModelSpec(task="autoencoder", in_shape=(6, 5), repr_shape=(3, 4), depth=1),
    ModelSpec(in_shape=(30,), repr_shape=(4,), out_shape=(4,), depth=0, num_classes=3),
]


def weights_of(model):
    random = np.random.default_rng(0)
    for variable in model.weights:
        if variable.path.endswith("gate/value"):
            variable.assign(random.normal())
    return {variable.path: variable.numpy() for variable in model.weights}


def by_keras(model, stage, images):
    shaped = images.reshape(-1, *model.input_shape[1:])
    return keras.Model(model.input, model.get_layer(stage).output).predict(shaped, verbose=0)


@pytest.fixture
def sample():
    random = np.random.default_rng(1)
    images, labels = random.random((60, 30), np.float32), np.arange(60) % 3
    return Sample(images[:30], labels[:30], images[30:], labels[30:], 3)


@pytest.mark.parametrize("spec", SPECS, ids=["gated", "plain", "autoencoder", "depth 0"])
def test_a_moment_is_what_keras_layers_say(spec, sample):
    model = build_model(spec, 0)
    weights = weights_of(model)
    found = moment(spec, weights, sample, "input")
    names = [stage.name for stage in accounting(spec).stages]
    assert list(found["stages"]) == names
    for name, distances in zip(names, found["distances"], strict=True):
        values = by_keras(model, name, sample.measured)
        expected = distance_matrix(class_averages(values, sample.labels))
        np.testing.assert_allclose(distances, expected, rtol=1e-3, atol=1e-4)
    before = dict(zip(names[1:], names, strict=False))
    for index, ratio in enumerate(found["ratios"]):
        block = f"block_{index}"
        given, after = (
            by_keras(model, n, sample.measured).reshape(30, -1) for n in (before[block], block)
        )
        made = after - given if spec.residual else after
        expected = np.mean(np.linalg.norm(made, axis=1) / np.linalg.norm(given, axis=1))
        assert ratio == pytest.approx(expected, rel=1e-3)
    assert len(found["ratios"]) == spec.depth


def test_stages_are_judged_and_compared_by_the_representations_of_keras(sample):
    spec = SPECS[0]
    model = build_model(spec, 0)
    weights = weights_of(model)
    names = [stage.name for stage in accounting(spec).stages]
    judged = accuracy_by_stage(spec, weights, sample, "input")
    assert list(judged["stages"]) == names
    assert ((judged["probe"] >= 0) & (judged["probe"] <= 1)).all()
    similar = similarity_by_stage(spec, weights, sample.measured, "input")
    values = [by_keras(model, name, sample.measured) for name in names]
    np.testing.assert_allclose(similar["similarity"], linear_cka(values), atol=1e-3)
    name = next(name for name in weights if name.startswith("embed/"))
    broken = weights | {name: np.full_like(weights[name], np.nan)}
    with pytest.raises(ValueError, match="the training diverged"):
        accuracy_by_stage(spec, broken, sample, "input")
