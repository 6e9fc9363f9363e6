"""Drawings prepared as MNIST was, against MNIST itself."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, zoom

from ndmixer import load_dataset
from ndmixer.digits import BOX, SIZE, area_mean, ink_of_photo, like_mnist

PAD = 140


def played(image, side, top, left, order=1):
    """An image as a drawing on the pad: enlarged, smoothly or in squares, and put somewhere."""
    large = np.clip(zoom(image, side / SIZE, order=order, mode="nearest", grid_mode=True), 0, 1)
    pad = np.zeros((PAD, PAD))
    pad[top : top + side, left : left + side] = large
    return pad


@pytest.mark.parametrize(("order", "away"), [(0, 0.002), (1, 0.04), (3, 0.04)])
@pytest.mark.parametrize(("side", "top", "left"), [(140, 0, 0), (84, 50, 7)])
def test_a_test_image_that_is_drawn_comes_back(side, top, left, order, away):
    data = load_dataset("mnist")
    images, labels = data.x_test[:100], data.y_test[:100]
    found = np.stack([like_mnist(played(image, side, top, left, order)) for image in images])
    assert found.dtype == np.float32
    assert found.shape == (100, SIZE, SIZE)
    assert np.abs(found - images).mean() < away
    # Whoever knows training images, and asks for the nearest, is right about as many drawings.
    known = data.x_train[:6_000].reshape(6_000, -1)
    right = []
    for given in (images, found):
        distances = (known**2).sum(axis=1) - 2 * given.reshape(100, -1) @ known.T
        right.append(np.count_nonzero(data.y_train[distances.argmin(axis=1)] == labels))
    assert right[1] >= right[0] - 1


@pytest.mark.parametrize("shape", [(90, 30), (30, 90), (3, 120), (1, 1)])
def test_a_drawing_is_fitted_and_centred(shape):
    drawing = np.zeros((PAD, PAD))
    drawing[10 : 10 + shape[0], 17 : 17 + shape[1]] = 200
    found = like_mnist(drawing)
    rows, columns = (np.flatnonzero(found.any(axis=axis)) for axis in (1, 0))
    sides = len(rows), len(columns)
    assert max(sides) == BOX
    assert sides == tuple(max(1, round(BOX * side / max(shape))) for side in shape)
    assert found.max() == pytest.approx(1)
    assert all(13.5 <= place < 14.5 for place in np.round(center_of_mass(found), 9))


def test_a_mean_over_areas_keeps_the_mean():
    random = np.random.default_rng(0)
    image = random.random((6, 10, 3))
    np.testing.assert_allclose(
        area_mean(image, 3, 5), image.reshape(3, 2, 5, 2, 3).mean(axis=(1, 3))
    )
    for size in ((4, 7), (13, 29)):
        found = area_mean(image, *size)
        assert found.shape == (*size, 3)
        np.testing.assert_allclose(found.mean(axis=(0, 1)), image.mean(axis=(0, 1)))


@pytest.mark.parametrize("invert", [False, True])
def test_ink_is_found_on_light_and_on_dark_paper(invert):
    random = np.random.default_rng(0)
    digit = load_dataset("mnist").x_test[0]
    photo = 0.85 - 0.7 * played(digit, 140, 0, 0) + random.normal(0, 0.01, (PAD, PAD))
    photo = 1 - photo if invert else photo
    assert np.abs(like_mnist(ink_of_photo(255 * photo)) - digit).mean() < 0.05


@pytest.mark.parametrize(
    ("drawing", "message"),
    [
        (np.zeros((5, 5)), "nothing drawn yet"),
        (np.zeros(5), "a finite matrix"),
        (np.full((2, 2), np.nan), "a finite matrix"),
    ],
)
def test_what_is_no_drawing_is_refused(drawing, message):
    with pytest.raises(ValueError, match=message):
        like_mnist(drawing)


def test_an_empty_photo_is_refused():
    with pytest.raises(ValueError, match="nothing stands out"):
        ink_of_photo(np.full((20, 20), 200))
