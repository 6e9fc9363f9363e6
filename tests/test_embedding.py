"""Maps of representations, compared with NumPy and with chance."""

import numpy as np
import pytest

from ndmixer.embedding import METHODS, embed, neighbours_kept, principal_components


def clusters(images: int = 120, size: tuple[int, ...] = (4, 5), groups: int = 4) -> np.ndarray:
    random = np.random.default_rng(0)
    middles = 6 * random.normal(size=(groups, *size))
    return middles[np.arange(images) % groups] + random.normal(size=(images, *size))


@pytest.mark.parametrize("shape", [(40, 3, 5), (12, 6, 7), (9, 2)], ids=["tall", "wide", "two"])
def test_pca_is_that_of_the_singular_values(shape):
    values = np.random.default_rng(1).normal(size=shape)
    flat = values.reshape(len(values), -1)
    dimensions = min(3, flat.shape[1])
    found = principal_components(values, dimensions)
    _, singular, right = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    for i in range(dimensions):
        direction = right[i] * np.sign(right[i][np.abs(right[i]).argmax()])
        expected = (flat - flat.mean(axis=0)) @ direction
        np.testing.assert_allclose(found.points[:, i], expected, atol=1e-9)
    shares = singular**2 / np.sum(singular**2)
    np.testing.assert_allclose(found.shares, shares[:dimensions], atol=1e-12)


def test_a_direction_that_is_not_there_is_zero():
    found = principal_components(np.arange(6.0)[:, None], 3)
    np.testing.assert_allclose(found.points[:, 0], np.arange(6) - 2.5)
    assert not found.points[:, 1:].any()
    np.testing.assert_allclose(found.shares, [1, 0, 0])


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_a_map_is_the_same_again_and_keeps_neighbours(method, dimensions):
    values = clusters()
    points = embed(values, method, dimensions)
    assert points.shape == (120, dimensions)
    assert points.dtype == np.float64
    np.testing.assert_array_equal(points, embed(values, method, dimensions))
    assert neighbours_kept(values, points) > 3 * 15 / 119
    group = np.arange(120) % 4
    distances = np.linalg.norm(points[:, None] - points, axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert np.mean(group[distances.argmin(axis=1)] == group) > 0.95


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("values", [np.arange(8.0)[:, None], np.eye(7)[[0, 1, 2, 3, 4, 5, 5]]])
def test_few_points_of_few_directions_have_a_map(method, values):
    points = embed(values, method, 3)
    assert points.shape == (len(values), 3)
    assert np.isfinite(points).all()


def test_neighbours_are_counted():
    line = np.arange(30.0)[:, None]
    assert neighbours_kept(line, np.c_[3 * line, 0 * line], 5) == 1
    shuffled = np.random.default_rng(0).permutation(300.0 * np.arange(300))[:, None]
    assert neighbours_kept(np.arange(300.0)[:, None], shuffled, 10) < 0.1


@pytest.mark.parametrize(
    ("values", "method", "dimensions", "words"),
    [
        (np.ones((9, 3)), "pca", 2, "the same representation"),
        (np.full((9, 3), np.nan), "tsne", 2, "not finite"),
        (np.eye(4), "umap", 2, "at least 5"),
        (np.eye(9), "isomap", 2, "choose one of pca, tsne, umap"),
        (np.eye(9), "pca", 4, "2 or 3 dimensions"),
    ],
)
def test_what_has_no_map_is_said(values, method, dimensions, words):
    with pytest.raises(ValueError, match=words):
        embed(values, method, dimensions)
