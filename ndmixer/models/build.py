"""From a specification to an ordinary `keras.Model`."""

import random

import keras

from ndmixer.layers import AxisConcat, Layers, NdMixer, ResidualLayers
from ndmixer.spec import ModelSpec


def build_model(spec: ModelSpec, seed: int | None = None) -> keras.Model:
    """Builds the model of a specification, with fresh random weights.

    Every stage but the inner axes of a block is the output of the layer of that name:
    `keras.Model(model.input, model.get_layer("block_0").output)` reads it.

    Args:
        spec: The architecture.
        seed: Of the weights, which it determines whatever else the process draws; None
            leaves them to Keras's own random state.

    Returns:
        A functional model from `(batch, *in_shape)` to logits `(batch, num_classes)` or,
        for an autoencoder, to `(batch, *in_shape)`; float32 under the default policy.
        Weight paths and shapes are those of `accounting(spec).weights`.

    Example:
        >>> model = build_model(ModelSpec(repr_shape=(8, 8), out_shape=(1, 8)))
        >>> model.output_shape
        (None, 10)
    """
    inputs = keras.Input(spec.in_shape, name="input")
    hidden = inputs
    if spec.embedding:
        hidden = _around(spec, spec.repr_shape, "embed")(hidden)
    stack = ResidualLayers if spec.residual else Layers
    for index in range(spec.depth):
        mixer = NdMixer(
            hidden.shape[1:],
            hidden_size=spec.hidden_size,
            gate=spec.gate,
            activation=spec.activation,
            name="mixer",
        )
        hidden = stack([mixer], name=f"block_{index}")(hidden)
    if spec.task == "classifier":
        outputs = _classify(spec, hidden)
    else:
        outputs = _around(spec, spec.in_shape, "head")(hidden) if spec.embedding else hidden
    model = keras.Model(inputs, outputs, name=spec.task)
    if seed is not None:
        _draw_kernels(model, seed)
    return model


def _around(spec: ModelSpec, shape: tuple[int, ...], name: str) -> NdMixer:
    """The maps before or after the blocks: linear in a classifier, MLPs in an autoencoder."""
    if spec.task == "classifier":
        return NdMixer(shape, net="dense", gate=False, name=name)
    return NdMixer(
        shape, hidden_size=spec.hidden_size, gate=False, activation=spec.activation, name=name
    )


def _classify(spec: ModelSpec, hidden: keras.KerasTensor) -> keras.KerasTensor:
    if spec.head == "axis_concat":
        hidden = AxisConcat(name="head")(hidden)
    else:
        assert spec.out_shape is not None  # a ModelSpec writes it out for every mix head
        hidden = keras.layers.Flatten(name="flat")(_around(spec, spec.out_shape, "head")(hidden))
    return keras.layers.Dense(spec.num_classes, name="logits")(hidden)


def _draw_kernels(model: keras.Model, seed: int) -> None:
    """Draws all kernels anew, each from a seed of its own.

    Keras seeds its initializers from a generator that all threads of a process share, so
    that another thread can change what `keras.utils.set_random_seed` promised. In a process
    of one thread both give the same weights.
    """
    seeds = random.Random(seed)
    for variable in model.trainable_variables:
        if variable.path.endswith("/kernel"):
            logits = variable.path.startswith("logits/")
            kind = keras.initializers.GlorotUniform if logits else keras.initializers.HeUniform
            variable.assign(kind(seed=seeds.randint(1, int(1e9)))(variable.shape))
