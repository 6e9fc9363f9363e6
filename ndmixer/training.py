"""Trains a model of a specification; knows no run and no page.

Many steps of Adam are one call of a program: on a CPU that of `ndmixer.kernels`, on a GPU that
of `ndmixer.xla`. Both take the same steps to rounding.
"""

import threading
import time
from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ndmixer import kernels, xla
from ndmixer.accounting import accounting
from ndmixer.datasets import Dataset
from ndmixer.kernels import State, join, split
from ndmixer.models import build_model
from ndmixer.spec import ModelSpec, TrainSpec

Event = dict[str, Any]

BURST_SECONDS = 0.1  # a stop waits for one burst, a page sees one event a burst
CURVE_POINTS = 300  # of a whole training at least, however fast it is
EVENT_SECONDS = 0.2  # longest silence while compiling or evaluating
EVALUATION_FLOPS = 4e9  # in one call; small enough that a stop is quick on a slow core

MEAN, VARIANCE = "adam/mean/", "adam/variance/"  # before a weight's name, its moments


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
            program is compiled, on a CPU once on a machine: `phase` (`"compiling"`,
            `"training"` or `"evaluating"`), `step` (optimizer steps so far), `total_steps`,
            `epoch` (from 1), `elapsed` (seconds), `learning_rate` (before the schedule), and
            from the first step on `loss` (mean over the images since the event before),
            `images_per_s`, `accuracy` (a classifier) or `rmse`, and `gates`, if there are any.
            After each epoch there follow `val_loss` and `val_accuracy` or `val_rmse`, over the
            whole test set.
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
        places = accounting(model_spec).places
        gates = [place.start for name, place in places.items() if name.endswith("/gate/value")]
        self._gate_places = np.array(gates, np.int64)
        self._train_set = _flat(model_spec, data.x_train[:used], data.y_train[:used])
        self._test_set = _flat(model_spec, data.x_test, data.y_test)
        flops = accounting(model_spec).flops
        self._evaluated_at_once = int(max(64, min(2_000, EVALUATION_FLOPS // max(1, flops))))
        self.steps_per_epoch = -(-used // self._batch_size)
        self.total_steps = self.steps_per_epoch * train_spec.epochs
        self.learning_rate = train_spec.learning_rate
        self.limit: int | None = None
        self.reason: str | None = None
        self.step = 0
        self.evaluated = 0
        self._seconds = 0.0
        self._last: Event = {}

        self._model = build_model(model_spec, train_spec.seed)
        weights = join(model_spec, {v.path: v.numpy() for v in self._model.trainable_variables})
        self._state = State(weights, np.zeros_like(weights), np.zeros_like(weights))

    def weights(self) -> dict[str, np.ndarray]:
        """The weights as they are now, float32, by the names of `accounting(spec).weights`."""
        return split(self.model_spec, self._state.weights)

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
                for name, array in split(self.model_spec, vector).items()
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
        shapes, parts = accounting(self.model_spec).weights, ("", MEAN, VARIANCE)
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
        self._state = State(
            *(
                join(self.model_spec, {name: state[f"{part}{name}"] for name in shapes})
                for part in parts
            )
        )
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
        if not self._prepare():
            return
        burst, order, order_epoch = 1, np.empty(0, np.int32), -1
        longest = -(-self.total_steps // CURVE_POINTS)
        while not self.finished and not self._should_stop():
            epoch, first = divmod(self.step, self.steps_per_epoch)
            late = self._is_late()
            if self.step > self.evaluated and (first == 0 or late):
                if not self._evaluate():
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
            # A few steps left over would be a burst of their own, and a noisy point.
            count = left if left < 1.5 * burst else burst
            seconds = self._train(order[first : first + count])
            burst = min(round(count * BURST_SECONDS / seconds), 4 * burst, longest)
            burst = max(1, burst)

    def _train(self, order: NDArray[np.int32]) -> float:
        """Takes a step on each row of `order` and reports them; returns the seconds they took."""
        start, rates = time.perf_counter(), self._rates(len(order))
        total = self._program.train(self._state, self.step, rates, *self._train_set, order)
        seconds = time.perf_counter() - start
        if total.diverged:
            raise TrainingDiverged(total.diverged, self.learning_rate)
        self.step += len(order)
        measured = self._measures(total.loss / total.images, total.correct / total.images)
        self._emit("training", **measured, images_per_s=total.images / seconds, **self._gates())
        return seconds

    def _rates(self, count: int) -> NDArray[np.float64]:
        """Adam's step size in each of the next steps."""
        factors = np.ones(count)
        if self.train_spec.schedule == "cosine":
            steps = self.step + np.arange(count)
            factors = (1 + np.cos(np.pi * steps / self.total_steps)) / 2
        return self.learning_rate * factors

    def _is_late(self) -> bool:
        limit = self.train_spec.max_seconds
        elapsed = time.perf_counter() - self._started
        return limit is not None and self.step > 0 and elapsed >= limit

    def _gates(self) -> dict[str, list[float]]:
        """The gate of each block, in order; nothing for a model without gates."""
        gates = self._state.weights[self._gate_places].tolist()
        return {"gates": [round(gate, 6) for gate in gates]} if gates else {}

    def _evaluate(self) -> bool:
        """Measures loss and accuracy on the whole test set; False if it was told to stop."""
        images, labels = self._test_set
        loss = correct = 0.0
        for first in range(0, len(images), self._evaluated_at_once):
            if self._should_stop():
                return False
            part = slice(first, first + self._evaluated_at_once)
            totals = self._program.measure(self._state.weights, images[part], labels[part])
            loss, correct = loss + totals.loss, correct + totals.correct
            self._keep_alive("evaluating")
        if not np.isfinite(loss):
            raise TrainingDiverged(self.step, self.learning_rate)
        measured = self._measures(loss / len(images), correct / len(images))
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

    def _order(self, epoch: int) -> NDArray[np.int32]:
        """Which images each step of an epoch sees: (steps, batch), -1 where there is none."""
        generator = np.random.default_rng((self.train_spec.seed, epoch + 1))
        order = np.full(self.steps_per_epoch * self._batch_size, -1, np.int32)
        order[: self._used] = generator.permutation(self._used)
        return order.reshape(self.steps_per_epoch, -1)

    def _prepare(self) -> bool:
        """Waits until the program can be called; False if it was told to stop meanwhile."""
        task = _Task(self._program.prepare)
        while not task.done(0.02):
            if self._should_stop():
                return False
            self._keep_alive("compiling")
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
        alive = self._thread.is_alive()  # before the error is looked for, which may come meanwhile
        if self._error is not None:
            raise self._error
        return not alive


def _program(spec: ModelSpec, batch_size: int) -> kernels.Program | xla.Program:
    if tf.config.list_logical_devices("GPU"):
        return xla.program(spec, batch_size)
    return kernels.Program(spec, batch_size)


def _without_validation(event: Mapping[str, Any]) -> Event:
    return {name: value for name, value in event.items() if not name.startswith("val_")}


def _flat(
    spec: ModelSpec, images: NDArray[np.float32], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Images as (images, pixels), labels as int32: the compiled code believes what it is given."""
    if len(labels) != len(images):
        raise ValueError(
            f"every image has one label. Received: {len(images)} images, {len(labels)} labels"
        )
    known = (labels >= 0) & (labels < spec.num_classes)
    if spec.task == "classifier" and not known.all():
        raise ValueError(
            f"the labels of {spec.num_classes} classes are 0 to {spec.num_classes - 1}; "
            f"`make_dataset` checks them. Received: {labels[~known][0]}"
        )
    flat = np.ascontiguousarray(images.reshape(len(images), -1), np.float32)
    return flat, labels.astype(np.int32)
