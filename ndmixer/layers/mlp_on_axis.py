"""A multilayer perceptron along one axis."""

from __future__ import annotations

from typing import Any

import keras

from ndmixer.layers._checks import axis_output_shape, axis_spec, layer_axis, positive_int
from ndmixer.layers.dense_on_axis import DenseOnAxis


@keras.saving.register_keras_serializable(package="ndmixer")
class MLPOnAxis(keras.Layer):
    """Two dense layers along one axis, with an activation between them.

    Args:
        units: Positive integer, the length of the axis in the output.
        axis: Integer, the axis to work along; not 0, the batch.
        hidden_size: Positive integer, the length of the axis between the two layers;
            `None` for `units`.
        activation: Activation function between the two layers, by name or callable. In
            Keras 3 `"gelu"` is the exact one, `x * (1 + erf(x / sqrt(2))) / 2`.
        **kwargs: `name`, `dtype` and the like, for `keras.Layer`.

    Input shape:
        `(batch, ...)`, with 1 to 25 axes besides the batch; `n` is the length of `axis`.

    Output shape:
        The input shape, with `units` in place of `n`.

    Example:
        >>> x = keras.ops.ones((2, 28, 14))
        >>> MLPOnAxis(10, axis=1, hidden_size=64)(x).shape
        TensorShape([2, 10, 14])
    """

    def __init__(
        self,
        units: int,
        axis: int = -1,
        hidden_size: int | None = None,
        activation: Any = "gelu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_int("units", units)
        self.axis = layer_axis(axis)
        self.hidden_size = None if hidden_size is None else positive_int("hidden_size", hidden_size)
        self.activation = keras.activations.get(activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.input_spec = axis_spec(self, input_shape)
        hidden_size = self.units if self.hidden_size is None else self.hidden_size
        self.dense_1 = DenseOnAxis(
            hidden_size, self.axis, self.activation, dtype=self.dtype_policy, name="dense_1"
        )
        self.dense_2 = DenseOnAxis(self.units, self.axis, dtype=self.dtype_policy, name="dense_2")
        self.dense_1.build(input_shape)
        self.dense_2.build(self.dense_1.compute_output_shape(input_shape))

    def call(self, inputs: Any) -> Any:
        return self.dense_2(self.dense_1(inputs))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return axis_output_shape(self, input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "axis": self.axis,
            "hidden_size": self.hidden_size,
            "activation": keras.activations.serialize(self.activation),
        }
