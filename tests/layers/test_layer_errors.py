"""Errors say what was wrong, what was expected, how to mend it, and what was received."""

import keras
import numpy as np
import pytest

from ndmixer.layers import (
    AxisConcat,
    DenseOnAxis,
    Layers,
    MLPOnAxis,
    NdMixer,
    ResidualLayers,
    linear_on_axis,
)


def ones(*shape):
    return np.ones(shape, "float32")


@pytest.mark.parametrize(
    ("x", "kernel", "bias", "axis", "message"),
    [
        ((2, 5, 3), (4, 6), None, 1, "axis 1 of x has length 5, but the kernel has 4 rows"),
        ((2, 5, 3), (5, 6), None, -1, "axis 2 of x has length 3.*kernel of shape \\(3, units\\)"),
        ((2, 5, 3), (5, 6), (3,), 1, "bias must have.*shape \\(6,\\).*bias.shape=\\(3,\\)"),
        ((2, 5, 3), (5, 6), (1, 6), 1, "bias must have.*bias.shape=\\(1, 6\\)"),
        ((2, 5, 3), (5,), None, 1, "kernel must have shape \\(n, units\\)"),
        ((2, 5, 3), (2, 6), None, 0, "axis 0 is the batch axis; choose 1..2"),
        ((2, 5, 3), (5, 6), None, 3, "no such axis"),
        ((2,), (2, 6), None, -1, "at least one axis"),
        ((1,) * 27, (1, 6), None, 1, "at most 25 axes"),
    ],
)
def test_linear_on_axis(x, kernel, bias, axis, message):
    with pytest.raises(ValueError, match=f"linear_on_axis.*{message}") as error:
        linear_on_axis(ones(*x), ones(*kernel), None if bias is None else ones(*bias), axis)
    received = str(error.value).partition("Received: ")[2]
    for part in (f"axis={axis}", f"x.shape={x}", f"kernel.shape={kernel}"):
        assert part in received


ARGUMENTS = [
    (lambda: DenseOnAxis(0), "units must be a positive integer. Received: units=0"),
    (lambda: DenseOnAxis(2.0), "units must be a positive integer. Received: units=2.0"),
    (lambda: DenseOnAxis(True), "units must be a positive integer. Received: units=True"),
    (lambda: DenseOnAxis(3, axis=0), "axis 0 is the batch axis.*Received: axis=0"),
    (lambda: DenseOnAxis(3, axis=1.5), "axis must be an integer. Received: axis=1.5"),
    (lambda: MLPOnAxis(-1), "units must be.*Received: units=-1"),
    (lambda: MLPOnAxis(3, axis=0), "axis 0 is the batch axis.*Received: axis=0"),
    (lambda: MLPOnAxis(3, hidden_size=0), "hidden_size must be.*Received: hidden_size=0"),
    (lambda: NdMixer(3), "out_shape must be a tuple.*Received: out_shape=3"),
    (lambda: NdMixer(()), "out_shape must have at least one axis. Received: out_shape="),
    (lambda: NdMixer((None, 3)), r"out_shape\[0\] must be.*Received: out_shape\[0\]=None"),
    (lambda: NdMixer((3, 0)), r"out_shape\[1\] must be.*Received: out_shape\[1\]=0"),
    (lambda: NdMixer((3,), net="cnn"), "net must be 'mlp' or 'dense'. Received: net='cnn'"),
    (lambda: NdMixer((3,), hidden_size=-2), "hidden_size must be.*Received: hidden_size=-2"),
    (
        lambda: NdMixer((3,), net="dense", hidden_size=2),
        "no hidden layer; leave hidden_size out.*Received: net='dense', hidden_size=2",
    ),
    (lambda: Layers([np.tanh]), r"list of Keras layers. Received: blocks=\["),
    (lambda: Layers(DenseOnAxis(3)), r"list of Keras layers. Received: blocks="),
    (
        lambda: ResidualLayers([DenseOnAxis(3, name="a"), DenseOnAxis(3, name="a")]),
        r"different names.*Received: names=\['a', 'a'\]",
    ),
]


@pytest.mark.parametrize(("make", "message"), ARGUMENTS)
def test_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SHAPES = [
    (lambda: DenseOnAxis(3, axis=3), (4, 5), "'top': there is no such axis; choose 1..2"),
    (lambda: DenseOnAxis(3, axis=-3), (4, 5), "'top': axis 0 is the batch axis; choose 1..2"),
    (lambda: DenseOnAxis(3), (4, None), "the length of axis 2 must be known.*axis=-1, input_shape"),
    (lambda: DenseOnAxis(3), (1,) * 26, "at most 25 axes"),
    (AxisConcat, (4, None), "lengths of all must be known"),
    (AxisConcat, (), "at least one axis besides the batch"),
    (lambda: MLPOnAxis(3, axis=3), (4, 5), "'top': there is no such axis; choose 1..2"),
    (lambda: MLPOnAxis(3, axis=1), (None, 5), "the length of axis 1 must be known"),
    (lambda: NdMixer((4, 5, 6)), (4, 5), "as many axes .*out_shape, 3, but it has 2"),
    (lambda: NdMixer((4, 5)), (4, None), "the length of axis 2 must be known"),
    (lambda: NdMixer((1,) * 26), (1,) * 26, "at most 25 axes"),
    (
        lambda: ResidualLayers([NdMixer((4, 1), name="mixer")]),
        (4, 5),
        r"make block 'mixer' give \(4, 5\), or use Layers.*output_shape=\(None, 4, 1\)",
    ),
]


@pytest.mark.parametrize(("make", "input_shape", "message"), SHAPES)
def test_input_shapes(make, input_shape, message):
    layer = make()
    message = message.replace("top", layer.name)
    with pytest.raises(ValueError, match=message) as error:
        layer(keras.Input(input_shape))
    assert "Received: " in str(error.value)


@pytest.mark.parametrize(
    "make", [lambda: DenseOnAxis(3, 1), lambda: MLPOnAxis(3, 1), lambda: NdMixer((3, 5))]
)
def test_a_built_layer_rejects_another_length(make):
    layer = make()
    layer.build((None, 4, 5))
    for call in (layer(keras.Input((4, 5))), layer(ones(2, 4, 5))):
        assert tuple(call.shape)[1:] == (3, 5)
    for inputs in (keras.Input((6, 5)), ones(2, 6, 5), ones(2)):
        with pytest.raises(ValueError, match="incompatible with the layer"):
            layer(inputs)
