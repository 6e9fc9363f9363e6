"""Lists of images against loops."""

import numpy as np
import pytest

from ndmixer.datasets import dataset_info
from ndmixer.images import image_name, listed, named_image, neighbours, softmax

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 4, 60)
LOGITS = RANDOM.normal(size=(60, 4)) * 3


@pytest.mark.parametrize("label", [None, 2])
def test_a_walk_holds_what_its_name_says(label):
    shares = softmax(LOGITS)
    np.testing.assert_allclose(shares, np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1)[:, None])
    of_class = [i for i in range(60) if label is None or LABELS[i] == label]
    wrong = [i for i in of_class if max(range(4), key=lambda c: LOGITS[i, c]) != LABELS[i]]
    sure = sorted(of_class, key=lambda i: -max(shares[i]))
    assert listed(LABELS, "all", label).tolist() == of_class
    assert listed(LABELS, "mistakes", label, shares).tolist() == wrong
    assert listed(LABELS, "confident", label, shares).tolist() == sure
    assert listed(LABELS, "doubtful", label, shares).tolist() == sure[::-1]


def test_an_autoencoder_has_no_mistakes():
    with pytest.raises(ValueError, match="only a classifier"):
        listed(LABELS, "mistakes")


def test_a_walk_begins_again_at_its_end():
    walk = np.array([3, 7, 9])
    assert neighbours(walk, 7, True) == (3, 9, 1)
    assert neighbours(walk, 9, True) == (7, 3, 2)
    assert neighbours(walk, 8, True) == (7, 9, -1)
    assert neighbours(walk, 99, True) == (9, 3, -1)
    assert neighbours(np.array([9, 3, 7]), 4, False) == (7, 9, -1)


def test_a_name_in_an_address_is_checked():
    mnist = dataset_info("mnist")
    assert named_image(image_name("train", 59_999), mnist) == ("train", 59_999)
    assert named_image("test-123", mnist) == ("test", 123)
    for name in (None, "", "test-10000", "test--1", "test-1.5", "valid-1", "test-1; x", "train-"):
        assert named_image(name, mnist) is None


def test_probabilities_of_what_is_not_finite_are_unknown():
    assert np.isnan(softmax(np.array([np.inf, 0.0]))).any()
    assert softmax(np.array([1e4, 0.0])).tolist() == [1, 0]
