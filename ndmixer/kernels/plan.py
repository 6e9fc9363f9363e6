"""From a specification to the table of operations that the compiled code follows."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import prod
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from ndmixer.accounting import Linear, Stage, accounting
from ndmixer.kernels.step import ACTIVATIONS, COLUMNS, LANES, LINEAR, MERGE, OPERATION
from ndmixer.spec import ModelSpec


@dataclass(frozen=True)
class Plan:
    """What is computed for a group of images, in which order, and where it lies.

    Attributes:
        operations: Shape (operations,), of `OPERATION`.
        stages: Where the representation at each stage begins, by the stage's name.
        done: How many operations lead to it.
        packed, output_gradient: Where columns are packed, and the gradient of the output lies.
        floats: Length of the memory of one group.
        parameters: Length of the vector of all weights.
    """

    operations: NDArray[np.void]
    stages: dict[str, int]
    done: dict[str, int]
    packed: int
    output_gradient: int
    floats: int
    parameters: int


# Of what is done together in one go: floats that the second cache of a core holds beside other
# things, but so many columns at least that the sums over them weigh less than what is summed.
CACHED = 1 << 18
COLUMNS_AT_LEAST = 24


@lru_cache(maxsize=16)
def make_plan(spec: ModelSpec, *, learning: bool, without: frozenset[str] = frozenset()) -> Plan:
    """Lays out the tensors of a model; the first is the images.

    Args:
        spec: The architecture.
        learning: Whether there is a way back, for which derivatives are kept.
        without: Axes of blocks, such as `block_0/axis_1`, whose MLP is left out: the identity
            stands in its place.

    Raises:
        ValueError: there is no such axis.
    """
    account = accounting(spec)
    axes = [axis.name for stage in account.stages for axis in stage.axes]
    if not without <= set(axes):
        raise ValueError(
            f"what can be left out are the axes of blocks: {', '.join(axes) or '(none)'}. "
            f"Received: without={sorted(without)}"
        )
    layout = _Layout(account.places, learning, without)
    output = layout.forward(spec, account.stages)
    linears = [linear for stage in account.stages for linear in stage.linears]
    tensors = max(max(prod(linear.in_shape), prod(linear.shape)) for linear in linears)
    gradient = layout.top  # written with the loss, whether anything is learned from it or not
    packed = layout.backward(output, tensors) if learning else gradient + tensors * LANES
    longest = max(max(linear.kernel_shape) for linear in linears)
    names = OPERATION.names or ()
    rows = [tuple(operation.get(name, -1) for name in names) for operation in layout.operations]
    return Plan(
        operations=np.array(rows, OPERATION),
        stages=layout.stages,
        done=layout.done,
        packed=packed,
        output_gradient=gradient,
        floats=packed + longest * COLUMNS * LANES,
        parameters=account.parameters,
    )


class _Layout:
    """Gives out the memory of one group and writes down the operations."""

    def __init__(self, places: dict[str, slice], learning: bool, without: frozenset[str]) -> None:
        self.learning, self.without = learning, without
        self.weights = {name: place.start for name, place in places.items()}
        self.operations: list[dict[str, int]] = []
        self.runs: list[list[dict[str, int]]] = []  # the same, what is done together in one
        self.stages: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self.inside: dict[int, int] = {}  # parts of a tensor, to its place
        self.top = 0

    def tensor(self, size: int) -> int:
        """The place of a new tensor."""
        here = self.top
        self.top += size * LANES
        return here

    def reached(self, stage: str, x: int) -> None:
        """Notes that a tensor is the representation at a stage."""
        self.stages[stage] = x
        self.done[stage] = len(self.operations)

    def forward(self, spec: ModelSpec, stages: tuple[Stage, ...]) -> int:
        """The operations from the images to the output, whose place is returned."""
        x = self.tensor(prod(spec.in_shape))
        self.reached("input", x)
        for stage in stages[1:]:
            if stage.name == "head" and spec.head == "axis_concat":
                x = self.side_by_side(stage, x)
            else:
                x = self.stage(spec, stage, x)
            self.reached(stage.name, x)
        return x

    def stage(self, spec: ModelSpec, stage: Stage, x: int) -> int:
        """One map after another; around those of a block its gate and residual."""
        hidden = x
        for part in stage.axes or (stage,):
            linears = () if part.name in self.without else part.linears
            for _, run in groupby(linears, key=attrgetter("axis")):
                hidden = self.along_axis(list(run), hidden)
            if part is not stage:
                self.reached(part.name, hidden)
        if not stage.axes or not (stage.gate or spec.residual):
            return hidden
        size = prod(stage.shape)
        merge = {
            "kind": MERGE,
            "input": x if spec.residual else -1,
            "other": hidden,
            "output": self.tensor(size),
            "size": size,
            "together": 1,
            "left": 1,
            "part": 1,
        }
        if stage.gate:
            merge["gate"] = self.weights[stage.gate]
        self.together([merge])
        return merge["output"]

    def side_by_side(self, stage: Stage, x: int) -> int:
        """Every map alone upon the same tensor; what they return, one after the other."""
        y = self.tensor(prod(stage.shape))
        part = y
        for linear in stage.linears:
            self.along_axis([linear], x, part)
            self.inside[part] = y
            part += prod(linear.shape) * LANES
        return y

    def along_axis(self, linears: list[Linear], x: int, y: int | None = None) -> int:
        """Maps along one axis with their activations; returns the place of the result."""
        first = linears[0]
        left, right = prod(first.in_shape[: first.axis - 1]), prod(first.in_shape[first.axis :])
        floats = sum(sum(linear.kernel_shape) for linear in linears) * right * LANES
        part = min(left, max(CACHED // floats, -(-COLUMNS_AT_LEAST // right)))
        run: list[dict[str, int]] = []
        for linear in linears:
            size, units = linear.kernel_shape
            activation = ACTIVATIONS.index(linear.activation or "linear")
            kept = part == left or linear is linears[-1]
            held = (left if kept else part) * units * right
            operation = {
                "kind": LINEAR,
                "input": x,
                "output": self.tensor(held) if y is None else y,
                "input_kept": run[-1]["output_kept"] if run else 1,
                "output_kept": int(kept),
                "left": left,
                "size": size,
                "right": right,
                "units": units,
                "kernel": self.weights[f"{linear.name}/kernel"],
                "bias": self.weights[f"{linear.name}/bias"],
                "activation": activation,
                "slope": self.tensor(held) if activation and self.learning else -1,
                "together": len(linears),
                "part": part,
            }
            run.append(operation)
            x = operation["output"]
        self.together(run)
        return x

    def together(self, run: list[dict[str, int]]) -> None:
        """Notes operations that are done together."""
        self.runs.append(run)
        self.operations += run

    def backward(self, output: int, size: int) -> int:
        """Where each operation finds and leaves gradients; returns the end of their memory.

        Args:
            output: The place of the output, whose gradient lies at the beginning.
            size: Of the largest tensor. Each gradient has a buffer so large, that another one
                gets as soon as nobody reads it any more.
        """
        gradients = {output: self.tensor(size)}
        free: list[int] = []

        def buffer() -> int:
            return free.pop() if free else self.tensor(size)

        for run in reversed(self.runs):
            read: list[int] = []  # until the last part is done
            for operation in reversed(run):
                x, y = operation["input"], operation["output"]
                whole = self.inside.get(y, y)
                done = gradients[whole] + y - whole
                operation["output_gradient"] = done
                if operation["kind"] == MERGE:
                    operation["other_gradient"] = buffer()
                    gradients[operation["other"]] = operation["other_gradient"]
                    if x >= 0:
                        del gradients[y]
                        gradients[x] = done
                        continue
                elif x != self.stages["input"]:
                    operation["add"] = int(x in gradients)
                    if x not in gradients:
                        gradients[x] = buffer()
                    operation["input_gradient"] = gradients[x]
                if y == whole:  # the last one that reads it
                    del gradients[whole]
                    read.append(done)
            free += read
        return self.top
