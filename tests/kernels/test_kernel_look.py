"""What a model makes of images, by the compiled code, against the Keras model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ndmixer import ModelSpec, stages
from ndmixer.accounting import accounting
from ndmixer.kernels import join, look, split
from tests.models.test_forward import CLOSE, keras_stages, random_weights
from tests.strategies import model_specs

SPEC = ModelSpec(in_shape=(3, 4), repr_shape=(2, 5), depth=3)


def images_of(spec, number, seed=0):
    return np.random.default_rng(seed).normal(size=(number, *spec.in_shape)).astype("float32")


@settings(max_examples=30, deadline=None)
@given(model_specs(), st.integers(0, 2**31), st.sampled_from([1, 3, 16, 35]))
def test_every_stage_is_that_of_the_keras_model(spec, seed, number):
    weights, images = random_weights(spec, seed), images_of(spec, number, seed)
    expected = keras_stages(spec, weights, images)
    found = look(spec, weights, images, stages(spec))
    assert tuple(found) == tuple(expected)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], err_msg=name, **CLOSE)


@settings(max_examples=20, deadline=None)
@given(model_specs(max_rank=3), st.data())
def test_from_any_stage_on_it_is_the_same(spec, data):
    weights, images = random_weights(spec, 0), images_of(spec, 5)
    whole = look(spec, weights, images, stages(spec))
    after = data.draw(st.sampled_from([stage.name for stage in accounting(spec).stages]))
    names = stages(spec)[stages(spec).index(after) :]
    for name, values in look(spec, weights, whole[after], names, after=after).items():
        np.testing.assert_array_equal(values, whole[name], err_msg=name)


@pytest.mark.parametrize("without", [("block_1/axis_2",), ("block_0/axis_1", "block_2/axis_1")])
@pytest.mark.parametrize("change", [{}, {"gate": False, "residual": False}])
def test_an_axis_that_is_left_out_passes_on_what_came(change, without):
    spec = SPEC.model_copy(update=change)
    weights, images = random_weights(spec, 0), images_of(spec, 5)
    values = look(spec, weights, images, stages(spec), without=without)
    for axis in without:
        before = stages(spec)[stages(spec).index(axis) - 1]
        np.testing.assert_array_equal(values[axis], values[before])
    nowhere = look(spec, weights, images, stages(spec))
    first = stages(spec).index(without[0])
    for name in stages(spec)[:first]:
        np.testing.assert_array_equal(values[name], nowhere[name])
    assert np.any(values["logits"] != nowhere["logits"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"after": "block_0/axis_1"}, "start at one of input, embed, block_0, .*after='block_0/ax"),
        (
            {"after": "logits"},
            r"from logits on .* are logits\. Received: wanted=\['embed', 'logits",
        ),
        ({"wanted": ("block_9",)}, "stages of this model are input, embed, .*wanted=..block_9"),
        ({"weights": {**random_weights(SPEC, 0), "logits/bias": np.zeros(3)}}, r"shape \(10,\)"),
        ({"without": ["block_9/axis_1"]}, r"axes of blocks: block_0/axis_1, .*\['block_9/axis_1'"),
    ],
)
def test_what_is_not_there_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        look(
            SPEC,
            **{
                "weights": random_weights(SPEC, 0),
                "given": images_of(SPEC, 1),
                "wanted": ("embed", "logits"),
                **given,
            },
        )


def test_weights_as_one_vector_and_back():
    weights = random_weights(SPEC, 0)
    vector = join(SPEC, weights)
    assert vector.shape == (accounting(SPEC).parameters,)
    again = split(SPEC, vector)
    assert list(again) == list(accounting(SPEC).weights)
    for name, value in again.items():
        np.testing.assert_array_equal(value, weights[name])
