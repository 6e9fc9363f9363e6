"""One architecture at work on the cores of this machine: training, measuring, looking inside."""

import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from dask.system import CPU_COUNT
from numba import config
from numpy.typing import ArrayLike, NDArray

from ndmixer.accounting import accounting, walk
from ndmixer.kernels import step
from ndmixer.kernels.plan import Plan, make_plan
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
        plan, forward = make_plan(spec, learning=True), make_plan(spec, learning=False)
        self._cores = cores or _cores()
        groups = -(-batch_size // LANES)
        self._groups = -(-groups // SHARDS)  # of a shard
        self._shards = -(-groups // self._groups)
        self._plan, self._forward = _given(spec, plan), _given(spec, forward)
        self._work = _aligned(self._cores, plan.floats)
        self._gradients = _aligned(self._shards, plan.parameters)

    def prepare(self) -> None:
        """Compiles, on a machine the first time, what serves every architecture."""
        nothing, labels = np.zeros((1, 1), np.float32), np.zeros(1, np.int32)
        state = State(nothing[0], nothing[0], nothing[0])
        self.train(state, 0, np.zeros(0), nothing, labels, np.zeros((0, 1), np.int32))
        self.measure(nothing[0], nothing[:0], labels[:0])
        small = ModelSpec(in_shape=(1,), repr_shape=(1,), depth=0)
        weights = {name: np.zeros(shape) for name, shape in accounting(small).weights.items()}
        look(small, weights, nothing[:0], ("input",))

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
        images, labels = _read_only(images), _read_only(labels)
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
                images,
                labels,
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
        weights, images, labels = map(_read_only, (weights, images, labels))
        parts = _parts(len(images), self._cores)
        totals = np.zeros((len(parts), LINE), np.float32)
        _side_by_side(
            len(parts),
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


def join(spec: ModelSpec, weights: Mapping[str, ArrayLike]) -> Vector:
    """All weights as one vector, in the order of the accounting.

    Raises:
        ValueError: one has another shape than there.
    """
    parts = []
    for name, shape in accounting(spec).weights.items():
        value = np.asarray(weights[name], np.float32)
        if value.shape != shape:
            raise ValueError(
                f"the weights are those of another model; {name} must have the shape {shape}. "
                f"Received: {value.shape}"
            )
        parts.append(value.ravel())
    return np.concatenate(parts)


def split(spec: ModelSpec, vector: Vector) -> dict[str, NDArray[np.float32]]:
    """A copy of the weights of a vector, by the names of `accounting(spec).weights`."""
    account = accounting(spec)
    shapes, places = account.weights, account.places
    return {name: vector[places[name]].reshape(shape).copy() for name, shape in shapes.items()}


def look(
    spec: ModelSpec,
    weights: Mapping[str, ArrayLike],
    given: ArrayLike,
    wanted: Collection[str],
    *,
    after: str = "input",
    without: Collection[str] = (),
    room: Vector | None = None,
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
        room: Memory for what is returned, float32 and long enough; by default it is new.

    Returns:
        For each stage an array `(number, *stage.shape)`, float32, in the order of the model.

    Raises:
        ValueError: there is no such stage or axis, a stage wanted comes before `after`, `after`
            lies within a block, or the weights are those of another model.
    """
    plan = make_plan(spec, learning=False, without=frozenset(without))
    starts = [stage.name for stage in accounting(spec).stages]
    if after not in starts:
        raise ValueError(f"start at one of {', '.join(starts)}. Received: after={after!r}")
    later = list(plan.stages)[list(plan.stages).index(after) :]
    names = [name for name in later if name in wanted]
    if not names or not set(wanted) <= set(later):
        raise ValueError(
            f"from {after} on the stages of this model are {', '.join(later)}. "
            f"Received: wanted={sorted(wanted)}"
        )
    shapes = {stage.name: stage.shape for stage in walk(accounting(spec))}
    operations = plan.operations[plan.done[after] : plan.done[names[-1]]]
    number = len(np.asarray(given))
    sizes = np.array([prod(shapes[name]) for name in names])
    ends = np.cumsum(number * sizes)
    out = np.empty(ends[-1], np.float32) if room is None else room[: ends[-1]]
    rows = np.asarray(given, np.float32).reshape(number, prod(shapes[after]))
    rows, vector = _read_only(rows), _read_only(join(spec, weights))
    places = np.array([plan.stages[name] for name in names])
    parts = _parts(number, _cores())
    work = _aligned(len(parts), plan.floats)
    _side_by_side(
        len(parts),
        lambda thread: step.look(
            operations,
            plan.packed,
            vector,
            plan.stages[after],
            rows,
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


def _given(spec: ModelSpec, plan: Plan) -> tuple[Any, ...]:
    """A plan as the compiled code takes it."""
    classes = spec.num_classes if spec.task == "classifier" else 0
    output = list(plan.stages.values())[-1]
    return plan.operations, plan.packed, output, plan.output_gradient, classes


@cache
def _cores() -> int:
    """Those that this process may use: a container may have fewer than its machine."""
    return min(config.NUMBA_NUM_THREADS, CPU_COUNT)


def _aligned(rows: int, length: int) -> NDArray[np.float32]:
    """Zeros whose rows begin with a line of the cache: a vector that crosses two costs double."""
    length = -(-length // LINE) * LINE
    memory = np.zeros(rows * length + LINE, np.float32)
    first = -memory.ctypes.data // memory.itemsize % LINE
    return memory[first : first + rows * length].reshape(rows, length)


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
    try:
        call(0)
    finally:
        for other in others:
            other.result()


@cache
def _threads(number: int) -> ThreadPoolExecutor:
    """One thread each, which what is done at the same time in this process shares."""
    return ThreadPoolExecutor(1, thread_name_prefix=f"kernels-{number}")


if hasattr(os, "register_at_fork"):  # a child has the executors, but not their threads
    os.register_at_fork(after_in_child=_threads.cache_clear)
