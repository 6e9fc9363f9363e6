"""What a model makes of images, stage by stage."""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ndmixer.accounting import accounting, last_block, stages, walk
from ndmixer.datasets import Dataset
from ndmixer.kernels import look
from ndmixer.spec import ModelSpec

LARGEST_BATCH = 2_000
LARGEST_ANSWER = 48 * 2**20  # bytes, of all wanted stages of a batch together


def representations(
    spec: ModelSpec,
    weights: Mapping[str, ArrayLike],
    images: ArrayLike,
    wanted: tuple[str, ...] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """The representation of images at every stage, or at some.

    Args:
        spec: The architecture.
        weights: Its weights by the names of `accounting(spec).weights`.
        images: Shape `(images, ...)`; each image any reshape of `spec.in_shape`.
        wanted: Names of the stages wanted, out of `ndmixer.stages(spec)`; None is all.

    Returns:
        For each stage an array of shape `(images, *stage.shape)`, float32, in the order of
        the computation.

    Raises:
        ValueError: there is no such stage, or an image has another size.
    """
    pixels = _checked(spec, images, wanted)
    return look(spec, weights, pixels, stages(spec) if wanted is None else wanted)


def in_batches(
    spec: ModelSpec,
    weights: Mapping[str, ArrayLike],
    images: ArrayLike,
    wanted: tuple[str, ...],
    without: Collection[str] = (),
) -> Iterator[tuple[slice, str, NDArray[np.float32]]]:
    """The representation of many images, one batch and one stage at a time.

    For what needs no more than one batch at once, in memory that does not grow with the
    images.

    Args:
        spec: The architecture.
        weights: Its weights by the names of `accounting(spec).weights`.
        images: Shape `(images, ...)`; each image any reshape of `spec.in_shape`.
        wanted: Names of the stages wanted, out of `ndmixer.stages(spec)`.
        without: Axes of blocks whose MLP is left out; see `ndmixer.kernels.look`.

    Yields:
        Which images, the name of the stage, and their representation there, shape
        `(batch, *stage.shape)`: batch by batch, in each the stages in order. It stands until
        the next batch is asked for: two take turns in the same memory, as fresh memory for
        each costs a quarter of the time.

    Raises:
        ValueError: there is no such stage, or an image has another size.
    """
    pixels = _checked(spec, images, wanted)
    if not len(pixels):
        return
    size = min(len(pixels), batch_size(spec, wanted))
    starts = range(0, len(pixels), size)
    parts = [slice(start, min(start + size, len(pixels))) for start in starts]
    rooms = [np.empty(size * _numbers(spec, wanted), np.float32) for _ in range(2)]

    def found(number: int) -> dict[str, NDArray[np.float32]]:
        images, room = pixels[parts[number]], rooms[number % 2]
        return look(spec, weights, images, wanted, without=without, room=room)

    with ThreadPoolExecutor(1) as ahead:  # one batch further than the caller
        coming = ahead.submit(found, 0)
        for number, part in enumerate(parts):
            values = coming.result()
            if number + 1 < len(parts):
                coming = ahead.submit(found, number + 1)
            for name, value in values.items():
                yield part, name, value


def early_exits(
    spec: ModelSpec, weights: Mapping[str, ArrayLike], values: Mapping[str, ArrayLike]
) -> dict[str, NDArray[np.float32]]:
    """What the model would answer if it stopped before its first block, or after each.

    Head and logits are applied to the representation there, as the model does after its last
    block: the last answer is that of the whole model.

    Args:
        spec: The architecture.
        weights: Its weights by the names of `accounting(spec).weights`.
        values: The representation of images at every stage, as of `representations`.

    Returns:
        For the stage before the first block and for every block the output, of shape
        `(images, num_classes)`, of an autoencoder `(images, *in_shape)`.
    """
    first = "embed" if spec.embedding else "input"
    names = [first, *(stage.name for stage in accounting(spec).stages if stage.axes)]
    given = np.concatenate([np.asarray(values[name], np.float32) for name in names])
    outputs = output_after(spec, weights, last_block(spec), given)
    return dict(zip(names, np.split(outputs, len(names)), strict=True))


def output_after(
    spec: ModelSpec, weights: Mapping[str, ArrayLike], stage: str, values: ArrayLike
) -> NDArray[np.float32]:
    """What the rest of a model makes of representations, whether images led to them or not.

    Args:
        spec: The architecture.
        weights: Its weights by the names of `accounting(spec).weights`.
        stage: Where they are; any stage but those within a block.
        values: Shape `(images, *stage.shape)`.

    Returns:
        Logits `(images, num_classes)`, or of an autoencoder `(images, *in_shape)`.

    Raises:
        ValueError: there is no such stage, or it lies within a block.
    """
    *_, output = stages(spec)
    return look(spec, weights, values, (output,), after=stage)[output]


def batch_size(spec: ModelSpec, wanted: Collection[str]) -> int:
    """Images at once in `in_batches`: as many as keep what comes back small."""
    return max(1, min(LARGEST_BATCH, LARGEST_ANSWER // (4 * _numbers(spec, wanted))))


def _numbers(spec: ModelSpec, wanted: Collection[str]) -> int:
    """Of one image, at all wanted stages together."""
    return sum(prod(stage.shape) for stage in walk(accounting(spec)) if stage.name in wanted)


def _checked(
    spec: ModelSpec, images: ArrayLike, wanted: tuple[str, ...] | None
) -> NDArray[np.float32]:
    """The images as rows of pixels."""
    given, size = np.asarray(images, np.float32), prod(spec.in_shape)
    if prod(given.shape[1:]) != size:
        raise ValueError(
            f"an image must hold {size:,} numbers, the size of in_shape {spec.in_shape}. "
            f"Received: images of shape {given.shape}"
        )
    pixels = given.reshape(len(given), size)
    missing = set(wanted or ()) - set(stages(spec))
    if missing:
        raise ValueError(
            f"the stages of this model are {', '.join(stages(spec))}. Received: {sorted(missing)}"
        )
    return pixels


def probe_images(data: Dataset) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The first test image of each class: the few that are shown while a model trains.

    Returns:
        Images of shape `(classes, ...)` and their labels, ascending.
    """
    labels, first = np.unique(data.y_test, return_index=True)
    return data.x_test[first], labels
