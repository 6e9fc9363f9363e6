"""Keras: the model in stock layers, `compile` and `fit`.

For each axis `Permute`, the `Dense` layers and `Permute` back. (`EinsumDense` without them is
shorter, but Keras 3.15 adds the bias along the wrong axis where two axes are equally long.)
Only the gate is a layer of this project, for Keras has none. Nothing is measured but the loss,
though `train` counts the right answers as well.
"""

from itertools import groupby

import keras

from ndmixer import ModelSpec, ScalarGate, accounting
from peers import BETA_1, BETA_2, EPSILON, LEARNING_RATE
from peers.problem import Problem, Weights


def build(spec: ModelSpec) -> keras.Model:
    inputs = h = keras.Input(spec.in_shape)
    for stage in accounting(spec).stages[1:]:
        if stage.name == "logits":
            h = keras.layers.Flatten()(h)
        mixed = h
        for axis, linears in groupby(stage.linears, lambda linear: linear.axis):
            axes = range(1, len(mixed.shape))
            last = (*(other for other in axes if other != axis), axis)
            mixed = keras.layers.Permute(last)(mixed)
            for linear in linears:
                mixed = keras.layers.Dense(linear.units, linear.activation)(mixed)
            mixed = keras.layers.Permute([1 + last.index(place) for place in axes])(mixed)
        if stage.gate:
            mixed = ScalarGate()(mixed)
        h = keras.layers.Add()([h, mixed]) if stage.axes and spec.residual else mixed
    return keras.Model(inputs, h)


class Keras:
    chunk = 1
    jit = False

    def __init__(self, problem: Problem, weights: Weights) -> None:
        self._problem, self._names = problem, list(weights)
        self._model = build(problem.spec)
        for variable, value in zip(self._model.trainable_variables, weights.values(), strict=True):
            variable.assign(value)
        classes = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self._model.compile(
            optimizer=keras.optimizers.Adam(LEARNING_RATE, BETA_1, BETA_2, EPSILON),
            loss=classes if problem.classifier else "mse",
            jit_compile=self.jit,
            steps_per_execution=self.chunk,
        )

    def train(self, first: int, count: int) -> float:
        order = self._problem.order(first, count).ravel()
        x, y = self._problem.x[order], self._problem.y[order]
        history = self._model.fit(x, y, self._problem.batch, shuffle=False, verbose=0)
        return history.history["loss"][0]

    def weights(self) -> Weights:
        values = (variable.numpy() for variable in self._model.trainable_variables)
        return dict(zip(self._names, values, strict=True))


class KerasJit(Keras):
    jit = True


class KerasJit32(KerasJit):
    chunk = 32
