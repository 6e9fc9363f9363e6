"""What a person chooses: the model and its training, validated and frozen.

A specification is plain data. It travels as JSON (in a run folder) and as a flat query
(in the address bar), and both ways back through the same checks.
"""

from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

Task = Literal["classifier", "autoencoder"]
Head = Literal["mix", "axis_concat"]
Schedule = Literal["constant", "cosine"]
Activation = Literal["gelu", "relu", "silu", "tanh", "linear"]

MAX_RANK = 25
AUTO = "auto"  # how a query spells None


def parse_shape(text: str) -> tuple[int, ...]:
    """`"28x28"`, `"28, 28"`, `"(28, 28)"` or `"784"` as a tuple of sizes.

    Raises:
        ValueError: the text holds something else than whole numbers.
    """
    parts = text.strip().strip("()[]").replace("×", "x").replace("x", ",").split(",")
    sizes = [part.strip() for part in parts if part.strip()]
    if not sizes or not all(size.isdecimal() and size.isascii() for size in sizes):
        raise ValueError(f"write a shape as whole numbers, such as 28x28. Received: {text[:80]!r}")
    if len(sizes) > MAX_RANK or any(len(size) > 9 for size in sizes):
        raise ValueError(
            f"a shape has at most {MAX_RANK} axes of at most 65,536. Received: {text[:80]!r}"
        )
    return tuple(int(size) for size in sizes)


def format_shape(shape: tuple[int, ...]) -> str:
    """The inverse of `parse_shape`: `(28, 28)` as `28x28`."""
    return "x".join(map(str, shape))


AxisSize = Annotated[int, Field(ge=1, le=65_536)]
Shape = Annotated[
    tuple[AxisSize, ...],
    BeforeValidator(lambda value: parse_shape(value) if isinstance(value, str) else value),
]


class _Spec(BaseModel):
    """Frozen, strict about unknown names, with the query form."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def to_query(self) -> dict[str, str]:
        """The specification as flat strings: shapes as `28x28`, nothing chosen as `auto`."""
        return {name: _to_text(value) for name, value in self}

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Self:
        """The inverse of `to_query`.

        Names that are missing keep their defaults, names of other things are passed over.

        Raises:
            pydantic.ValidationError: a value is not valid; `problems` puts it in words.
        """
        known = {name: text for name, text in query.items() if name in cls.model_fields}
        return cls.model_validate(
            {name: None if text == AUTO else text for name, text in known.items()}
        )


class ModelSpec(_Spec):
    """The architecture of one mixer.

    Args:
        task: `"classifier"` (images to class logits) or `"autoencoder"` (images to images).
        in_shape: The tensor given to the model, without the batch. Any reshape of the
            data's own shape: `(28, 28)`, `(1, 28, 28)`, `(4, 7, 4, 7)`, `(784,)`.
        repr_shape: The tensor inside the blocks, of the same rank.
        out_shape: The tensor just before the dense layer of a classifier with
            `head="mix"`, of the same rank; left out, it is `repr_shape`. An autoencoder
            always ends in `in_shape`, and `head="axis_concat"` has no such tensor: there
            whatever is given is replaced (by `in_shape`, by None).
        depth: Number of blocks.
        hidden_size: Width inside each MLP; None is the axis's own size.
        gate: Whether each block ends in a learnable scalar that starts at 0.
        residual: Whether each block adds its input to its output.
        activation: The function between the two layers of each MLP. GELU is exact (erf).
        head: How a classifier reads the representation: `"mix"` maps it to `out_shape`;
            `"axis_concat"` reduces each axis alone to size 1 and joins the results.
        num_classes: Length of a classifier's logits.
        embedding: Whether the blocks stand between linear maps from `in_shape` and (in an
            autoencoder) back to it. Without them `repr_shape` is `in_shape`.

    Raises:
        pydantic.ValidationError: a value is not valid; `problems` puts it in words.
    """

    task: Task = "classifier"
    in_shape: Shape = (28, 28)
    repr_shape: Shape = (28, 28)
    head: Head = "mix"  # before out_shape, whose check asks for it
    out_shape: Shape | None = None
    depth: Annotated[int, Field(ge=0, le=256)] = 4
    hidden_size: Annotated[int, Field(ge=1, le=65_536)] | None = None
    gate: bool = True
    residual: bool = True
    activation: Activation = "gelu"
    num_classes: Annotated[int, Field(ge=2, le=100_000)] = 10
    embedding: bool = True

    @field_validator("in_shape")
    @classmethod
    def _rank_is_possible(cls, shape: Shape) -> Shape:
        if not 1 <= len(shape) <= MAX_RANK:
            raise ValueError(
                f"needs 1 to {MAX_RANK} axes. Received: {format_shape(shape) or 'none'}"
            )
        return shape

    @field_validator("repr_shape")
    @classmethod
    def _repr_fits_input(cls, shape: Shape, info: ValidationInfo) -> Shape:
        return _same_rank(shape, info)

    @field_validator("out_shape")
    @classmethod
    def _out_fits_task(cls, shape: Shape | None, info: ValidationInfo) -> Shape | None:
        if info.data.get("task") == "autoencoder":
            return info.data.get("in_shape")
        if shape is None or info.data.get("head") == "axis_concat":
            return None
        return _same_rank(shape, info)

    @field_validator("head")
    @classmethod
    def _head_fits_task(cls, head: Head, info: ValidationInfo) -> Head:
        if info.data.get("task") == "autoencoder" and head != "mix":
            raise ValueError(
                "an autoencoder ends in an image, so it has no classifier's head; "
                f'choose head="mix". Received: head="{head}"'
            )
        return head

    @field_validator("embedding")
    @classmethod
    def _without_maps_shapes_agree(cls, embedding: bool, info: ValidationInfo) -> bool:
        in_shape, repr_shape = info.data.get("in_shape"), info.data.get("repr_shape")
        if not embedding and in_shape and repr_shape and in_shape != repr_shape:
            raise ValueError(
                "without linear maps around the blocks repr_shape must be in_shape; "
                f"choose {format_shape(in_shape)} or embedding=True. "
                f"Received: repr_shape={format_shape(repr_shape)}"
            )
        if not embedding and info.data.get("task") == "autoencoder" and info.data.get("depth") == 0:
            raise ValueError(
                "an autoencoder without blocks and without linear maps has nothing to learn; "
                "choose depth=1 or more, or embedding=True. Received: depth=0, embedding=False"
            )
        return embedding

    def model_post_init(self, _: Any) -> None:
        """Writes out what was left to its default."""
        # One model, one spelling: the shape before the dense layer is always written out.
        if self.task == "classifier":
            shape = None if self.head == "axis_concat" else self.out_shape or self.repr_shape
            object.__setattr__(self, "out_shape", shape)

    @property
    def cannot_learn(self) -> str | None:
        """Why no block would ever change, in a sentence; None for a model that can learn."""
        if self.gate and not self.residual and self.depth > 1:
            return (
                "Every gate starts at 0 and no block passes its input on, so nothing reaches "
                "the next block and no gradient comes back. Turn the residual on or the gate off."
            )
        return None

    def check_data(self, sample_shape: Shape, num_classes: int) -> None:
        """Holds the specification against the data it is to see.

        Args:
            sample_shape: Shape of one image of the data set.
            num_classes: Number of its classes.

        Raises:
            ValueError: `in_shape` is no reshape of an image, or the classes do not fit.
        """
        if prod(self.in_shape) != prod(sample_shape):
            raise ValueError(
                f"in_shape holds {prod(self.in_shape):,} numbers, an image of this data set "
                f"{prod(sample_shape):,}; choose any reshape of {format_shape(sample_shape)}. "
                f"Received: in_shape={format_shape(self.in_shape)}"
            )
        if self.task == "classifier" and self.num_classes < num_classes:
            raise ValueError(
                f"the data set has {num_classes} classes; choose num_classes={num_classes}. "
                f"Received: num_classes={self.num_classes}"
            )


class TrainSpec(_Spec):
    """How a model is trained: Adam on batches drawn without replacement in every epoch.

    Args:
        dataset: A name that `load_dataset` knows, or the path of an `.npz` file.
        train_images: How many of the training images are used (the first ones); None is all.
        batch_size: Images in one optimizer step. The last, smaller batch of an epoch is
            used as well.
        epochs: Passes over the training images.
        learning_rate: Step size of Adam.
        schedule: How it goes on: `"constant"`, or `"cosine"`: it falls along half a cosine,
            to 0 at the end of the last epoch. A run that is continued for more epochs falls
            towards its new end.
        seed: Of the initial weights and of the order of the images.
        target_accuracy: A classifier is finished after the first epoch whose accuracy on the
            test set reaches it; None is after all epochs. An autoencoder passes over it.
        max_seconds: Training time, without pauses, after which the model is evaluated and
            finished; None is no limit.

    Raises:
        pydantic.ValidationError: a value is not valid; `problems` puts it in words.
    """

    dataset: Annotated[str, Field(min_length=1, max_length=4_096)] = "mnist"
    train_images: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 64
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 10
    learning_rate: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 1e-3
    schedule: Schedule = "constant"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    target_accuracy: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    max_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


def problems(error: ValidationError) -> dict[str, str]:
    """What is wrong with which field, in words: `{"repr_shape": "needs 2 axes, ..."}`."""
    found: dict[str, str] = {}
    for item in error.errors():
        field = str(item["loc"][0]) if item["loc"] else ""
        message = str(item["msg"]).removeprefix("Value error, ")
        if item["type"] != "value_error":
            message = f"{message}. Received: {item['input']!r}"
        found.setdefault(field, message)
    return found


def _same_rank(shape: Shape, info: ValidationInfo) -> Shape:
    in_shape = info.data.get("in_shape")
    if in_shape is not None and len(shape) != len(in_shape):
        raise ValueError(
            f"needs {len(in_shape)} axes, as many as in_shape {format_shape(in_shape)}. "
            f"Received: {format_shape(shape) or 'none'}"
        )
    return shape


def _to_text(value: object) -> str:
    match value:
        case None:
            return AUTO
        case bool():
            return "on" if value else "off"
        case tuple():
            return format_shape(value)
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case _:
            return str(value)
