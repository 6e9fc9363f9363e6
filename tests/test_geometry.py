"""Class averages, distances and what follows, against SciPy, scikit-learn and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import cdist, pdist, squareform
from sklearn.covariance import LedoitWolf, ledoit_wolf
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.neighbors import NearestCentroid

from ndmixer.geometry import (
    METRICS,
    ClassStatistics,
    centred_cosines,
    class_averages,
    confusion_matrix,
    dendrogram_order,
    deviations_within,
    distance_matrix,
    ledoit_wolf_shrinkage,
    mean_pairwise_distances,
    nearest_average,
    scatter_ratio,
    simplex_cosine,
)

SCIPY = {"euclidean": "euclidean", "cosine": "cosine", "correlation": "correlation"}


def clouds(classes=4, images=80, shape=(3, 5), seed=0):
    """Images around a centre for each class, in scales that differ by entry."""
    random = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes), random.integers(0, classes, images - classes)]
    centres = random.normal(size=(classes, *shape))
    scales = random.uniform(0.2, 2, shape)
    return centres[labels] + scales * random.normal(size=(images, *shape)), labels


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


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 79), max_size=6), st.floats(-1e4, 1e4), st.integers(0, 2**32 - 1))
def test_batches_of_any_size_give_numpys_mean_and_deviation(cuts, offset, seed):
    values, labels = clouds(seed=seed)
    values = values + offset  # far from 0, where a sum of squares would have lost everything
    statistics = ClassStatistics(6)
    for part in np.split(np.arange(80), sorted(set(cuts))):
        statistics.add(values[part], labels[part])
    averages, deviations = statistics.averages(), statistics.deviations()
    for c in range(4):
        np.testing.assert_allclose(averages[c], values[labels == c].mean(axis=0), rtol=1e-9)
        expected = values[labels == c].std(axis=0)
        np.testing.assert_allclose(deviations[c], expected, rtol=1e-6, atol=1e-9)
    assert statistics.counts.tolist() == [*np.bincount(labels), 0, 0]
    assert np.isnan(averages[4:]).all()
    assert np.isnan(deviations[4:]).all()


def test_statistics_do_not_grow_with_the_images():
    statistics = ClassStatistics(10)
    for seed in range(5):
        statistics.add(np.full((50, 7, 3), seed, np.float32), np.arange(50) % 10)
    kept = [v for v in vars(statistics).values() if isinstance(v, np.ndarray)]
    assert sum(array.nbytes for array in kept) == 2 * 10 * 21 * 8 + 10 * 8 + 21 * 4
    assert all(array.base is None for array in kept)


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


@pytest.mark.parametrize("metric", SCIPY)
def test_each_metric_is_scipys(metric):
    averages = np.random.default_rng(2).normal(size=(7, 3, 4))
    expected = squareform(pdist(averages.reshape(7, -1), SCIPY[metric]))
    np.testing.assert_allclose(distance_matrix(averages, metric), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 5), (9, 30)])  # fewer and more entries than images
def test_shrinkage_and_mahalanobis_are_scikit_learns(shape):
    values, labels = clouds(shape=shape)
    within = deviations_within(values, labels)
    np.testing.assert_allclose(within.mean(axis=0), 0, atol=1e-12)
    assert ledoit_wolf_shrinkage(within) == pytest.approx(
        ledoit_wolf(within, assume_centered=True)[1], rel=1e-9
    )
    flat = class_averages(values, labels).reshape(4, -1)
    covariance = LedoitWolf(assume_centered=True).fit(within).covariance_
    expected = cdist(flat, flat, "mahalanobis", VI=np.linalg.inv(covariance))
    found = distance_matrix(flat, "mahalanobis", within)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_mean_pairwise_is_the_mean_of_scipys_distances(metric):
    values, labels = clouds(images=40)
    flat = values.reshape(40, -1)
    if metric == "mahalanobis":
        within = deviations_within(values, labels)
        inverse = np.linalg.inv(LedoitWolf(assume_centered=True).fit(within).covariance_)
        table = cdist(flat, flat, metric, VI=inverse)
    else:
        table = cdist(flat, flat, SCIPY.get(metric, "euclidean"))
        table /= np.sqrt(flat.shape[1]) if metric == "rms" else 1
    found = mean_pairwise_distances(values, labels, metric, classes=5)
    for a in range(4):
        for b in range(4):
            block = table[np.ix_(labels == a, labels == b)]
            expected = block[~np.eye(len(block), dtype=bool)].mean() if a == b else block.mean()
            assert found[a, b] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(found[4]).all()


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(METRICS), st.floats(1e-3, 1e3), st.integers(1, 60), st.integers(0, 2**32 - 1)
)
def test_distances_are_symmetric_and_scale_as_they_should(metric, scale, size, seed):
    values, labels = clouds(shape=(size + 1,), seed=seed)
    averages, within = class_averages(values, labels), deviations_within(values, labels)
    distances = distance_matrix(averages, metric, within)
    np.testing.assert_array_equal(distances, distances.T)
    assert not distances.diagonal().any()
    assert (distances >= 0).all()
    factor = scale if metric in ("rms", "euclidean") else 1.0
    scaled = distance_matrix(scale * averages, metric, scale * within)
    np.testing.assert_allclose(scaled, factor * distances, rtol=1e-6, atol=1e-9 * factor)
    if metric not in ("cosine", "correlation"):
        moved = distance_matrix(averages + 3, metric, within)
        np.testing.assert_allclose(moved, distances, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_distances_to_a_class_without_images_are_nan_and_the_others_are_not(metric):
    values, labels = clouds()
    averages = np.concatenate([class_averages(values, labels), np.full((1, 3, 5), np.nan)])
    distances = distance_matrix(averages, metric, deviations_within(values, labels))
    assert np.isnan(distances[4, :4]).all()
    assert np.isfinite(distances[:4, :4]).all()


@pytest.mark.parametrize(
    ("averages", "metric", "within"),
    [
        ([[0.0, 0.0], [1.0, 2.0]], "cosine", None),
        ([[3.1, 3.1, 3.1], [1.0, 2.0, 4.0]], "correlation", None),
        ([[0.0, 1.0], [1.0, 0.0]], "mahalanobis", np.zeros((5, 2))),
    ],
)
def test_a_distance_without_meaning_is_nan(averages, metric, within):
    assert np.isnan(distance_matrix(averages, metric, within)[0, 1])


def test_scatter_ratio_of_a_case_counted_by_hand():
    # Means -1 and 3, weights 3/4 and 1/4: between 3; within 3/4 of 4 and 1/4 of 0: 3.
    assert scatter_ratio([[-1.0], [3.0], [np.nan]], [[2.0], [0.0], [np.nan]], [3, 1, 0]) == 1.0
    assert scatter_ratio([[0.0], [1.0]], [[0.0], [0.0]], [1, 1]) == np.inf


def test_scatter_within_and_between_make_up_the_whole_variance():
    values, labels = clouds()
    statistics = ClassStatistics(4)
    statistics.add(values, labels)
    found = scatter_ratio(statistics.averages(), statistics.deviations(), statistics.counts)
    within = np.sum(deviations_within(values, labels) ** 2)
    total = np.sum((values - values.mean(axis=0)) ** 2)
    assert found == pytest.approx((total - within) / within)


def test_corners_of_a_simplex_have_its_cosine():
    corners = 5 * np.eye(10) + 2  # moved and scaled
    cosines = centred_cosines(corners)
    assert simplex_cosine(10) == pytest.approx(-1 / 9)
    np.testing.assert_allclose(cosines[~np.eye(10, dtype=bool)], -1 / 9)
    np.testing.assert_allclose(cosines.diagonal(), 1)


def test_nearest_average_is_scikit_learns_and_never_a_class_without_images():
    values, labels = clouds()
    averages = class_averages(values, labels)
    expected = NearestCentroid().fit(values.reshape(80, -1), labels).predict(values.reshape(80, -1))
    with_empty = np.concatenate([averages, np.full((1, 3, 5), np.nan)])
    np.testing.assert_array_equal(nearest_average(values, averages), expected)
    np.testing.assert_array_equal(nearest_average(values, with_empty), expected)


def test_confusion_matrix_is_scikit_learns():
    labels, predictions = np.random.default_rng(3).integers(0, 5, (2, 200))
    expected = sklearn_confusion(labels, predictions, labels=range(6))
    np.testing.assert_array_equal(confusion_matrix(labels, predictions, 6), expected)


@pytest.mark.parametrize("seed", range(5))
def test_in_dendrogram_order_every_group_of_scipys_average_linkage_stands_together(seed):
    points = np.random.default_rng(seed).normal(size=(10, 3))
    distances = distance_matrix(points)
    order = dendrogram_order(distances)
    assert sorted(order) == list(range(10))
    groups = {i: {i} for i in range(10)}
    for step, (a, b, _, _) in enumerate(linkage(squareform(distances), "average")):
        groups[10 + step] = groups[int(a)] | groups[int(b)]
        places = sorted(order.index(c) for c in groups[10 + step])
        assert places == list(range(places[0], places[0] + len(places)))


def test_dendrogram_order_brings_back_points_on_a_line_and_takes_nan_for_far():
    places = np.array([[3.0], [0.0], [2.1], [1.05]])
    assert dendrogram_order(distance_matrix(places)) in ([1, 3, 2, 0], [0, 2, 3, 1])
    assert sorted(dendrogram_order(np.full((3, 3), np.nan))) == [0, 1, 2]
    assert dendrogram_order(np.zeros((1, 1))) == [0]


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


@pytest.mark.parametrize(
    ("shape", "labels", "message"),
    [((2, 3), [0, 2], "below the number of classes, 2"), ((2, 4), [0, 1], "the same shape")],
)
def test_a_batch_that_does_not_fit_is_refused(shape, labels, message):
    statistics = ClassStatistics(2)
    statistics.add(np.zeros((1, 3)), [0])
    with pytest.raises(ValueError, match=message):
        statistics.add(np.zeros(shape), labels)


@pytest.mark.parametrize(
    ("metric", "message"), [("manhattan", "choose one of rms"), ("mahalanobis", "give `within`")]
)
def test_a_metric_that_cannot_be_is_refused(metric, message):
    with pytest.raises(ValueError, match=message):
        distance_matrix(np.eye(3), metric)
