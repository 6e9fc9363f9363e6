"""One pass through a model against all of its representations at once."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ndmixer import ModelSpec, accounting
from ndmixer.geometry import (
    METRICS,
    class_averages,
    deviations_within,
    distance_matrix,
    mean_pairwise_distances,
    scatter_ratio,
)
from ndmixer.inspection import class_distances, class_pass, class_summary, looked_at
from ndmixer.representations import representations

SPEC = ModelSpec(in_shape=(3, 4), repr_shape=(5, 2), out_shape=(2, 3), depth=2, num_classes=4)
STAGE = "block_1/axis_2"


@pytest.fixture(scope="module")
def case():
    random = np.random.default_rng(0)
    shapes = accounting(SPEC).weights.items()
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes}
    images = random.random((61, 3, 4), np.float32)
    labels = np.r_[np.arange(4), random.integers(0, 4, 57)]
    return weights, images, labels, representations(SPEC, weights, images)


@pytest.mark.parametrize("batch", [7, 2_000])
def test_a_pass_is_what_all_representations_say(case, batch, monkeypatch):
    monkeypatch.setattr("ndmixer.representations.LARGEST_BATCH", batch)
    weights, images, labels, values = case
    passed = class_pass(SPEC, weights, images, labels, 5, STAGE)
    main = ("input", "embed", "block_0", STAGE, "block_1", "head", "logits")
    assert tuple(passed.statistics) == looked_at(SPEC, STAGE) == main
    np.testing.assert_array_equal(passed.predictions, values["logits"].argmax(axis=1))
    for name in main:
        averages = passed.statistics[name].averages()
        np.testing.assert_allclose(averages[:4], class_averages(values[name], labels), rtol=1e-4)
        assert np.isnan(averages[4]).all()
        first = class_averages(values[name][:30], labels[:30])
        away = np.abs(values[name][30:, None] - first) ** 2
        nearest = away.reshape(31, 4, -1).sum(axis=-1).argmin(axis=1)
        assert passed.nearest_accuracy[name] == np.mean(nearest == labels[30:])
    summary = class_summary(passed, STAGE)
    assert summary["averages"].shape == summary["deviations"].shape == (5, 5, 2)
    assert summary["counts"].tolist() == [*np.bincount(labels), 0]
    at = list(summary["stages"]).index(STAGE)
    means = class_averages(values[STAGE], labels).reshape(4, -1)
    expected = 1 - cdist(*[means - means.mean(axis=0)] * 2, "cosine")
    np.testing.assert_allclose(summary["cosines"][at][:4, :4], expected, atol=1e-4)
    within = deviations_within(values[STAGE], labels)
    spread = np.stack([np.sqrt((within[labels == c] ** 2).mean(axis=0)) for c in range(4)])
    expected = scatter_ratio(class_averages(values[STAGE], labels), spread, np.bincount(labels))
    assert summary["scatter"][at] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_distances_at_every_stage_are_those_of_its_representations(case, metric, pairs):
    weights, images, labels, values = case
    passed = class_pass(SPEC, weights, images, labels, 4, "embed")
    found, sample = class_distances(SPEC, weights, images, labels, passed, metric, pairs)
    assert sample == (61 if pairs or metric == "mahalanobis" else 0)
    for name, distances in zip(passed.statistics, found, strict=True):
        if pairs:
            expected = mean_pairwise_distances(values[name], labels, metric)
        else:
            averages, within = class_averages(values[name], labels), None
            if metric == "mahalanobis":
                within = deviations_within(values[name], labels)
            expected = distance_matrix(averages, metric, within)
        np.testing.assert_allclose(distances, expected, rtol=1e-3, atol=1e-5)


def test_an_autoencoder_names_no_class(case):
    _, images, labels, _ = case
    spec = ModelSpec(task="autoencoder", in_shape=(3, 4), repr_shape=(2, 2), depth=0)
    weights = {name: np.ones(shape) for name, shape in accounting(spec).weights.items()}
    passed = class_pass(spec, weights, images, labels, 4, "embed")
    assert "predictions" not in class_summary(passed, "embed")


def test_a_stage_that_is_not_there_is_refused(case):
    weights, images, labels, _ = case
    with pytest.raises(ValueError, match=r"stages of this model are .* Received: 'block_9'"):
        class_pass(SPEC, weights, images, labels, 4, "block_9")
