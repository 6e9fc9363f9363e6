"""Errors of images, their pages, and what lies between two of them."""

import numpy as np
import pytest

from ndmixer.reconstruction import blend, image_errors, page_of


def test_the_error_of_an_image_is_that_of_its_pixels_whatever_their_shape():
    images, outputs = np.random.default_rng(0).random((2, 5, 3, 4))
    expected = [np.linalg.norm(a - b) / np.sqrt(12) for a, b in zip(images, outputs, strict=True)]
    np.testing.assert_allclose(image_errors(images, outputs.reshape(5, 12)), expected)
    assert image_errors(np.zeros((1, 2), np.float32), [[3, 4]]) == pytest.approx(np.sqrt(12.5))


def test_pages_hold_every_image_once_in_their_order():
    errors = np.array([0.3, 0.1, np.nan, 0.2, 0.1])
    assert page_of(errors, "best", 3).tolist() == [1, 4, 3]
    assert page_of(errors, "best", 3, 1).tolist() == [0, 2]
    assert page_of(errors, "worst", 2).tolist() == [2, 0]
    assert page_of(errors, "in order", 2, 1).tolist() == [2, 3]
    drawn = np.concatenate([page_of(errors, "random", 2, page) for page in range(3)])
    assert sorted(drawn) == [0, 1, 2, 3, 4]
    assert page_of(errors, "best", 3, 2).size == 0
    with pytest.raises(ValueError, match=r"best, worst, .* order='oldest'"):
        page_of(errors, "oldest", 2)


def test_a_blend_goes_from_one_to_the_other_in_equal_steps():
    ends = np.array([[0, 1], [4, -1]], np.float32)
    found = blend(ends, 5)
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 1], [1, 0.5], [2, 0], [3, -0.5], [4, -1]]
