"""What a specification amounts to: shapes, equations, parameters and work of every stage.

Computed from the specification alone, without TensorFlow, so that a slider can show it at
once. It is also the plan that `ndmixer.models` follows: one `Linear` here is one dense
layer on one axis there, and `Linear.name` is the path of its weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import prod

from ndmixer.equation import axis_equation
from ndmixer.spec import ModelSpec

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Linear:
    """One kernel applied along one axis, or the dense layer that makes the logits.

    Attributes:
        name: Path of its weights, such as `block_0/mixer/axis_1/dense_1`.
        axis: The axis it works on; 0 is the batch.
        units: The size of that axis afterwards.
        in_shape: The tensor it is given, without the batch.
        activation: Name of the function applied to its result, or None.
    """

    name: str
    axis: int
    units: int
    in_shape: Shape
    activation: str | None = None

    @property
    def kernel_shape(self) -> Shape:
        """Rows and columns of the kernel: the axis before, the axis after."""
        return (self.in_shape[self.axis - 1], self.units)

    @property
    def shape(self) -> Shape:
        """The tensor it returns, without the batch."""
        return (*self.in_shape[: self.axis - 1], self.units, *self.in_shape[self.axis :])

    @property
    def equation(self) -> str:
        """The einsum of data and kernel, batch first: `abc,bd->adc`."""
        return axis_equation(len(self.in_shape) + 1, self.axis)

    @property
    def weights(self) -> dict[str, Shape]:
        """Name and shape of its kernel and bias."""
        return {f"{self.name}/kernel": self.kernel_shape, f"{self.name}/bias": (self.units,)}

    @property
    def parameters(self) -> int:
        """Numbers in the kernel and the bias."""
        return prod(self.kernel_shape) + self.units

    @property
    def multiply_adds(self) -> int:
        """Multiplications of the kernel with one image; bias and activation not counted."""
        return prod(self.in_shape) * self.units


@dataclass(frozen=True)
class Stage:
    """A named place where the representation can be read.

    Attributes:
        name: `input`, `embed`, `block_0/axis_1`, `block_0`, ..., `head`, `logits`.
        shape: The tensor there, without the batch.
        linears: The maps between the stage before and this one, in order. In the head
            `axis_concat` each works on the stage before, alone.
        axes: In a block, the stages within it: after the MLP of each axis, before gate
            and residual. Their maps are those of the block and are not counted again.
        gate: Path of the scalar that multiplies the result, or None.
    """

    name: str
    shape: Shape
    linears: tuple[Linear, ...] = ()
    axes: tuple["Stage", ...] = ()
    gate: str | None = None

    @property
    def equations(self) -> tuple[str, ...]:
        """One einsum equation a map, in order."""
        return tuple(linear.equation for linear in self.linears)

    @property
    def weights(self) -> dict[str, Shape]:
        """Name and shape of every weight of the stage, in order."""
        named: dict[str, Shape] = {}
        for linear in self.linears:
            named |= linear.weights
        return named | ({} if self.gate is None else {self.gate: ()})

    @property
    def parameters(self) -> int:
        """Numbers to be learned in this stage."""
        return sum(linear.parameters for linear in self.linears) + (self.gate is not None)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of its kernels for one image."""
        return sum(linear.multiply_adds for linear in self.linears)


@dataclass(frozen=True)
class Accounting:
    """All stages of a specification, in order, and their totals."""

    stages: tuple[Stage, ...]

    @property
    def weights(self) -> dict[str, Shape]:
        """Name and shape of every weight of the model, in the model's own order."""
        return {name: shape for stage in self.stages for name, shape in stage.weights.items()}

    @property
    def places(self) -> dict[str, slice]:
        """Where each of them lies in one vector of all."""
        sizes = {name: prod(shape) for name, shape in self.weights.items()}
        ends = accumulate(sizes.values())
        return {
            name: slice(end - size, end)
            for (name, size), end in zip(sizes.items(), ends, strict=True)
        }

    @property
    def parameters(self) -> int:
        """Numbers to be learned."""
        return sum(stage.parameters for stage in self.stages)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all kernels for one image, forward."""
        return sum(stage.multiply_adds for stage in self.stages)

    @property
    def flops(self) -> int:
        """Floating-point operations for one image, forward: two a multiply-add.

        A training step takes about three times as many: forward, and backward to the
        data and to the kernels.
        """
        return 2 * self.multiply_adds


def accounting(spec: ModelSpec) -> Accounting:
    """Shapes, equations, parameters and multiply-adds of every stage of a model.

    Args:
        spec: The model.

    Returns:
        An `Accounting`; equal to the built model, stage by stage and weight by weight.
    """
    classifier = spec.task == "classifier"
    all_stages = [Stage("input", spec.in_shape)]
    shape = spec.in_shape
    if spec.embedding:
        maps = _maps("embed", shape, spec.repr_shape, spec, mlp=not classifier)
        all_stages.append(Stage("embed", spec.repr_shape, maps))
        shape = spec.repr_shape
    all_stages += [_block(f"block_{i}", shape, spec) for i in range(spec.depth)]
    if classifier:
        all_stages += _classifier_head(shape, spec)
    elif spec.embedding:
        maps = _maps("head", shape, spec.in_shape, spec, mlp=True)
        all_stages.append(Stage("head", spec.in_shape, maps))
    return Accounting(tuple(all_stages))


def stages(spec: ModelSpec) -> tuple[str, ...]:
    """Names of all places where the representation can be read, from input to output."""
    return tuple(stage.name for stage in walk(accounting(spec)))


def last_block(spec: ModelSpec) -> str:
    """Name of the stage before the head: the last block, or what stands in its place."""
    ends = ("head", "logits")
    return [stage.name for stage in accounting(spec).stages if stage.name not in ends][-1]


def walk(account: Accounting) -> Iterator[Stage]:
    """Every stage in the order of the computation, the axes of a block before the block."""
    for stage in account.stages:
        yield from stage.axes
        yield stage


def _block(name: str, shape: Shape, spec: ModelSpec) -> Stage:
    maps = _maps(f"{name}/mixer", shape, shape, spec, mlp=True)
    axes = tuple(
        Stage(
            f"{name}/axis_{axis}",
            shape,
            tuple(linear for linear in maps if linear.axis == axis),
        )
        for axis in range(1, len(shape) + 1)
    )
    return Stage(name, shape, maps, axes, f"{name}/mixer/gate/value" if spec.gate else None)


def _maps(
    prefix: str, before: Shape, after: Shape, spec: ModelSpec, *, mlp: bool
) -> tuple[Linear, ...]:
    """The maps of one mixer: each axis in turn, two with an activation between for an MLP."""
    maps: list[Linear] = []
    shape = before
    for axis, units in enumerate(after, start=1):
        name = f"{prefix}/axis_{axis}"
        if mlp:
            hidden = spec.hidden_size or units
            maps.append(Linear(f"{name}/dense_1", axis, hidden, shape, spec.activation))
            maps.append(Linear(f"{name}/dense_2", axis, units, maps[-1].shape))
        else:
            maps.append(Linear(name, axis, units, shape))
        shape = maps[-1].shape
    return tuple(maps)


def _classifier_head(shape: Shape, spec: ModelSpec) -> list[Stage]:
    if spec.head == "axis_concat":
        maps = tuple(
            Linear(f"head/axis_{axis}", axis, 1, shape) for axis in range(1, len(shape) + 1)
        )
        head = Stage("head", (sum(prod(linear.shape) for linear in maps),), maps)
    else:
        assert spec.out_shape is not None  # a ModelSpec writes it out for every mix head
        maps = _maps("head", shape, spec.out_shape, spec, mlp=False)
        head = Stage("head", spec.out_shape, maps)
    logits = Linear("logits", 1, spec.num_classes, (prod(head.shape),))
    return [head, Stage("logits", (spec.num_classes,), (logits,))]
