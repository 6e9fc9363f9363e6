"""One architecture's training and measuring on the cores of this machine."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ndmixer.kernels import step
from ndmixer.kernels.plan import make_plan
from ndmixer.kernels.step import LANES
from ndmixer.spec import ModelSpec

Vector = NDArray[np.float32]
LINE = 16  # floats of one line of the cache, which no two threads should write


class State(NamedTuple):
    """What a step of Adam changes: all weights and both moments, each one float32 vector."""

    weights: Vector
    mean: Vector
    variance: Vector


class Totals(NamedTuple):
    """Sums over images, and the first step whose loss was not finite (0: none)."""

    loss: float
    correct: float
    images: float
    diverged: int


class Program:
    """What a training calls, for one architecture and batch size.

    Args:
        spec: The architecture.
        batch_size: Images in one step at most.
        cores: Threads at most; a batch is cut into one part for each, whose gradients are added
            in a fixed order, so that their number belongs to what determines a result.
    """

    def __init__(self, spec: ModelSpec, batch_size: int, cores: int) -> None:
        plan = make_plan(spec)
        groups = -(-batch_size // LANES)
        self._groups = -(-groups // cores)  # of a thread
        self._threads = -(-groups // self._groups)
        self._cores = cores
        classes = spec.num_classes if spec.task == "classifier" else 0
        output = list(plan.stages.values())[-1]
        self._plan = plan.operations, plan.packed, output, plan.gradient, classes
        # Slopes are kept for the way back alone.
        operations = plan.operations.copy()
        operations["slope"] = -1
        self._forward = operations, *self._plan[1:]
        self._work = np.zeros((cores, plan.floats), np.float32)
        length = -(-plan.parameters // LINE) * LINE
        self._gradients = np.zeros((self._threads, length), np.float32)

    def prepare(self) -> None:
        """Compiles, on a machine the first time, what serves every architecture."""
        nothing = np.zeros((1, 1), np.float32)
        labels = np.zeros(1, np.int32)
        state = State(nothing[0], nothing[0], nothing[0])
        self.train(state, 0, np.zeros(0), nothing, labels, np.zeros((0, 1), np.int32))
        self.measure(nothing[0], nothing[:0], labels[:0])

    def train(
        self,
        state: State,
        taken: int,
        rates: NDArray[np.float64],
        images: Vector,
        labels: NDArray[np.int32],
        order: NDArray[np.int32],
    ) -> Totals:
        """Takes a step on each row of `order`; changes the state in place.

        Args:
            state: Where the training is.
            taken: Steps taken before.
            rates: Shape (steps,), Adam's step size in each.
            images: Shape (images, pixels), float32.
            labels: Shape (images,).
            order: Shape (steps, batch), rows of the images; -1 is none, and comes last.
        """
        steps, batch = order.shape
        padded = np.full((steps, self._threads * self._groups * LANES), -1, np.int32)
        padded[:, :batch] = order
        shown = padded.reshape(steps, self._threads, self._groups, LANES)
        counter, sums = np.zeros(1, np.int64), np.zeros(4)
        totals = np.zeros((self._threads, LINE), np.float32)
        _side_by_side(
            self._threads,
            lambda thread: step.train(
                thread,
                counter,
                self._plan,
                tuple(state),
                taken,
                rates,
                images,
                labels,
                shown,
                self._work,
                self._gradients,
                totals,
                sums,
            ),
        )
        loss, correct, seen, diverged = sums.tolist()
        return Totals(loss, correct, seen, int(diverged))

    def measure(self, weights: Vector, images: Vector, labels: NDArray[np.int32]) -> Totals:
        """Sums over all images, shape (images, pixels) float32."""
        order = np.full(-(-len(images) // LANES) * LANES, -1, np.int32)
        order[: len(images)] = np.arange(len(images))
        parts = np.array_split(order.reshape(-1, LANES), self._cores)
        totals = np.zeros((self._cores, LINE), np.float32)
        _side_by_side(
            self._cores,
            lambda thread: step.measure(
                self._forward,
                weights,
                images,
                labels,
                parts[thread],
                self._work[thread],
                totals[thread],
            ),
        )
        loss, correct, seen = totals[:, :3].sum(axis=0, dtype=float).tolist()
        return Totals(loss, correct, seen, 0)


def _side_by_side(count: int, call: Callable[[int], None]) -> None:
    """Calls it with 0 to count - 1, each in its own thread, and waits for all of them."""
    others = [_threads(number).submit(call, number) for number in range(1, count)]
    call(0)
    for other in others:
        other.result()


@cache
def _threads(number: int) -> ThreadPoolExecutor:
    """One thread each, so that all of them run at once: they wait for each other."""
    return ThreadPoolExecutor(1, thread_name_prefix=f"kernels-{number}")
