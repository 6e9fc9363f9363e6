"""Arrays as pictures; usable in a notebook."""

from math import ceil, prod, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

LONGEST_ROW = 32
GAP = np.nan  # what stands between the tiles of a tensor of more than two axes


def as_image(tensor: ArrayLike) -> NDArray[np.floating]:
    """Lays a tensor of any rank out as one matrix.

    A matrix stays as it is. A vector is one row; one of more than `LONGEST_ROW` numbers is
    folded, row by row, into a nearly square matrix. Of more axes the last two make tiles,
    in a grid that is as nearly square as their number permits, one column or row of NaN
    between two tiles.

    Args:
        tensor: Any shape, any real dtype.

    Returns:
        A matrix, floating; NaN where there is nothing.
    """
    values = np.asarray(tensor)
    values = values.astype(np.result_type(values.dtype, np.float16), copy=False)
    if values.ndim == 2:
        return values
    if values.ndim < 2:
        return _folded(values.reshape(-1))
    height, width = values.shape[-2:]
    tiles = values.reshape(prod(values.shape[:-2]), height, width)
    columns = max(1, round(sqrt(len(tiles) * height / width)))
    columns = min(len(tiles), columns)
    rows = ceil(len(tiles) / columns)
    image = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), GAP, values.dtype)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = row * (height + 1), column * (width + 1)
        image[top : top + height, left : left + width] = tile
    return image


def _folded(vector: NDArray[np.floating]) -> NDArray[np.floating]:
    if vector.size <= LONGEST_ROW:
        return vector[None]
    width = ceil(sqrt(vector.size))
    # A divisor close to the root leaves no gap: 784 is 28 by 28, 32 is 4 by 8.
    width = next(
        (w for w in range(width, min(2 * width, vector.size) + 1) if vector.size % w == 0), width
    )
    padded = np.full(ceil(vector.size / width) * width, GAP, vector.dtype)
    padded[: vector.size] = vector
    return padded.reshape(-1, width)
