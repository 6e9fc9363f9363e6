"""One architecture at work on the cores of this machine: training, measuring, looking inside."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numba import config
from numpy.typing import ArrayLike, NDArray

from ndmixer.accounting import accounting, walk
from ndmixer.kernels import step
from ndmixer.kernels.plan import make_plan
from ndmixer.kernels.step import LANES
from ndmixer.spec import ModelSpec

Vector = NDArray[np.float32]
SHARDS = 8  # of a batch at most
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
        cores: Threads at most, by default one a core. A result does not depend on it: the
            shards into which a batch is cut do not, and their gradients are added in order.
    """

    def __init__(self, spec: ModelSpec, batch_size: int, cores: int | None = None) -> None:
        self._spec, plan = spec, make_plan(spec)
        self._cores = cores or config.NUMBA_NUM_THREADS
        groups = -(-batch_size // LANES)
        self._groups = -(-groups // SHARDS)  # of a shard
        self._shards = -(-groups // self._groups)
        classes = spec.num_classes if spec.task == "classifier" else 0
        output = list(plan.stages.values())[-1]
        self._plan = plan.operations, plan.packed, output, plan.gradient, classes
        # Slopes are kept for the way back alone.
        operations = plan.operations.copy()
        operations["slope"] = -1
        self._forward = operations, *self._plan[1:]
        self._work = np.zeros((self._cores, plan.floats), np.float32)
        length = -(-plan.parameters // LINE) * LINE
        self._gradients = np.zeros((self._shards, length), np.float32)

    def prepare(self) -> None:
        """Compiles, on a machine the first time, what serves every architecture."""
        nothing = np.zeros((1, 1), np.float32)
        labels = np.zeros(1, np.int32)
        state = State(nothing[0], nothing[0], nothing[0])
        self.train(state, 0, np.zeros(0), nothing, labels, np.zeros((0, 1), np.int32))
        self.measure(nothing[0], nothing[:0], labels[:0])
        shapes = accounting(self._spec).weights
        weights = {name: np.zeros(shape) for name, shape in shapes.items()}
        look(self._spec, weights, np.zeros((0, prod(self._spec.in_shape))), ("input",))

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
        padded = np.full((steps, self._shards * self._groups * LANES), -1, np.int32)
        padded[:, :batch] = order
        shown = padded.reshape(steps, self._shards, self._groups, LANES)
        counters, sums = np.zeros(step.COUNTERS, np.int64), np.zeros(4)
        totals = np.zeros((self._shards, LINE), np.float32)
        _side_by_side(
            min(self._cores, self._shards),
            lambda thread: step.train(
                counters,
                self._plan,
                tuple(state),
                taken,
                rates,
                _read_only(images),
                _read_only(labels),
                shown,
                self._work[thread],
                self._gradients,
                totals,
                sums,
            ),
        )
        loss, correct, seen, diverged = sums.tolist()
        return Totals(loss, correct, seen, int(diverged))

    def measure(self, weights: Vector, images: Vector, labels: NDArray[np.int32]) -> Totals:
        """Sums over all images, shape (images, pixels) float32."""
        parts = _parts(len(images), self._cores)
        totals = np.zeros((len(parts), LINE), np.float32)
        _side_by_side(
            len(parts),
            lambda thread: step.measure(
                self._forward,
                _read_only(weights),
                _read_only(images),
                _read_only(labels),
                parts[thread],
                self._work[thread],
                totals[thread],
            ),
        )
        loss, correct, seen = totals[:, :3].sum(axis=0, dtype=float).tolist()
        return Totals(loss, correct, seen, 0)


def join(spec: ModelSpec, weights: Mapping[str, ArrayLike]) -> Vector:
    """All weights as one vector, in the order of the accounting."""
    parts = [np.asarray(weights[name], np.float32).ravel() for name in accounting(spec).weights]
    return np.concatenate(parts)


def split(spec: ModelSpec, vector: Vector) -> dict[str, NDArray[np.float32]]:
    """A copy of the weights of a vector, by the names of `accounting(spec).weights`."""
    shapes = accounting(spec).weights
    parts = np.split(vector.copy(), np.cumsum([prod(shape) for shape in shapes.values()])[:-1])
    return {
        name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def look(
    spec: ModelSpec,
    weights: Mapping[str, ArrayLike],
    given: ArrayLike,
    wanted: Collection[str],
    *,
    after: str = "input",
    without: Collection[str] = (),
) -> dict[str, NDArray[np.float32]]:
    """Runs a model and returns what it makes of many tensors, at some of its stages.

    Args:
        spec: The architecture.
        weights: Its weights by the names of `accounting(spec).weights`.
        given: The representations at `after`, shape (number, ...): images, unless another
            stage is named.
        wanted: Names of that stage or later ones.
        after: Any stage but those within a block, whose residual needs what went into the
            block.
        without: Axes of blocks, such as `block_0/axis_1`, whose MLP is left out: the identity
            stands in its place.

    Returns:
        For each stage an array `(number, *stage.shape)`, float32, in the order of the model.

    Raises:
        ValueError: there is no such stage or axis, or the stage lies within a block.
    """
    plan = make_plan(spec, frozenset(without))
    starts = [stage.name for stage in accounting(spec).stages]
    if after not in starts:
        raise ValueError(f"start at one of {', '.join(starts)}. Received: after={after!r}")
    names = [name for name in plan.stages if name in wanted]
    shapes = {stage.name: stage.shape for stage in walk(accounting(spec))}
    operations = plan.operations[plan.done[after] : plan.done[names[-1]]].copy()
    operations["slope"] = -1
    number = len(np.asarray(given))
    sizes = np.array([prod(shapes[name]) for name in names])
    ends = np.cumsum(number * sizes)
    out = np.empty(ends[-1], np.float32)
    rows = np.ascontiguousarray(given, np.float32).reshape(number, prod(shapes[after]))
    vector, places = join(spec, weights), np.array([plan.stages[name] for name in names])
    parts = _parts(number, config.NUMBA_NUM_THREADS)
    work = np.empty((len(parts), plan.floats), np.float32)
    _side_by_side(
        len(parts),
        lambda thread: step.look(
            operations,
            plan.packed,
            _read_only(vector),
            plan.stages[after],
            _read_only(rows),
            parts[thread],
            work[thread],
            places,
            sizes,
            ends - number * sizes,
            out,
        ),
    )
    arrays = np.split(out, ends[:-1])
    return {
        name: array.reshape(number, *shapes[name])
        for name, array in zip(names, arrays, strict=True)
    }


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Data may be read-only; as that is a type of its own, all of them are, and compiled once."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _parts(number: int, cores: int) -> list[NDArray[np.int32]]:
    """Rows from 0 on as (groups, LANES) for each core; -1 is none."""
    groups = -(-number // LANES)
    order = np.arange(groups * LANES, dtype=np.int32)
    order[number:] = -1
    return np.array_split(order.reshape(-1, LANES), max(1, min(cores, groups)))


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
