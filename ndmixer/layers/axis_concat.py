"""Each axis read out alone, the results side by side."""

from __future__ import annotations

from math import prod
from typing import Any

import keras
from keras import ops

from ndmixer.layers.dense_on_axis import DenseOnAxis


@keras.saving.register_keras_serializable(package="ndmixer")
class AxisConcat(keras.Layer):
    """Reduces each axis alone to length 1 and joins the flattened results.

    For a matrix: a weighted sum of its rows beside a weighted sum of its columns. The
    networks are `DenseOnAxis(1)`, named `axis_1`, `axis_2`, ..., and each sees the input.

    Args:
        **kwargs: `name`, `dtype` and the like, for `keras.Layer`.

    Input shape:
        `(batch, ...)`, with 1 to 25 axes besides the batch, all of known length.

    Output shape:
        `(batch, m)`; `m` sums, over the axes, the product of the lengths of all others.

    Example:
        >>> AxisConcat()(keras.ops.ones((2, 28, 14))).shape
        TensorShape([2, 42])
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nets: list[DenseOnAxis] = []

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.compute_output_shape(input_shape)  # checks that all lengths are known
        self.input_spec = keras.InputSpec(shape=(None, *input_shape[1:]))
        for axis in range(1, len(input_shape)):
            net = DenseOnAxis(1, axis=axis, dtype=self.dtype_policy, name=f"axis_{axis}")
            net.build(input_shape)
            self.nets.append(net)

    def call(self, inputs: Any) -> Any:
        parts = [net(inputs) for net in self.nets]
        return ops.concatenate([ops.reshape(p, (-1, prod(p.shape[1:]))) for p in parts], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        sizes = [size for size in input_shape[1:] if size is not None]
        if not sizes or len(sizes) < len(input_shape) - 1:
            raise ValueError(
                f"AxisConcat '{self.name}': the input needs at least one axis besides the batch, "
                f"and the lengths of all must be known. Received: {input_shape=}"
            )
        return (input_shape[0], sum(prod(sizes) // size for size in sizes))
