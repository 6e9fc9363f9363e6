"""One learnable scalar."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ndmixer")
class ScalarGate(keras.Layer):
    """Multiplies its input by one learnable scalar, 0 at the start.

    At the end of a residual block it makes the untrained block the identity.

    Args:
        **kwargs: `name`, `dtype` and the like, for `keras.Layer`.

    Input shape:
        Any.

    Output shape:
        The input shape.

    Example:
        >>> gate = ScalarGate()
        >>> float(keras.ops.sum(gate(keras.ops.ones((2, 3)))))
        0.0
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.value = self.add_weight(name="value", shape=(), initializer="zeros")

    def call(self, inputs: Any) -> Any:
        return ops.multiply(inputs, self.value)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return tuple(input_shape)
