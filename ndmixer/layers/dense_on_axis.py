"""A dense layer along one axis."""

from __future__ import annotations

from typing import Any

import keras

from ndmixer.layers._checks import axis_output_shape, axis_spec, layer_axis, positive_int
from ndmixer.layers.linear_on_axis import linear_on_axis


@keras.saving.register_keras_serializable(package="ndmixer")
class DenseOnAxis(keras.Layer):
    """Dense layer along one axis, the same for all other indices.

    Args:
        units: Positive integer, the length of the axis in the output.
        axis: Integer, the axis to work along; not 0, the batch.
        activation: Activation function, by name or callable; `None` for a linear layer.
        kernel_initializer: Initializer of the kernel, of shape `(n, units)`.
        bias_initializer: Initializer of the bias, of shape `(units,)`.
        **kwargs: `name`, `dtype` and the like, for `keras.Layer`.

    Input shape:
        `(batch, ...)`, with 1 to 25 axes besides the batch; `n` is the length of `axis`.

    Output shape:
        The input shape, with `units` in place of `n`.

    Example:
        >>> x = keras.ops.ones((2, 28, 14))
        >>> DenseOnAxis(10, axis=1)(x).shape
        TensorShape([2, 10, 14])
    """

    def __init__(
        self,
        units: int,
        axis: int = -1,
        activation: Any = None,
        kernel_initializer: Any = "he_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = positive_int("units", units)
        self.axis = layer_axis(axis)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.input_spec = axis_spec(self, input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[self.axis], self.units),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.units,), initializer=self.bias_initializer
        )

    def call(self, inputs: Any) -> Any:
        return self.activation(linear_on_axis(inputs, self.kernel, self.bias, self.axis))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return axis_output_shape(self, input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "axis": self.axis,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
