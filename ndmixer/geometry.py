"""Where the classes lie in a representation: averages and distances, in NumPy.

Everything here takes arrays, of any model, stage or file.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def class_averages(representations: ArrayLike, labels: ArrayLike) -> NDArray[np.floating]:
    """The mean representation of each class.

    Args:
        representations: Shape `(images, ...)`, any real dtype.
        labels: Shape `(images,)`, whole numbers from 0; every class up to the largest
            label must occur.

    Returns:
        Shape `(classes, ...)`; summed in float64, float32 if the representations are.

    Raises:
        ValueError: the lengths differ, or a class has no image.
    """
    values, classes = np.asarray(representations), np.asarray(labels)
    if classes.ndim != 1 or len(values) != len(classes) or not len(classes):
        raise ValueError(
            "give one label for each representation, and at least one. "
            f"Received: representations of shape {values.shape}, labels of shape {classes.shape}"
        )
    if not np.issubdtype(classes.dtype, np.integer) or classes.min() < 0:
        raise ValueError(
            "labels must be whole numbers from 0. "
            f"Received: dtype={classes.dtype}, smallest={classes.min()}"
        )
    counts = np.bincount(classes)
    if not counts.all():
        raise ValueError(
            "every class up to the largest label needs an image; renumber the labels. "
            f"Received: no image of class {int(np.argmin(counts))}"
        )
    flat = values.reshape(len(values), -1)
    averages = np.stack(
        [flat[classes == c].mean(axis=0, dtype=np.float64) for c in range(len(counts))]
    )
    dtype = np.result_type(values.dtype, np.float32)
    return averages.reshape(len(counts), *values.shape[1:]).astype(dtype)


def distance_matrix(averages: ArrayLike) -> NDArray[np.floating]:
    """Root-mean-square difference between all pairs of class averages.

    It is the Euclidean distance divided by the square root of the number of entries, so
    that stages of different shape compare.

    Args:
        averages: Shape `(classes, ...)`, any real dtype.

    Returns:
        Shape `(classes, classes)`, symmetric, 0 on the diagonal, in the units of the
        averages; float64.
    """
    values = np.asarray(averages, np.float64)
    flat = values.reshape(len(values), -1)
    difference = flat[:, None] - flat[None]
    return np.sqrt(np.mean(difference**2, axis=-1))
