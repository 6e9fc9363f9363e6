"""Checks that several layers share."""

from __future__ import annotations

import operator
from typing import Any

import keras

from ndmixer.equation import axis_equation, normalize_axis


def positive_int(name: str, value: Any) -> int:
    """Returns `value` as a plain int, or raises a `ValueError` if it is not a positive integer."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be a positive integer. Received: {name}={value!r}")
    return number


def layer_axis(axis: Any) -> int:
    """Returns a layer's `axis` argument as a plain int; its range is known only in `build`."""
    try:
        number = operator.index(axis)
    except TypeError:
        raise ValueError(f"axis must be an integer. Received: {axis=}") from None
    if number == 0:
        raise ValueError(
            f"axis 0 is the batch axis; choose 1 or more, or -1 or less. Received: {axis=}"
        )
    return number


def axis_of(layer: keras.Layer, input_shape: tuple[int | None, ...]) -> int:
    """Returns `layer.axis` counted from the front of `input_shape`."""
    try:
        axis_equation(len(input_shape), layer.axis)
        return normalize_axis(layer.axis, len(input_shape))
    except ValueError as error:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}': {error}, {input_shape=}"
        ) from None


def axis_output_shape(
    layer: keras.Layer, input_shape: tuple[int | None, ...]
) -> tuple[int | None, ...]:
    """Returns `input_shape` with `layer.units` in place of the length of `layer.axis`."""
    axis = axis_of(layer, input_shape)
    return (*input_shape[:axis], layer.units, *input_shape[axis + 1 :])


def axis_spec(layer: keras.Layer, input_shape: tuple[int | None, ...]) -> keras.InputSpec:
    """Returns the input specification of a layer that works along `layer.axis`."""
    axis = axis_of(layer, input_shape)
    length = input_shape[axis]
    if length is None:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}': the length of axis {axis} must be known, as "
            f"the kernel has one row for each index; give it in the input's shape. "
            f"Received: axis={layer.axis}, {input_shape=}"
        )
    min_ndim = layer.axis + 1 if layer.axis > 0 else 1 - layer.axis
    return keras.InputSpec(min_ndim=min_ndim, axes={layer.axis: length})
