"""How the representations of one image are looked at: as a picture, and as what a block adds."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ndmixer.accounting import accounting
from ndmixer.figures import as_image
from ndmixer.spec import ModelSpec

Others = Literal["tiles", "mean", "index"]


def arranged(
    tensor: ArrayLike,
    rows: int = -2,
    columns: int = -1,
    others: Others = "tiles",
    index: tuple[int, ...] = (),
) -> NDArray[np.floating]:
    """A tensor with two of its axes as those of a picture.

    Args:
        tensor: Any shape; one of fewer than three axes is left to `as_image`.
        rows: The axis that becomes the rows, counted from 0.
        columns: The axis that becomes the columns.
        others: The other axes as tiles, their mean, or one index of each.
        index: One index for each other axis, in order; one too large is the last.

    Returns:
        A matrix, floating; NaN where there is nothing.

    Raises:
        ValueError: rows and columns are the same axis.
    """
    values = np.asarray(tensor)
    if values.ndim < 3:
        return as_image(values)
    rows, columns = rows % values.ndim, columns % values.ndim
    if rows == columns:
        raise ValueError(f"choose two axes. Received: rows={rows}, columns={columns}")
    rest = [axis for axis in range(values.ndim) if axis not in (rows, columns)]
    values = values.transpose(*rest, rows, columns)
    if others == "mean":
        values = values.mean(axis=tuple(range(len(rest))))
    elif others == "index":
        for place in index:
            values = values[min(place, len(values) - 1)]
    return as_image(values)


def changes(spec: ModelSpec, values: Mapping[str, NDArray[np.float32]]) -> dict[str, np.ndarray]:
    """What each block, and each axis within it, adds to what it is given.

    Args:
        spec: The architecture.
        values: The representation at every stage.

    Returns:
        Its output minus its input for every block and every axis, by the names of the
        stages, in order: the input of an axis is the output of the axis before.
    """
    found: dict[str, np.ndarray] = {}
    before = "input"
    for stage in accounting(spec).stages:
        given = before
        for axis in stage.axes:
            found[axis.name] = values[axis.name] - values[given]
            given = axis.name
        if stage.axes:
            found[stage.name] = values[stage.name] - values[before]
        before = stage.name
    return found
