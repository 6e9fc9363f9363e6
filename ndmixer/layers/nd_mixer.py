"""A network along each axis in turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import keras

from ndmixer.layers._checks import positive_int
from ndmixer.layers.dense_on_axis import DenseOnAxis
from ndmixer.layers.mlp_on_axis import MLPOnAxis
from ndmixer.layers.scalar_gate import ScalarGate


@keras.saving.register_keras_serializable(package="ndmixer")
class NdMixer(keras.Layer):
    """Applies one network along each axis in turn, then an optional gate.

    The networks are `nets[0]`, `nets[1]`, ..., named `axis_1`, `axis_2`, ... after the
    axis each works along.

    Args:
        out_shape: Tuple of positive integers, the output shape without the batch.
        net: `"mlp"` for an `MLPOnAxis` along each axis, `"dense"` for a linear `DenseOnAxis`.
        hidden_size: Positive integer, the width inside each MLP; `None` for the output
            length of each axis. `None` with `net="dense"`, which has no hidden layer.
        gate: Boolean, whether to end with a `ScalarGate`, named `gate`.
        activation: Activation function inside each MLP; unused with `net="dense"`.
        **kwargs: `name`, `dtype` and the like, for `keras.Layer`.

    Input shape:
        `(batch, ...)`, with as many axes besides the batch as `out_shape` has: 1 to 25.

    Output shape:
        `(batch, *out_shape)`.

    Example:
        >>> x = keras.ops.ones((2, 28, 14))
        >>> NdMixer((10, 4), hidden_size=32, gate=False)(x).shape
        TensorShape([2, 10, 4])
    """

    def __init__(
        self,
        out_shape: Iterable[int],
        net: Literal["mlp", "dense"] = "mlp",
        hidden_size: int | None = None,
        gate: bool = True,
        activation: Any = "gelu",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(out_shape, Iterable):
            raise ValueError(
                "out_shape must be a tuple of positive integers, without the batch. "
                f"Received: {out_shape=}"
            )
        self.out_shape = tuple(positive_int(f"out_shape[{i}]", n) for i, n in enumerate(out_shape))
        if not self.out_shape:
            raise ValueError("out_shape must have at least one axis. Received: out_shape=()")
        if net not in ("mlp", "dense"):
            raise ValueError(f"net must be 'mlp' or 'dense'. Received: {net=}")
        if net == "dense" and hidden_size is not None:
            raise ValueError(
                "net='dense' has no hidden layer; leave hidden_size out, or choose net='mlp'. "
                f"Received: {net=}, {hidden_size=}"
            )
        self.net = net
        self.hidden_size = None if hidden_size is None else positive_int("hidden_size", hidden_size)
        self.has_gate = bool(gate)
        self.activation = keras.activations.get(activation)
        self.nets: list[DenseOnAxis | MLPOnAxis] = []
        self.gate: ScalarGate | None = None

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.compute_output_shape(input_shape)  # checks the number of axes
        shape = (None, *input_shape[1:])
        self.input_spec = keras.InputSpec(shape=shape)
        for axis, units in enumerate(self.out_shape, start=1):
            common = {"axis": axis, "dtype": self.dtype_policy, "name": f"axis_{axis}"}
            if self.net == "dense":
                net = DenseOnAxis(units, **common)
            else:
                net = MLPOnAxis(
                    units, hidden_size=self.hidden_size, activation=self.activation, **common
                )
            net.build(shape)
            shape = net.compute_output_shape(shape)
            self.nets.append(net)
        if self.has_gate:
            self.gate = ScalarGate(dtype=self.dtype_policy, name="gate")
            self.gate.build(shape)

    def call(self, inputs: Any) -> Any:
        h = inputs
        for net in self.nets:
            h = net(h)
        return h if self.gate is None else self.gate(h)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        if len(input_shape) != len(self.out_shape) + 1:
            raise ValueError(
                f"NdMixer '{self.name}': the input must have as many axes besides the batch as "
                f"out_shape, {len(self.out_shape)}, but it has {len(input_shape) - 1}; change "
                "out_shape or reshape the input. "
                f"Received: out_shape={self.out_shape}, {input_shape=}"
            )
        return (input_shape[0], *self.out_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "out_shape": self.out_shape,
            "net": self.net,
            "hidden_size": self.hidden_size,
            "gate": self.has_gate,
            "activation": keras.activations.serialize(self.activation),
        }
