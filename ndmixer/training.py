"""Trains a model of a specification; knows no run and no page.

Adam on the pure function of `ndmixer.models.forward`, a burst of many steps in one call of a
graph. In each step the batch is cut into shards, one a core, whose gradients are compiled by
XLA and run side by side: a core that works alone on half a batch is never waited for, while
one matrix product as small as these gains nothing from a second core. The first few steps run
uncompiled before another thread compiles, so that a curve begins at once; their number is
fixed, so that a seed still determines the result. They do not overlap with the compiler:
while one thread traces a function, eager steps in another can crash the process.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from math import prod, sqrt
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ndmixer.accounting import accounting
from ndmixer.datasets import Dataset
from ndmixer.models import build_model, forward
from ndmixer.spec import ModelSpec, TrainSpec

Event = dict[str, Any]

FIRST_STEPS = 8  # run uncompiled, before the compiler works
BURST_SECONDS = 0.1  # a stop waits for one burst, a page sees one event a burst
EVENT_SECONDS = 0.2  # longest silence while compiling or evaluating
BURST_IMAGES = 8_192  # in one call at most, 25 MB of MNIST
SHARD_IMAGES = 8  # at least; fewer are not worth a core
EVALUATION_FLOPS = 2e9  # of one shard; small enough that a stop is quick on a slow core

PROGRAMS = 8  # compiled ones that are kept for the next training of the same kind

MEAN, VARIANCE = "adam/mean/", "adam/variance/"  # before a weight's name, its moments
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults for Adam


class TrainingDiverged(FloatingPointError):
    """The loss is no longer a finite number.

    Attributes:
        step: The first optimizer step at which it was not, from 1; if only the loss on the test
            set was not, the last step taken.
    """

    def __init__(self, step: int, learning_rate: float) -> None:
        super().__init__(
            f"the loss became infinite or NaN at step {step:,}; start again with a smaller "
            f"learning rate. Received: learning_rate={learning_rate:g}"
        )
        self.step = step


class State(NamedTuple):
    """What a step of Adam changes: all weights and both moments, each one vector; steps taken."""

    weights: tf.Tensor
    mean: tf.Tensor
    variance: tf.Tensor
    step: tf.Tensor


class Totals(NamedTuple):
    """Sums over images, and the first step whose loss was not finite (0: none)."""

    loss: tf.Tensor
    correct: tf.Tensor
    images: tf.Tensor
    diverged: tf.Tensor


def train(
    model_spec: ModelSpec,
    train_spec: TrainSpec,
    data: Dataset,
    on_event: Callable[[Event], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> keras.Model:
    """Trains a fresh model and returns it.

    The same specifications give the same weights again on the same machine.

    Args:
        model_spec: The architecture.
        train_spec: The training; its `dataset` is only a name here, `data` counts.
        data: Images and labels.
        on_event: Called in this thread with a dict at least four times a second once the
            first step is done: `phase` (`"training"`, `"compiling"` or `"evaluating"`),
            `step` (optimizer steps so far), `total_steps`, `epoch` (from 1), `loss` (mean
            over the images since the event before), `images_per_s`, `elapsed` (seconds),
            `learning_rate` (before the schedule), `accuracy` (a classifier) or `rmse`, and
            `gates`, if there are any. After each epoch there follow `val_loss` and
            `val_accuracy` or `val_rmse`, over the whole test set.
        should_stop: Asked at least every 300 ms if a step takes less; once it says True,
            the training ends and the model is returned as it is. It may wait: such time
            does not count.

    Raises:
        ValueError: the specifications do not fit the data.
        TrainingDiverged: the loss is no longer finite.
    """
    trainer = Trainer(model_spec, train_spec, data)
    trainer.run(on_event, should_stop)
    return trainer.model()


class Trainer:
    """One training in progress, which can be stopped and gone on with.

    Args:
        model_spec: The architecture.
        train_spec: The training.
        data: Images and labels.

    Attributes:
        step: Optimizer steps taken.
        evaluated: The step of the last evaluation, 0 before the first.
        total_steps: Optimizer steps of all epochs.
        learning_rate: Step size of Adam, before the schedule; may be changed at any time and
            counts from the next burst of steps.
        reason: Why it is finished before the last epoch, in words; None if it is not.
        limit: No burst goes beyond this step, so that a stop at it is exact; may be changed
            at any time.
    """

    def __init__(self, model_spec: ModelSpec, train_spec: TrainSpec, data: Dataset) -> None:
        model_spec.check_data(data.sample_shape, data.num_classes)
        available = len(data.x_train)
        used = train_spec.train_images or available
        if used > available:
            raise ValueError(
                f"the data set has {available:,} training images; choose at most so many. "
                f"Received: train_images={used}"
            )
        self.model_spec, self.train_spec = model_spec, train_spec
        self._used = used
        self._batch_size = min(train_spec.batch_size, used)
        self._program = _program(model_spec, self._batch_size)
        self._images = data.x_train[:used].reshape(used, -1)
        self._labels = data.y_train[:used].astype(np.int32)
        self._test_set = _test_tensors(data)
        self.steps_per_epoch = -(-used // self._batch_size)
        self.total_steps = self.steps_per_epoch * train_spec.epochs
        self._longest_burst = max(1, BURST_IMAGES // self._batch_size)
        self.learning_rate = train_spec.learning_rate
        self.limit: int | None = None
        self.reason: str | None = None
        self.step = 0
        self.evaluated = 0
        self._seconds = 0.0
        self._last: Event = {}
        self._compilations: dict[str, _Task] = {}

        self._model = build_model(model_spec, train_spec.seed)
        weights = self._program.join({v.path: v.numpy() for v in self._model.trainable_variables})
        zeros = tf.zeros_like(weights)
        self._state = State(weights, zeros, zeros, tf.constant(0.0))

    def weights(self) -> dict[str, np.ndarray]:
        """The weights as they are now, float32, by the names of `accounting(spec).weights`."""
        return self._program.split(self._state.weights.numpy())

    def state(self) -> dict[str, np.ndarray]:
        """All that a training goes on from.

        The weights by name, Adam's moments as `adam/mean/<name>` and `adam/variance/<name>`,
        `step` and `evaluated`.
        """
        parts = {"": self._state.weights, MEAN: self._state.mean, VARIANCE: self._state.variance}
        return {
            **{
                f"{part}{name}": array
                for part, vector in parts.items()
                for name, array in self._program.split(vector.numpy()).items()
            },
            "step": np.array(self.step),
            "evaluated": np.array(self.evaluated),
        }

    def restore(self, state: Mapping[str, np.ndarray], last: Event | None = None) -> None:
        """Goes on from there, as if the training had never been broken off.

        Args:
            state: What `state` returned, of a training whose specifications differ in the
                number of epochs at most.
            last: The event at which it was taken. Its time is counted on, and its measures are
                told until there are new ones.

        Raises:
            ValueError: it is the state of another model or of more steps.
        """
        shapes = accounting(self.model_spec).weights
        parts = ("", MEAN, VARIANCE)
        wanted = {f"{part}{name}": shape for part in parts for name, shape in shapes.items()}
        wanted |= {"step": (), "evaluated": ()}
        given = {name: array.shape for name, array in state.items()}
        if given != wanted:
            name = min(set(given.items()) ^ set(wanted.items()))[0]
            raise ValueError(
                "the state is that of another model; use the specification it was made with. "
                f"Received: {name} of shape {given.get(name)}, expected {wanted.get(name)}"
            )
        step = int(state["step"])
        if step > self.total_steps:
            raise ValueError(
                f"the state has more steps than {self.train_spec.epochs} epochs take "
                f"({self.total_steps:,}); choose more epochs. Received: step={step:,}"
            )
        weights, mean, variance = (
            self._program.join({name: state[f"{part}{name}"] for name in shapes}) for part in parts
        )
        self._state = State(weights, mean, variance, tf.constant(float(step)))
        self.step, self.evaluated = step, int(state["evaluated"])
        self._last = _without_validation(last or {})
        self._seconds = self._last.get("elapsed", 0.0)

    def model(self) -> keras.Model:
        """An ordinary Keras model with the weights as they are now."""
        now = self.weights()
        for variable in self._model.trainable_variables:
            variable.assign(now[variable.path])
        return self._model

    def run(
        self, on_event: Callable[[Event], None], should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        """Trains to the last epoch or until it is told to stop; see `train`."""

        def stop() -> bool:
            start = time.perf_counter()
            answer = should_stop()
            self._started += time.perf_counter() - start
            return answer

        self._on_event, self._should_stop = on_event, stop
        self._started = time.perf_counter() - self._seconds
        try:
            self._run()
        finally:
            self._seconds = time.perf_counter() - self._started

    @property
    def finished(self) -> bool:
        """Whether a stop condition is met, or all epochs are trained and evaluated."""
        return self.reason is not None or self.evaluated == self.total_steps

    def _run(self) -> None:
        burst, order, order_epoch = 1, np.empty(0), -1
        while not self.finished and not self._should_stop():
            epoch, first = divmod(self.step, self.steps_per_epoch)
            late = self._is_late()
            if self.step > self.evaluated and (first == 0 or late):
                if not self._wait("evaluating", self._compile_test) or not self._evaluate():
                    return
                continue
            if late:
                self.reason = f"trained for {self.train_spec.max_seconds:g} seconds"
                return
            if order_epoch != epoch:
                order, order_epoch = self._order(epoch), epoch
            left = self.steps_per_epoch - first
            if self.limit is not None and self.limit > self.step:
                left = min(left, self.limit - self.step)
            if self.step < FIRST_STEPS:
                count, compiled = min(burst, FIRST_STEPS - self.step, left), False
            elif self._wait("compiling", self._compile_train):
                # A few steps left over would be a burst of their own, and a noisy point.
                count = left if left < 1.5 * burst else burst
                count, compiled = min(count, self._longest_burst), True
            else:
                return
            seconds = self._train(order[first : first + count], compiled)
            burst = max(1, min(round(count * BURST_SECONDS / seconds), 4 * burst))

    def _train(self, order: np.ndarray, compiled: bool) -> float:
        """Takes a step on each row of `order` and reports them; returns the seconds they took."""
        start = time.perf_counter()
        take = self._program.burst if compiled else self._program.plain_burst
        self._state, totals = take(self._state, *self._shown(order), self._rates(len(order)))
        loss, correct, images, diverged = (value.numpy().item() for value in totals)
        seconds = time.perf_counter() - start
        if diverged:
            raise TrainingDiverged(int(diverged), self.learning_rate)
        self.step += len(order)
        measured = self._measures(loss / images, correct / images)
        self._emit("training", **measured, images_per_s=images / seconds, **self._gates())
        return seconds

    def _rates(self, count: int) -> tf.Tensor:
        """Adam's step size in each of the next steps."""
        factors = np.ones(count)
        if self.train_spec.schedule == "cosine":
            steps = self.step + np.arange(count)
            factors = (1 + np.cos(np.pi * steps / self.total_steps)) / 2
        return tf.constant(self.learning_rate * factors, tf.float32)

    def _is_late(self) -> bool:
        limit = self.train_spec.max_seconds
        elapsed = time.perf_counter() - self._started
        return limit is not None and self.step > 0 and elapsed >= limit

    def _gates(self) -> dict[str, list[float]]:
        """The gate of each block, in order; nothing for a model without gates."""
        gates = [v for name, v in self.weights().items() if name.endswith("/gate/value")]
        return {"gates": [round(float(gate), 6) for gate in gates]} if gates else {}

    def _evaluate(self) -> bool:
        """Measures loss and accuracy on the whole test set; False if it was told to stop."""
        images, labels = self._test_set
        loss = correct = 0.0
        for first in range(0, len(images), self._program.evaluation_images):
            if self._should_stop():
                return False
            totals = self._program.evaluate(self._state.weights, images, labels, tf.constant(first))
            loss, correct = loss + totals.loss.numpy(), correct + totals.correct.numpy()
            self._keep_alive("evaluating")
        if not np.isfinite(loss):
            raise TrainingDiverged(self.step, self.learning_rate)
        measured = self._measures(float(loss) / len(images), float(correct) / len(images))
        validation = {f"val_{name}": value for name, value in measured.items()}
        self.evaluated = self.step
        target = self.train_spec.target_accuracy
        if target is not None and measured.get("accuracy", 0.0) >= target:
            self.reason = f"reached {measured['accuracy']:.2%} test accuracy".replace("%", " %")
        self._emit("evaluating", **validation)
        return True

    def _measures(self, loss: float, accuracy: float) -> dict[str, float]:
        if self.model_spec.task == "classifier":
            return {"loss": loss, "accuracy": accuracy}
        return {"loss": loss, "rmse": sqrt(loss)}

    def _shown(self, order: np.ndarray) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Images, labels and whether they count, for each step, shard and place in it."""
        rows = np.maximum(order, 0).reshape(len(order), self._program.shards, -1)
        seen = (order >= 0).astype(np.float32).reshape(rows.shape)
        return tf.constant(self._images[rows]), tf.constant(self._labels[rows]), tf.constant(seen)

    def _order(self, epoch: int) -> np.ndarray:
        """Which images each step of an epoch sees: (steps, batch), -1 where there is none."""
        generator = np.random.default_rng((self.train_spec.seed, epoch + 1))
        order = np.full(self.steps_per_epoch * self._batch_size, -1, np.int32)
        order[: self._used] = generator.permutation(self._used)
        padding = (0, 0), (0, -self._batch_size % self._program.shards)
        return np.pad(order.reshape(self.steps_per_epoch, -1), padding, constant_values=-1)

    def _compile_train(self) -> None:
        shown = self._shown(self._order(0)[:1])
        self._program.burst(self._state, *shown, self._rates(1))

    def _compile_test(self) -> None:
        self._program.evaluate(self._state.weights, *self._test_set, tf.constant(0))

    def _wait(self, phase: str, compile_it: Callable[[], None]) -> bool:
        """Waits for a compilation, begun once; False if it was told to stop meanwhile."""
        task = self._compilations.get(phase)
        if task is None:
            task = self._compilations[phase] = _Task(compile_it)
        while not task.done(0.02):
            if self._should_stop():
                return False
            self._keep_alive(phase)
        return True

    def _keep_alive(self, phase: str) -> None:
        if time.perf_counter() - self._started - self._last.get("elapsed", 0.0) > EVENT_SECONDS:
            self._emit(phase)

    def _emit(self, phase: str, **measured: float | list[float]) -> None:
        self._last = _without_validation(self._last) | {
            "phase": phase,
            "step": self.step,
            "total_steps": self.total_steps,
            "epoch": max(1, -(-self.step // self.steps_per_epoch)),
            "learning_rate": self.learning_rate,
            "elapsed": time.perf_counter() - self._started,
            **measured,
        }
        self._on_event(dict(self._last))


class _Task:
    """A call in a thread of its own.

    A process that ends meanwhile waits for it: torn down under a running compiler it crashes.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # handed to the thread that waits
            self._error = error

    def done(self, seconds: float) -> bool:
        """Waits at most so long; raises what the call raised."""
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()


class _Program:
    """The functions that a training calls, for one architecture and batch size."""

    def __init__(self, spec: ModelSpec, batch_size: int) -> None:
        self.spec = spec
        account = accounting(spec)
        self._shapes = account.weights
        self.shards = max(1, min(_cores(), batch_size // SHARD_IMAGES))
        self._evaluation_size = int(max(8, min(500, EVALUATION_FLOPS // max(1, account.flops))))
        self.evaluation_images = self.shards * self._evaluation_size

        self._compiled_gradient = _compiled(self._gradient)
        self._compiled_update = _compiled(self._update)
        self._compiled_totals = _compiled(self._totals)

        images = (None, self.shards, -(-batch_size // self.shards))
        vector = tf.TensorSpec(account.parameters)
        scalar = tf.TensorSpec(())
        self.burst = tf.function(
            lambda *given: self._burst(self._compiled_gradient, self._compiled_update, *given),
            autograph=False,
            input_signature=(
                State(vector, vector, vector, scalar),
                tf.TensorSpec((*images, prod(spec.in_shape))),
                tf.TensorSpec(images, tf.int32),
                tf.TensorSpec(images),
                tf.TensorSpec((None,)),
            ),
        )
        self.evaluate = tf.function(self._evaluate, autograph=False)

    def split(self, vector: Any) -> dict[str, Any]:
        """The weights of a vector, by name."""
        sizes = [prod(shape) for shape in self._shapes.values()]
        ends = np.cumsum(sizes)
        return {
            name: vector[end - size : end].reshape(shape)
            for (name, shape), size, end in zip(self._shapes.items(), sizes, ends, strict=True)
        }

    def join(self, weights: Mapping[str, np.ndarray]) -> tf.Tensor:
        """All weights as one vector, in the order of the accounting."""
        return tf.constant(np.concatenate([np.ravel(weights[n]) for n in self._shapes]), tf.float32)

    def plain_burst(self, *given: Any) -> tuple[State, Totals]:
        """What `burst` does, uncompiled."""
        return self._burst(self._gradient, self._update, *given)

    def _burst(
        self,
        gradient: Callable[..., tuple[tf.Tensor, Totals]],
        update: Callable[..., tuple[State, Totals]],
        state: State,
        images: tf.Tensor,
        labels: tf.Tensor,
        seen: tf.Tensor,
        rates: tf.Tensor,
    ) -> tuple[State, Totals]:
        """Takes a step on each batch.

        Args:
            gradient: `_gradient`, compiled or not.
            update: `_update`, compiled or not.
            state: Where the training is.
            images: Shape (steps, shards, images, pixels).
            labels: Shape (steps, shards, images).
            seen: Shape (steps, shards, images); 0 for padding, else 1.
            rates: Shape (steps,), Adam's step size in each.
        """

        def step(index: tf.Tensor, state: State, totals: Totals) -> tuple[Any, ...]:
            batch = images[index], labels[index], seen[index]
            found = [
                gradient(state.weights, *(part[shard] for part in batch))
                for shard in range(self.shards)
            ]
            return index + 1, *update(state, totals, found, rates[index])

        count = tf.shape(images)[0]
        _, state, totals = tf.while_loop(
            lambda index, *_: index < count,
            step,
            (tf.constant(0), state, _nothing()),
            parallel_iterations=1,
        )
        return state, totals

    def _gradient(self, weights: tf.Tensor, *batch: tf.Tensor) -> tuple[tf.Tensor, Totals]:
        """The sum of the images' gradients, one vector."""
        with tf.GradientTape() as tape:
            tape.watch(weights)
            totals = self._totals(weights, *batch)
        return tape.gradient(totals.loss, weights), totals

    def _update(
        self,
        state: State,
        totals: Totals,
        found: list[tuple[tf.Tensor, Totals]],
        learning_rate: tf.Tensor,
    ) -> tuple[State, Totals]:
        """A step of Adam along the mean gradient of all shards."""
        gradients, parts = zip(*found, strict=True)
        batch = Totals(*(tf.add_n(part) for part in zip(*parts, strict=True)))
        gradient = tf.add_n(gradients) / batch.images

        step = state.step + 1.0
        rate = learning_rate * tf.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
        mean = BETA_1 * state.mean + (1 - BETA_1) * gradient
        variance = BETA_2 * state.variance + (1 - BETA_2) * gradient * gradient
        weights = state.weights - rate * mean / (tf.sqrt(variance) + EPSILON)

        diverged = tf.where(tf.math.is_finite(batch.loss), 0.0, step)
        return State(weights, mean, variance, step), _add(totals, batch, diverged)

    def _totals(
        self, weights: tf.Tensor, images: tf.Tensor, labels: tf.Tensor, seen: tf.Tensor
    ) -> Totals:
        """Loss and right answers over a batch (images, pixels); `seen` is 0 for padding."""
        parts = tf.split(weights, [prod(shape) for shape in self._shapes.values()])
        named = {
            name: tf.reshape(part, shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }
        pixels = tf.transpose(images)
        *_, (_, output) = forward(
            self.spec, named, tf.reshape(pixels, (*self.spec.in_shape, images.shape[0]))
        )
        if self.spec.task == "classifier":
            logits = tf.transpose(output)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            right = tf.argmax(logits, axis=1, output_type=labels.dtype) == labels
            correct = tf.reduce_sum(seen * tf.cast(right, tf.float32))
        else:
            output = tf.reshape(output, pixels.shape)
            losses = tf.reduce_mean(tf.math.squared_difference(output, pixels), axis=0)
            correct = tf.constant(0.0)
        return Totals(tf.reduce_sum(seen * losses), correct, tf.reduce_sum(seen), tf.constant(0.0))

    def _evaluate(
        self, weights: tf.Tensor, images: tf.Tensor, labels: tf.Tensor, first: tf.Tensor
    ) -> Totals:
        """Totals over `evaluation_images` test images from `first`, or to the last."""
        found = []
        for shard in range(self.shards):
            index = first + shard * self._evaluation_size + tf.range(self._evaluation_size)
            seen = tf.cast(index < images.shape[0], tf.float32)
            index = tf.minimum(index, images.shape[0] - 1)
            part = tf.gather(images, index), tf.gather(labels, index), seen
            found.append(self._compiled_totals(weights, *part))
        return Totals(*(tf.add_n(part) for part in zip(*found, strict=True)))


@lru_cache(maxsize=PROGRAMS)
def _program(spec: ModelSpec, batch_size: int) -> _Program:
    """Kept for the next training: what XLA has compiled it keeps for good, used or not."""
    return _Program(spec, batch_size)


def _compiled(call: Callable[..., Any]) -> Callable[..., Any]:
    return tf.function(call, jit_compile=True, autograph=False)


def _cores() -> int:
    """Shards that can run side by side; one on a GPU, which is parallel in itself."""
    if tf.config.list_logical_devices("GPU"):
        return 1
    return tf.config.threading.get_inter_op_parallelism_threads() or os.cpu_count() or 1


def _nothing() -> Totals:
    return Totals(*(tf.constant(0.0) for _ in Totals._fields))


def _without_validation(event: Mapping[str, Any]) -> Event:
    return {name: value for name, value in event.items() if not name.startswith("val_")}


def _add(totals: Totals, batch: Totals, diverged: tf.Tensor) -> Totals:
    return Totals(
        totals.loss + batch.loss,
        totals.correct + batch.correct,
        totals.images + batch.images,
        tf.where(totals.diverged > 0, totals.diverged, diverged),
    )


@lru_cache(maxsize=1)
def _test_tensors(data: Dataset) -> tuple[tf.Tensor, tf.Tensor]:
    """Test images as (images, pixels) float32, labels as int32; kept for the next training."""
    images = data.x_test.reshape(len(data.x_test), -1)
    return tf.constant(images, tf.float32), tf.constant(data.y_test, tf.int32)
