"""The einsum equation of a kernel applied along one axis: pure, with no framework behind it."""

from __future__ import annotations

import operator
from string import ascii_letters

MAX_AXES = 25  # with the batch, 26: as far as the letters a..z go


def normalize_axis(axis: int, ndim: int) -> int:
    """Returns `axis` counted from the front, in `1..ndim - 1`.

    Args:
        axis: Integer, the axis of a tensor; negative values count from the end.
        ndim: Integer, the tensor's number of dimensions, the batch included.

    Raises:
        ValueError: If `axis` is the batch axis, or if there is no such axis.
    """
    try:
        axis, ndim = operator.index(axis), operator.index(ndim)
    except TypeError:
        raise ValueError(f"axis and ndim must be integers. Received: {axis=}, {ndim=}") from None
    if ndim < 2:
        raise ValueError(
            "the tensor must have at least one axis besides the batch, so ndim >= 2. "
            f"Received: {axis=}, {ndim=}"
        )
    if axis in (0, -ndim):
        raise ValueError(
            f"axis 0 is the batch axis; choose 1..{ndim - 1}. Received: {axis=}, {ndim=}"
        )
    if not -ndim < axis < ndim:
        raise ValueError(
            f"there is no such axis; choose 1..{ndim - 1}, or -{ndim - 1}..-1. "
            f"Received: {axis=}, {ndim=}"
        )
    return axis % ndim


def axis_equation(ndim: int, axis: int) -> str:
    """Returns the einsum equation that applies a kernel `(n, units)` along one axis.

    Args:
        ndim: Integer, the input's number of dimensions, the batch included.
        axis: Integer, the axis the kernel is applied along; not 0, the batch.

    Example:
        >>> axis_equation(ndim=3, axis=1)
        'abc,bd->adc'
    """
    axis = normalize_axis(axis, ndim)
    if ndim > MAX_AXES + 1:
        raise ValueError(
            f"at most {MAX_AXES} axes besides the batch are supported; reshape the tensor to "
            f"fewer axes first. Received: {axis=}, {ndim=}"
        )
    before, n, after = ascii_letters[:axis], ascii_letters[axis], ascii_letters[axis + 1 : ndim]
    units = ascii_letters[ndim]
    return f"{before}{n}{after},{n}{units}->{before}{units}{after}"
