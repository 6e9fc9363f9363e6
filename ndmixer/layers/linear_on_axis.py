"""A linear map along one axis of a tensor."""

from __future__ import annotations

from typing import Any

from keras import ops

from ndmixer.equation import axis_equation, normalize_axis


def linear_on_axis(x: Any, kernel: Any, bias: Any = None, axis: int = -1) -> Any:
    """Applies one kernel along one axis, the same for all other indices.

    Args:
        x: Tensor of shape `(batch, ...)` with 1 to 25 axes besides the batch.
        kernel: Tensor of shape `(n, units)`, where `n` is the length of `axis`.
        bias: Optional tensor of shape `(units,)`, added along `axis`.
        axis: Integer, the axis the kernel is applied along; not 0, the batch.

    Returns:
        A tensor of the shape of `x`, with `units` in place of `n`.

    Example:
        >>> x = np.ones((2, 3, 4), "float32")
        >>> linear_on_axis(x, np.ones((3, 5), "float32"), axis=1).shape
        TensorShape([2, 5, 4])
    """
    shape, kernel_shape = tuple(x.shape), tuple(kernel.shape)
    shapes = f"x.shape={shape}, kernel.shape={kernel_shape}"
    if bias is not None:
        shapes += f", bias.shape={tuple(bias.shape)}"
    received = f"Received: axis={axis}, {shapes}"
    try:
        equation = axis_equation(len(shape), axis)
        axis = normalize_axis(axis, len(shape))
    except ValueError as error:
        raise ValueError(f"linear_on_axis: {error}, {shapes}") from None
    if len(kernel_shape) != 2:
        raise ValueError(f"linear_on_axis: the kernel must have shape (n, units). {received}")
    n, units = kernel_shape
    if shape[axis] not in (n, None):
        raise ValueError(
            f"linear_on_axis ({equation}): axis {axis} of x has length {shape[axis]}, but the "
            f"kernel has {n} rows; use a kernel of shape ({shape[axis]}, units) or another axis. "
            f"{received}"
        )
    if bias is not None and tuple(bias.shape) != (units,):
        raise ValueError(
            f"linear_on_axis ({equation}): the bias must have one number for each of the kernel's "
            f"{units} columns, so shape ({units},). {received}"
        )
    y = ops.einsum(equation, x, kernel)
    if bias is None:
        return y
    # The bias comes first: Keras 3.15 turns ops.add(y, bias) into a bias along the last axis
    # whenever that has `units` elements too, as in every square image.
    return ops.add(ops.reshape(bias, (units,) + (1,) * (len(shape) - 1 - axis)), y)
