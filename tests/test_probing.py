import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid

from ndmixer.probing import linear_cka, nearest_mean_accuracy, probe_accuracy, spread_out


def unbiased_cka(x, y):
    """Straight from the formula of Song et al. (2012)."""

    def hsic(k, m):
        n = len(k)
        k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
        first = np.trace(k @ m) + k.sum() * m.sum() / ((n - 1) * (n - 2))
        return (first - 2 * (k @ m).sum() / (n - 2)) / (n * (n - 3))

    k, m = x @ x.T, y @ y.T
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 3, 4))
    return x, x.reshape(40, -1) @ random.normal(size=(12, 7)) + 2, random.normal(size=(40, 500))


def test_cka_is_that_of_the_formula(arrays):
    found = linear_cka(arrays)
    flat = [a.reshape(40, -1) for a in arrays]
    expected = [[unbiased_cka(a, b) for b in flat] for a in flat]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert abs(found[0, 2]) < 0.2  # unrelated, although of more entries than images


def test_cka_does_not_see_rotation_scale_and_shift(arrays):
    x = arrays[0].reshape(40, -1)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))
    np.testing.assert_allclose(linear_cka([x, -3 * x @ rotation + 5]), 1)


def test_cka_of_what_is_the_same_for_all_images_is_nan(arrays):
    found = linear_cka([arrays[0], np.ones((40, 2))])
    assert found[0, 0] == 1
    assert np.isnan(found[1]).all()
    with pytest.raises(ValueError, match="same, at least four images"):
        linear_cka([arrays[0], np.ones((39, 2))])


def test_rules_name_classes_as_scikit_learn_does():
    random = np.random.default_rng(0)
    labels = np.arange(300) % 3
    values = random.normal(size=(300, 2, 5)) + labels[:, None, None] * 0.4
    given = values[:200], labels[:200], values[200:], labels[200:]
    flat = values.reshape(300, -1)
    rule = NearestCentroid().fit(flat[:200], labels[:200])
    assert nearest_mean_accuracy(*given) == np.mean(rule.predict(flat[200:]) == labels[200:])
    apart = values + 20 * labels[:, None, None]
    assert probe_accuracy(apart[:200], labels[:200], apart[200:], labels[200:]) == 1
    assert probe_accuracy(*given) == probe_accuracy(*given) > 1 / 3
    assert np.isnan(probe_accuracy(values[:9], np.zeros(9, int), values, labels))


def test_moments_are_spread_over_the_logarithm_and_keep_both_ends():
    steps = [0, 50, 100, 200, 400, 800, *range(938, 9381, 938)]
    found = spread_out(steps, 6)
    assert found[0] == 0
    assert found[-1] == 9380
    assert len(found) <= 6
    assert set(found) <= set(steps)
    assert spread_out([0, 7], 6) == [0, 7]
