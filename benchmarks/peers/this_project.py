"""`ndmixer.train`, through the `Trainer` that it makes."""

import tensorflow as tf

from ndmixer import TrainSpec, train
from ndmixer.datasets import Dataset
from ndmixer.training import Trainer
from peers import LEARNING_RATE, SIZE
from peers.problem import SEED, Problem, Weights


class Train:
    chunk = 1

    def __init__(self, problem: Problem, weights: Weights) -> None:
        x, y = problem.data.x_train, problem.data.y_train
        few = slice(problem.batch)
        # A test set so small that its evaluation after each epoch takes no time.
        self._data = Dataset(problem.data.name, x, y, x[few], y[few])
        self._few = Dataset(problem.data.name, x[few], y[few], x[few], y[few])
        self._spec = problem.spec
        self._training = TrainSpec(
            batch_size=problem.batch, epochs=10_000, learning_rate=LEARNING_RATE, seed=SEED
        )
        self._trainer = Trainer(self._spec, self._training, self._data)
        self._trainer.restore({**self._trainer.state(), **weights})

    def warm(self) -> None:
        """Compiles the evaluation, which no other contender has, before an epoch ends."""
        train(self._spec, self._training.model_copy(update={"epochs": 1}), self._few)

    def train(self, first: int, count: int) -> float:
        """Goes on to step `first + count`; its own order is that of the problem."""
        assert self._trainer.step == first
        last, total = first, 0.0
        self._trainer.limit = first + count

        def add(event: dict) -> None:
            nonlocal last, total
            if event["phase"] == "training":
                total += event["loss"] * (event["step"] - last)
                last = event["step"]

        self._trainer.run(add, lambda: self._trainer.step == first + count)
        return total / count

    def weights(self) -> Weights:
        return self._trainer.weights()

    def multiply(self) -> None:
        a = tf.ones((SIZE, SIZE))
        tf.matmul(a, a).numpy()
