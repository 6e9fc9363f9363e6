"""Class averages and distances against plain loops, SciPy and the experiment's formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from ndmixer.geometry import class_averages, distance_matrix


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 4)])
def test_class_averages_are_the_means_of_each_class(dtype, shape):
    random = np.random.default_rng(0)
    labels = np.r_[np.arange(4), random.integers(0, 4, 60)]
    values = (random.random((64, *shape)) * 200).astype(dtype)
    averages = class_averages(values, labels)
    assert averages.shape == (4, *shape)
    assert averages.dtype == (np.float64 if dtype is np.float64 else np.float32)
    for c in range(4):
        expected = np.mean([v for v, label in zip(values, labels, strict=True) if label == c], 0)
        np.testing.assert_allclose(averages[c], expected, rtol=1e-6)


def test_distance_matrix_is_the_experiments_root_mean_square_difference():
    averages = np.random.default_rng(1).normal(size=(10, 4, 4))
    flat = averages.reshape(10, -1)
    expected = np.sqrt(np.mean((flat.reshape(10, 1, 16) - flat.reshape(1, 10, 16)) ** 2, axis=-1))
    np.testing.assert_allclose(distance_matrix(averages), expected, rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_distance_matrix_is_scipys_euclidean_over_the_root_of_the_size(classes, size, seed):
    averages = np.random.default_rng(seed).normal(size=(classes, size))
    distances = distance_matrix(averages)
    np.testing.assert_allclose(distances, cdist(averages, averages) / np.sqrt(size), atol=1e-12)
    np.testing.assert_array_equal(distances, distances.T)
    assert not distances.diagonal().any()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], "one label for each"),
        ([0, 2, 2], "no image of class 1"),
        ([-1, 0, 1], "whole numbers from 0"),
        ([0.0, 1.0, 1.0], "whole numbers from 0"),
        ([[0], [1], [1]], "one label for each"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        class_averages(np.zeros((3, 2)), labels)
