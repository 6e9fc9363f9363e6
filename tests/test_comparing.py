"""Events as curves, and runs by the same measure."""

import numpy as np
import pytest

from ndmixer.comparing import MAX_POINTS, agreement, history


def test_events_become_curves_of_training_and_test():
    events = [
        {"phase": "loading", "step": 0},
        {"phase": "training", "step": 1, "elapsed": 0.5, "loss": 2.0, "accuracy": 0.1},
        {"phase": "compiling", "step": 1, "elapsed": 0.9, "loss": 2.0, "accuracy": 0.1},
        {"phase": "training", "step": 4, "elapsed": 2.0, "loss": None, "accuracy": 0.5},
        {"phase": "evaluating", "step": 4, "elapsed": 2.5, "val_loss": 1.0, "val_accuracy": 0.6},
        {"phase": "training", "step": 5, "elapsed": 3.0, "loss": 0.5, "accuracy": 0.7},
        {"end": "stopped"},
    ]
    found = history(events, "accuracy", train_images=100, batch_size=30)  # 4 steps an epoch
    np.testing.assert_array_equal(found.train.step, [1, 4, 5])
    np.testing.assert_array_equal(found.train.images, [30, 100, 130])
    np.testing.assert_array_equal(found.train.seconds, [0.5, 2, 3])
    np.testing.assert_array_equal(found.train.loss, [2, np.nan, 0.5])
    np.testing.assert_array_equal(found.test.score, [0.6])
    assert (found.step, found.images, found.seconds) == (5, 130, 3.0)


def test_a_run_is_judged_by_its_last_test_before_a_limit():
    events = [
        {"phase": "evaluating", "step": s, "elapsed": 2.0 * s, "val_loss": 1, "val_rmse": 1 / s}
        for s in (1, 2, 4)
    ]
    found = history(events, "rmse", 10, 5)
    assert found.test_at("seconds", 1.9) is None
    assert found.test_at("seconds", 7.9) == (0.5, 4.0)
    assert found.test_at("seconds", 8) == (0.25, 8.0)
    assert found.test_at("images", 19) == (0.5, 10.0)


def test_a_long_curve_is_averaged_at_its_last_steps():
    events = [
        {"phase": "training", "step": s, "elapsed": s / 10, "loss": s % 2, "accuracy": 0.5}
        for s in range(1, 2 * MAX_POINTS + 1)
    ]
    found = history(events, "accuracy", 64, 64).train
    assert len(found.step) == MAX_POINTS
    np.testing.assert_array_equal(found.step[[0, -1]], [2, 2 * MAX_POINTS])
    np.testing.assert_array_equal(found.loss, 0.5)


def test_a_run_without_events_has_empty_curves():
    found = history([], "accuracy", 0, 64)
    assert not len(found.train.step)
    assert not len(found.test.step)
    assert found.test_at("step", 100) is None


def test_the_agreement_of_two_matrices_counts_each_pair_once():
    table = np.random.default_rng(0).random((5, 5))
    table = table + table.T
    assert agreement(table, 3 * table + 1) == pytest.approx(1)
    assert agreement(table, -table) == pytest.approx(-1)
    other = table.copy()
    other[0] = other[:, 0] = np.nan
    assert agreement(table, other) == pytest.approx(1)
    assert np.isnan(agreement(table, np.ones((5, 5))))
