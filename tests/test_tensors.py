"""Tensors as pictures and what blocks change, against loops."""

import numpy as np
import pytest

from ndmixer import ModelSpec
from ndmixer.figures import as_image
from ndmixer.tensors import arranged, changes

TENSOR = np.random.default_rng(0).normal(size=(2, 3, 4, 5))


def test_two_axes_of_any_become_rows_and_columns():
    found = arranged(TENSOR, 0, 2, "index", (1, 3))
    for row in range(2):
        for column in range(4):
            assert found[row, column] == TENSOR[row, 1, column, 3]
    np.testing.assert_array_equal(arranged(TENSOR, 2, 0, "index", (1, 3)), found.T)
    np.testing.assert_array_equal(arranged(TENSOR, 0, 2, "index", (9, 9)), TENSOR[:, 2, :, 4])
    mean = arranged(TENSOR, 1, 3, "mean")
    assert mean[2, 4] == pytest.approx(
        np.mean([TENSOR[i, 2, k, 4] for i in range(2) for k in range(4)])
    )
    tiles = arranged(TENSOR, 3, 1)
    np.testing.assert_array_equal(tiles, as_image(np.einsum("abcd->acdb", TENSOR)))
    np.testing.assert_array_equal(arranged(TENSOR), as_image(TENSOR))


def test_fewer_than_three_axes_are_laid_out_as_ever():
    for tensor in (TENSOR[0, 0], TENSOR[0, 0, 0], TENSOR.reshape(-1)):
        np.testing.assert_array_equal(arranged(tensor, 0, 0), as_image(tensor))
    with pytest.raises(ValueError, match="choose two axes"):
        arranged(TENSOR, 1, -3)


def test_a_change_is_what_comes_out_less_what_goes_in():
    spec = ModelSpec(in_shape=(3, 4), repr_shape=(5, 2), out_shape=(2, 3), depth=2)
    names = ["input", "embed"]
    for block in ("block_0", "block_1"):
        names += [f"{block}/axis_1", f"{block}/axis_2", block]
    random = np.random.default_rng(0)
    values = {name: random.normal(size=(5, 2)).astype(np.float32) for name in names}
    found = changes(spec, values | {"head": np.zeros((2, 3)), "logits": np.zeros(10)})
    before = {
        **{"block_0/axis_1": "embed", "block_0/axis_2": "block_0/axis_1", "block_0": "embed"},
        **{"block_1/axis_1": "block_0", "block_1/axis_2": "block_1/axis_1", "block_1": "block_0"},
    }
    assert list(found) == list(before)
    for name, given in before.items():
        np.testing.assert_array_equal(found[name], values[name] - values[given])
    assert changes(ModelSpec(depth=0), {}) == {}
