"""Images beside what an autoencoder makes of them, in NumPy."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Order = Literal["best", "worst", "random", "in order"]
ORDERS: tuple[Order, ...] = get_args(Order)


def image_errors(images: ArrayLike, outputs: ArrayLike) -> NDArray[np.float64]:
    """Root-mean-square error of each image.

    Args:
        images: Shape `(images, ...)`.
        outputs: As many, each any reshape of an image.

    Returns:
        Shape `(images,)`; the root of the mean of its squares is the RMSE of all.
    """
    wanted = np.asarray(images)
    made = np.asarray(outputs).reshape(wanted.shape)
    difference = (made - wanted).reshape(len(wanted), -1).astype(np.float64)
    return np.sqrt(np.mean(difference**2, axis=1))


def page_of(errors: ArrayLike, order: Order, count: int, page: int = 0) -> NDArray[np.int64]:
    """Which images are shown on one of several pages.

    Args:
        errors: Shape `(images,)`; what is not a number is worst.
        order: By error, in an order that is random but always the same, or as they come.
        count: Images on a page.
        page: From 0; beyond the last one there is none.

    Returns:
        Indices of at most `count` images.

    Raises:
        ValueError: there is no such order.
    """
    values = np.asarray(errors, np.float64)
    if order not in ORDERS:
        raise ValueError(f"choose one of {', '.join(ORDERS)}. Received: order={order!r}")
    if order == "random":
        indices = np.random.default_rng(0).permutation(len(values))
    elif order == "in order":
        indices = np.arange(len(values))
    else:
        indices = np.argsort(np.where(np.isnan(values), np.inf, values), kind="stable")
        indices = indices[::-1] if order == "worst" else indices
    return indices[page * count : (page + 1) * count]


def blend(ends: ArrayLike, count: int) -> NDArray[np.floating]:
    """Arrays in equal steps from one to another, both ends among them.

    Args:
        ends: The two, shape `(2, ...)`, floating.
        count: How many, at least 2.

    Returns:
        Shape `(count, ...)`, of the same dtype.
    """
    first, second = np.asarray(ends)
    share = np.linspace(0, 1, count, dtype=first.dtype).reshape(-1, *(1,) * first.ndim)
    return (1 - share) * first + share * second
