"""The same training steps by TensorFlow and its compiler XLA: for a GPU.

On a CPU `ndmixer.kernels` is several times faster. Both take the same steps to rounding.
"""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ndmixer.accounting import accounting
from ndmixer.kernels import BETA_1, BETA_2, EPSILON, State, Totals
from ndmixer.models import forward
from ndmixer.spec import ModelSpec

PROGRAMS = 8  # compiled ones that are kept for the next training of the same kind
CALL_IMAGES = 8_192  # sent to the device at once, 25 MB of MNIST


class Program:
    """What `ndmixer.kernels.Program` does, with the same methods."""

    def __init__(self, spec: ModelSpec, batch_size: int) -> None:
        # Products with 10 bits of mantissa would be up to a third faster, and another training.
        tf.config.experimental.enable_tensor_float_32_execution(False)
        self._spec = spec
        self._shapes = accounting(spec).weights
        self._batch_size = batch_size
        self._measured = 0  # images in a call of `measure`, so that one size is compiled
        self._take = _compiled(self._step)
        self._sum = _compiled(self._totals)
        self._burst = tf.function(self._steps, autograph=False, reduce_retracing=True)

    def prepare(self) -> None:
        """Compiles a step."""
        pixels, count = prod(self._spec.in_shape), accounting(self._spec).parameters
        state = State(*(np.zeros(count, np.float32) for _ in State._fields))
        images, labels = np.zeros((1, pixels), np.float32), np.zeros(1, np.int32)
        order = np.zeros((1, self._batch_size), np.int32)
        self.train(state, 0, np.zeros(1), images, labels, order)

    def train(
        self,
        state: State,
        taken: int,
        rates: NDArray[np.float64],
        images: NDArray[np.float32],
        labels: NDArray[np.int32],
        order: NDArray[np.int32],
    ) -> Totals:
        """Takes a step on each row of `order`; changes the state in place."""
        now = tuple(map(tf.constant, state))
        totals = tf.zeros(4)
        at_once = max(1, CALL_IMAGES // order.shape[1])
        for first in range(0, len(order), at_once):
            rows = order[first : first + at_once]
            # Where there is none it is the first one's once more: another might be no number.
            there = np.where(rows >= 0, rows, rows[:, :1])
            now, totals = self._burst(
                now,
                totals,
                tf.constant(float(taken + first)),
                tf.constant(rates[first : first + at_once], tf.float32),
                tf.constant(images[there]),
                tf.constant(labels[there]),
                tf.constant(rows >= 0, tf.float32),
            )
        for vector, tensor in zip(state, now, strict=True):
            vector[:] = tensor.numpy()
        loss, correct, seen, diverged = totals.numpy().tolist()
        return Totals(loss, correct, seen, int(diverged))

    def measure(
        self,
        weights: NDArray[np.float32],
        images: NDArray[np.float32],
        labels: NDArray[np.int32],
    ) -> Totals:
        """Sums over all images, shape (images, pixels) float32."""
        self._measured = max(self._measured, len(images))
        rows = np.arange(self._measured)
        seen, rows = rows < len(images), np.minimum(rows, len(images) - 1)
        given = images[rows], labels[rows], seen.astype(np.float32)
        loss, correct, count = self._sum(tf.constant(weights), *map(tf.constant, given))
        return Totals(float(loss), float(correct), float(count), 0)

    def _steps(
        self,
        state: tuple[tf.Tensor, ...],
        totals: tf.Tensor,
        taken: tf.Tensor,
        rates: tf.Tensor,
        *shown: tf.Tensor,
    ) -> Any:
        """A step for each rate; `shown` are images, labels and whether they count, by step."""

        def step(index: tf.Tensor, state: Any, totals: tf.Tensor) -> tuple[Any, ...]:
            number = taken + tf.cast(index + 1, tf.float32)
            batch = (part[index] for part in shown)
            return index + 1, *self._take(state, totals, number, rates[index], *batch)

        count = tf.shape(rates)[0]
        _, state, totals = tf.while_loop(
            lambda index, *_: index < count,
            step,
            (tf.constant(0), state, totals),
            parallel_iterations=1,
        )
        return state, totals

    def _step(
        self,
        state: tuple[tf.Tensor, ...],
        totals: tf.Tensor,
        number: tf.Tensor,
        rate: tf.Tensor,
        *batch: tf.Tensor,
    ) -> Any:
        """A step of Adam along the mean gradient of the batch."""
        weights, mean, variance = state
        with tf.GradientTape() as tape:
            tape.watch(weights)
            loss, correct, count = self._totals(weights, *batch)
        gradient = tape.gradient(loss, weights) / count

        rate = rate * tf.sqrt(1 - BETA_2**number) / (1 - BETA_1**number)
        mean = BETA_1 * mean + (1 - BETA_1) * gradient
        variance = BETA_2 * variance + (1 - BETA_2) * gradient * gradient
        weights = weights - rate * mean / (tf.sqrt(variance) + EPSILON)

        is_first = tf.logical_and(totals[3] == 0, tf.logical_not(tf.math.is_finite(loss)))
        diverged = totals[3] + tf.where(is_first, number, 0.0)
        sums = totals[:3] + tf.stack([loss, correct, count])
        return (weights, mean, variance), tf.concat([sums, [diverged]], axis=0)

    def _totals(
        self, weights: tf.Tensor, images: tf.Tensor, labels: tf.Tensor, seen: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Sums of losses, right answers and images of a batch; `seen` is 0 for padding."""
        parts = tf.split(weights, [prod(shape) for shape in self._shapes.values()])
        named = {
            name: tf.reshape(part, shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }
        pixels = tf.transpose(images)
        *_, (_, output) = forward(
            self._spec, named, tf.reshape(pixels, (*self._spec.in_shape, images.shape[0]))
        )
        if self._spec.task == "classifier":
            logits = tf.transpose(output)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            right = tf.argmax(logits, axis=1, output_type=labels.dtype) == labels
            correct = tf.reduce_sum(seen * tf.cast(right, tf.float32))
        else:
            output = tf.reshape(output, pixels.shape)
            losses = tf.reduce_mean(tf.math.squared_difference(output, pixels), axis=0)
            correct = tf.constant(0.0)
        loss = tf.reduce_sum(tf.where(seen > 0, losses, 0.0))
        return loss, correct, tf.reduce_sum(seen)


@lru_cache(maxsize=PROGRAMS)
def program(spec: ModelSpec, batch_size: int) -> Program:
    """Kept for the next training: what XLA has compiled it keeps for good, used or not."""
    return Program(spec, batch_size)


def _compiled(call: Callable[..., Any]) -> Callable[..., Any]:
    return tf.function(call, jit_compile=True, autograph=False)
