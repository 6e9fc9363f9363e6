"""Drawings and photographs as images of the kind that MNIST holds: NumPy alone."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIZE = 28  # of an MNIST image, each way
BOX = 20  # the longer side of a digit in it
INK = 0.2  # of the darkest point; what is fainter is paper, or the soft edge of a stroke
LEAST_CONTRAST = 0.05  # between ink and paper of a photograph


def like_mnist(drawing: ArrayLike) -> NDArray[np.float32]:
    """Prepares a drawing as the digits of MNIST were.

    The digit is cropped and fitted into 20 x 20, its proportions kept, each new pixel the
    mean of the area it covers; then it is moved, by whole pixels, so that its centre of mass
    lies in the middle of 28 x 28.

    Args:
        drawing: Shape `(height, width)`, ink above 0 on paper of 0, any scale.

    Returns:
        Shape `(28, 28)`, from 0 to 1.

    Raises:
        ValueError: there is no ink, or it is no finite matrix.
    """
    ink = np.asarray(drawing, np.float64)
    if ink.ndim != 2 or not ink.size or not np.isfinite(ink).all():
        raise ValueError(f"a drawing is a finite matrix. Received: shape {ink.shape}")
    darkest = ink.max()
    if darkest <= 0:
        raise ValueError("there is nothing drawn yet; draw a digit. Received: no ink")
    ink = np.clip(ink / darkest, 0, 1)
    rows, columns = (np.flatnonzero((ink > INK).any(axis=axis)) for axis in (1, 0))
    digit = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    longer = max(digit.shape)
    height, width = (max(1, round(BOX * side / longer)) for side in digit.shape)
    digit = area_mean(digit, height, width)
    image = np.zeros((SIZE, SIZE), np.float32)
    top, left = (_start(digit.sum(axis=axis)) for axis in (1, 0))
    image[top : top + height, left : left + width] = digit
    return image


def _start(profile: NDArray[np.float64]) -> int:
    """Where a digit begins along one axis; it stays inside.

    In every image of MNIST the centre of mass lies in the pixel that begins in the middle.
    """
    centre = profile @ (np.arange(len(profile)) + 0.5) / profile.sum()
    return int(np.clip(np.ceil(SIZE / 2 - centre), 0, SIZE - len(profile)))


def area_mean(image: ArrayLike, height: int, width: int) -> NDArray[np.float64]:
    """Another size of an image, each new pixel the mean of the area that it covers.

    Args:
        image: Shape `(rows, columns, ...)`.
        height: Rows of the result.
        width: Columns of the result.

    Returns:
        Shape `(height, width, ...)`.
    """
    values = np.asarray(image, np.float64)
    values = np.tensordot(_areas(values.shape[0], height), values, 1)
    return np.moveaxis(np.tensordot(_areas(values.shape[1], width), values, (1, 1)), 0, 1)


def _areas(size: int, new: int) -> NDArray[np.float64]:
    """How much of each old pixel lies in each new one, shape `(new, size)`, rows of sum 1."""
    edges = np.linspace(0, size, new + 1)
    pixels = np.arange(size)
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + 1)
    return np.clip(high - low, 0, None) * new / size


def ink_of_photo(grey: ArrayLike) -> NDArray[np.float64]:
    """The ink in a photograph or scan of one digit, whichever of ink and paper is darker.

    The paper is what the edge of the picture shows; half as strong as the strongest ink or
    more is ink for sure, and what is nearly paper is paper.

    Args:
        grey: Shape `(height, width)`, any scale.

    Returns:
        The same shape, from 0, paper, to 1, ink.

    Raises:
        ValueError: nothing stands out from the paper.
    """
    values = np.asarray(grey, np.float64)
    edge = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    away = values - np.median(edge)
    darker, lighter = -away.min(), away.max()
    strength = -away if darker > lighter else away
    most = strength.max()
    span = max(np.abs(values).max(), 1e-12)
    if most < LEAST_CONTRAST * span:
        raise ValueError("nothing stands out in this picture; choose one with a clear digit")
    # Noise and shadows of the paper are no ink: the crop would take them in.
    return np.clip((strength / most - 0.2) / 0.4, 0, 1)
