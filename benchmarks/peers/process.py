"""A contender in a process of its own, which stays warm and works only when it is told to."""

import multiprocessing
import os
import sys
import time
import traceback
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from peers import CONTENDERS, SIZE
from peers.problem import Problem, Weights, initial_weights, loss_and_accuracy

CHECKED_STEPS = 64
FIRST_TURN = 8  # steps at least of a turn, and of the first, whose speed is not yet known


class Worker:
    """The parent's end: a method of `Turns`, called here, runs there."""

    def __init__(self, name: str, preset: str, batch: int, chunk: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, name, preset, batch, chunk), daemon=True
        )
        self._process.start()
        other.close()

    def call(self, method: str, *arguments: Any) -> Any:
        self._connection.send((method, arguments))
        result, error = self._connection.recv()
        if error:
            raise RuntimeError(error)
        return result

    def end(self) -> None:
        self._connection.close()
        self._process.join()


def _serve(connection: Connection, *arguments: Any) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        turns = Turns(*arguments)
        while True:
            method, given = connection.recv()
            connection.send((getattr(turns, method)(*given), None))
    except EOFError:  # the parent has ended
        return
    except Exception:  # told to the parent, which ends the benchmark
        connection.send((None, traceback.format_exc()))


class Turns:
    """The child's end. The framework is imported and the data read before any clock starts."""

    def __init__(self, name: str, preset: str, batch: int, chunk: int) -> None:
        module, _, kind = CONTENDERS[name].partition(":")
        self._kind = getattr(import_module(f"peers.{module}"), kind)
        self._kind.chunk = min(self._kind.chunk, chunk)
        self._problem = Problem(preset, batch)
        self._step = 0
        self._steps_per_s = 0.0

    def ready(self) -> None:
        """Answers once all is imported and read."""

    def _train(self, count: int) -> float:
        loss = self._contender.train(self._step, count)
        self._step += count
        return loss

    def start(self, weights: Weights) -> dict[str, Any]:
        """Takes the first 64 steps: how long until the first call is done, and until all are."""
        begin = time.perf_counter()
        self._contender = self._kind(self._problem, weights)
        chunk = self._kind.chunk
        losses = [self._train(chunk)]
        first = time.perf_counter() - begin
        losses.append(self._train(CHECKED_STEPS - chunk))
        seconds = time.perf_counter() - begin
        mean = (losses[0] * chunk + losses[1] * (CHECKED_STEPS - chunk)) / CHECKED_STEPS
        return {
            "first_step_s": first,
            "first_64_steps_s": seconds,
            "mean_loss": mean,
            "weights": self._contender.weights(),
        }

    def initial_weights(self) -> Weights:
        """See the function of this name."""
        return initial_weights(self._problem.spec)

    def turn(self, seconds: float) -> float:
        """Trains about so long, as the last turn's speed tells; returns images a second."""
        if self._step == CHECKED_STEPS and hasattr(self._contender, "warm"):
            self._contender.warm()
        chunk = self._kind.chunk
        count = max(FIRST_TURN, round(self._steps_per_s * seconds)) // chunk * chunk or chunk
        begin = time.perf_counter()
        self._train(count)
        self._steps_per_s = count / (time.perf_counter() - begin)
        return self._steps_per_s * self._problem.batch

    def gflops(self, seconds: float) -> float:
        """GFLOP/s of the best of many large matrix products; 0 if it has none to offer."""
        if not hasattr(self._contender, "multiply"):
            return 0.0
        best, start = float("inf"), time.perf_counter()
        while time.perf_counter() - start < seconds:
            begin = time.perf_counter()
            self._contender.multiply()
            best = min(best, time.perf_counter() - begin)
        return 2 * SIZE**3 / best / 1e9

    def to_accuracy(self, target: float, cap: float, weights: Weights) -> dict[str, Any]:
        """Trains a fresh model until it is so good on the test set, or for `cap` seconds.

        It is judged after every 256 steps, outside the clock, by NumPy.
        """
        begin = time.perf_counter()
        self._contender = self._kind(self._problem, weights)
        seconds, accuracy, self._step = time.perf_counter() - begin, 0.0, 0
        data = self._problem.data
        while accuracy < target and seconds < cap:
            begin = time.perf_counter()
            self._train(256)
            seconds += time.perf_counter() - begin
            _, accuracy = loss_and_accuracy(
                self._problem.spec, self._contender.weights(), data.x_test, data.y_test
            )
        return {"seconds": seconds, "steps": self._step, "accuracy": accuracy}

    def peak_mb(self) -> float:
        """The most memory this process has held, images included; on Unix alone."""
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1_024) / 1e6
