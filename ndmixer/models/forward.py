"""The same computation as `build_model`, as a pure function with the batch as last axis.

With the batch last, mixing along any axis is a product of the small kernel with long
contiguous rows, in the forward and in the backward pass, and nothing is transposed.
"""

from collections.abc import Callable, Iterator, Mapping
from math import pi, prod, sqrt
from typing import Any

import keras
import tensorflow as tf

from ndmixer.accounting import Linear, Stage, accounting
from ndmixer.spec import ModelSpec


def forward(
    spec: ModelSpec, weights: Mapping[str, tf.Tensor], x: tf.Tensor
) -> Iterator[tuple[str, tf.Tensor]]:
    """Runs a model stage by stage.

    Args:
        spec: The architecture.
        weights: Its weights by the names of `accounting(spec).weights`.
        x: Images, shape `(*spec.in_shape, batch)`. The static shape must be known.

    Yields:
        Name and value of every stage in the order of `stages(spec)`, shape
        `(*stage.shape, batch)`. The last one is the model's output.
    """
    first, *others = accounting(spec).stages
    yield first.name, x
    for stage in others:
        for name, value in _stage(spec, stage, weights, x):
            yield name, value
        x = value


def _stage(
    spec: ModelSpec,
    stage: Stage,
    weights: Mapping[str, tf.Tensor],
    x: tf.Tensor,
) -> Iterator[tuple[str, tf.Tensor]]:
    """What follows the stage before: the axes of a block, then the stage itself."""
    if stage.name == "logits":
        x = tf.reshape(x, (-1, x.shape[-1]))
    if stage.name == "head" and spec.head == "axis_concat":
        parts = [_linear(linear, weights, x) for linear in stage.linears]
        yield stage.name, tf.concat([tf.reshape(p, (-1, x.shape[-1])) for p in parts], axis=0)
        return
    hidden = x
    for part in stage.axes or (stage,):
        for linear in part.linears:
            hidden = _linear(linear, weights, hidden)
        if part is not stage:
            yield part.name, hidden
    if stage.gate is not None:
        hidden = weights[stage.gate] * hidden
    yield stage.name, x + hidden if stage.axes and spec.residual else hidden


def _linear(linear: Linear, weights: Mapping[str, tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """One kernel along one axis of `(*in_shape, batch)`, its bias and activation.

    The axis is brought to the front, so that each is one large product in both passes: much
    faster than many small ones, and two such moves in a row cancel in the compiler.
    """
    kernel, bias = weights[f"{linear.name}/kernel"], weights[f"{linear.name}/bias"]
    size, units = linear.kernel_shape
    batch = x.shape[-1]
    before = prod(linear.in_shape[: linear.axis - 1])
    after = prod(linear.in_shape[linear.axis :]) * batch
    x = _swap(tf.reshape(x, (before, size, after)))
    x = tf.matmul(kernel, tf.reshape(x, (size, -1)), transpose_a=True)
    x = _add_bias(tf.reshape(x, (units, -1, batch)), bias)
    if linear.activation is not None:
        x = _activation(linear.activation)(x)
    x = _swap(tf.reshape(x, (units, before, after)))
    return tf.reshape(x, (*linear.shape, batch))


def _swap(x: tf.Tensor) -> tf.Tensor:
    """The first two of three axes changed for one another; a mere reshape where one is 1."""
    first, second, last = x.shape
    if 1 in (first, second):
        return tf.reshape(x, (second, first, last))
    return tf.transpose(x, (1, 0, 2))


@tf.custom_gradient
def _add_bias(x: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
    """`bias` for each index of the first of three axes; the last one is the batch.

    XLA is slow at the sum of whole rows that Keras's gradient asks for, so that the batch is
    summed last, by a product.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        sums = tf.matmul(tf.reduce_sum(upstream, axis=1), tf.ones((x.shape[-1], 1), x.dtype))
        return upstream, sums[:, 0]

    return x + bias[:, None, None], gradient


def _activation(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    return gelu if name == "gelu" else keras.activations.get(name)


@tf.custom_gradient
def gelu(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Exact GELU, `x * Phi(x)`, whose gradient uses the forward pass's `Phi` again."""
    cdf = 0.5 * (1.0 + tf.math.erf(x * sqrt(0.5)))

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        density = tf.exp(-0.5 * x * x) / sqrt(2.0 * pi)
        return upstream * (cdf + x * density)

    return x * cdf, gradient
