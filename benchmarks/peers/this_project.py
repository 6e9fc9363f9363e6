"""`ndmixer.train`, through the `Trainer` that it makes, which draws the weights itself."""

import tensorflow as tf

from ndmixer import TrainSpec
from ndmixer.datasets import Dataset
from ndmixer.training import Trainer
from peers import LEARNING_RATE, SIZE
from peers.problem import SEED, Problem, Weights


class Train:
    chunk = 1

    def __init__(self, problem: Problem, weights: Weights) -> None:
        data = problem.data  # with a test set so small that its evaluation takes no time
        data = Dataset(data.name, data.x_train, data.y_train, data.x_test[:64], data.y_test[:64])
        train_spec = TrainSpec(
            batch_size=problem.batch, epochs=10_000, learning_rate=LEARNING_RATE, seed=SEED
        )
        self._trainer = Trainer(problem.spec, train_spec, data)

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
