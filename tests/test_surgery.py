"""Kernels multiplied, gates scaled, axes cut, against the layers of the Keras model and NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndmixer import ModelSpec, accounting, build_model, stages
from ndmixer.geometry import class_averages, distance_matrix
from ndmixer.inspection import outcome
from ndmixer.kernels import look
from ndmixer.representations import output_after, representations
from ndmixer.surgery import axis_talk, scale_blocks
from tests.models.test_forward import CLOSE, random_weights
from tests.strategies import model_specs


def images_for(spec, count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *spec.in_shape)).astype("float32")


def keras_output(spec, weights, images, factors, without):
    """The layers of the built model, called one by one; a block is written out by hand."""
    model = build_model(spec)
    for variable in model.weights:
        variable.assign(weights[variable.path])
    h = keras.ops.convert_to_tensor(images)
    for layer in model.layers[1:]:
        if not layer.name.startswith("block_"):
            h = layer(h)
            continue
        mixer, mixed = layer.blocks[0], h
        for net in mixer.nets:
            mixed = mixed if f"{layer.name}/{net.name}" in without else net(mixed)
        mixed = mixed if mixer.gate is None else mixer.gate(mixed)
        mixed = mixed * factors.get(layer.name, 1)
        h = h + mixed if spec.residual else mixed
    return np.asarray(h)


@settings(max_examples=30, deadline=None)
@given(model_specs(), st.integers(0, 2**31), st.data())
def test_a_model_after_surgery_is_the_keras_model_with_its_blocks_changed(spec, seed, data):
    weights, images = random_weights(spec, seed), images_for(spec, 3, seed)
    blocks = [stage for stage in accounting(spec).stages if stage.axes]
    axes = [axis.name for block in blocks for axis in block.axes]
    factors = {b.name: data.draw(st.sampled_from([0, 0.5, 1, 2])) for b in blocks[::2]}
    without = {a for a in axes if data.draw(st.booleans())}

    operated, changed = scale_blocks(spec, weights, factors)
    output = look(operated, changed, images, stages(operated)[-1:], without=without)

    expected = keras_output(spec, weights, images, factors, without)
    np.testing.assert_allclose(*output.values(), expected, **CLOSE)


@settings(max_examples=30, deadline=None)
@given(model_specs(), st.integers(0, 2**31))
def test_starting_at_any_stage_ends_in_the_same_output(spec, seed):
    weights, images = random_weights(spec, seed), images_for(spec, 3, seed)
    values = representations(spec, weights, images)
    *_, whole = values.values()
    for stage in accounting(spec).stages:
        found = output_after(spec, weights, stage.name, values[stage.name])
        np.testing.assert_allclose(found, whole, err_msg=stage.name, **CLOSE)


def test_surgery_leaves_the_model_itself_alone():
    spec = ModelSpec(in_shape=(3, 4), repr_shape=(3, 4), depth=2, gate=False)
    weights = random_weights(spec, 0)
    before = {name: value.copy() for name, value in weights.items()}
    _, changed = scale_blocks(spec, weights, {"block_1": 0.0})
    assert weights.keys() == before.keys()
    assert all(np.array_equal(weights[name], before[name]) for name in before)
    assert changed["block_1/mixer/gate/value"] == 0
    assert changed["block_0/mixer/gate/value"] == 1
    with pytest.raises(ValueError, match=r"blocks of this model are block_0, block_1\. Received"):
        scale_blocks(spec, weights, {"block_2": 1.0})


def test_the_talk_of_an_axis_is_what_its_mlp_does_without_activation_and_bias():
    spec = ModelSpec(
        in_shape=(3, 4, 2), repr_shape=(3, 4, 2), depth=1, hidden_size=5, activation="linear"
    )
    weights = {n: w * (not n.endswith("bias")) for n, w in random_weights(spec, 0).items()}
    block = next(stage for stage in accounting(spec).stages if stage.axes)
    values = np.random.default_rng(0).normal(size=(6, 3, 4, 2)).astype("float32")
    mixed = values
    for axis, talk in axis_talk(block, weights).items():
        mixed = np.moveaxis(np.tensordot(mixed, talk, (axis, 0)), -1, axis)
    model = build_model(spec)
    for variable in model.weights:
        variable.assign(weights[variable.path])
    mixer = model.get_layer("block_0").blocks[0]
    expected = values
    for net in mixer.nets:
        expected = net(expected)
    np.testing.assert_allclose(mixed, expected, **CLOSE)


def test_axes_that_the_head_reads_alone_have_a_talk_each():
    spec = ModelSpec(in_shape=(3, 4), repr_shape=(3, 4), depth=0, head="axis_concat")
    weights = random_weights(spec, 0)
    head = next(stage for stage in accounting(spec).stages if stage.name == "head")
    talk = axis_talk(head, weights)
    assert {axis: product.shape for axis, product in talk.items()} == {1: (3, 1), 2: (4, 1)}


@pytest.mark.parametrize("embedding", [True, False])
@pytest.mark.parametrize("task", ["classifier", "autoencoder"])
def test_the_outcome_is_what_all_representations_say(task, embedding):
    spec = ModelSpec(
        task=task, in_shape=(3, 4), repr_shape=(3, 4), depth=2, num_classes=4, embedding=embedding
    )
    weights, images = random_weights(spec, 0), images_for(spec, 31)
    labels = np.arange(31) % 4
    values = representations(spec, weights, images)
    found = outcome(spec, weights, images, labels, 4)
    expected = distance_matrix(class_averages(values["block_1"], labels))
    np.testing.assert_allclose(found["distances"], expected, **CLOSE)
    *_, output = values.values()
    if task == "classifier":
        np.testing.assert_array_equal(found["predictions"], output.argmax(axis=1))
    else:
        errors = [np.sqrt(np.mean((o - i) ** 2)) for o, i in zip(output, images, strict=True)]
        np.testing.assert_allclose(found["errors"], errors, **CLOSE)
    cut = outcome(spec, weights, images, labels, 4, ["block_0/axis_1"])
    assert not np.allclose(cut["distances"], found["distances"])
