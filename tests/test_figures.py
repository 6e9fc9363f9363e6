"""Tensors laid out as pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ndmixer.figures import as_image


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 7), (5, 7)),
        ((784,), (28, 28)),
        ((32,), (1, 32)),
        ((40,), (5, 8)),
        ((10,), (1, 10)),
        ((37,), (6, 7)),
        ((1,), (1, 1)),
        ((1, 28, 28), (28, 28)),
        ((8, 8, 8), (26, 26)),
        ((4, 7, 4, 7), (34, 31)),
    ],
)
def test_a_tensor_becomes_a_matrix_of_this_shape(shape, expected):
    assert as_image(np.zeros(shape)).shape == expected


@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(max_dims=5, max_side=6), elements=st.floats(-5, 5, width=32)
    )
)
def test_every_number_is_in_the_picture_once_and_the_rest_is_blank(tensor):
    image = as_image(tensor)
    shown = image[np.isfinite(image)]
    np.testing.assert_array_equal(np.sort(shown), np.sort(tensor.reshape(-1)))


def test_a_tile_is_a_slice_of_the_last_two_axes():
    tensor = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    image = as_image(tensor)
    for index, (top, left) in enumerate([(0, 0), (4, 0)]):
        np.testing.assert_array_equal(image[top : top + 3, left : left + 4], tensor[index])
