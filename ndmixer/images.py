"""Which images there are to look at: names such as `test-123`, and lists in an order."""

import re
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ndmixer.datasets import DatasetInfo

Walk = Literal["all", "mistakes", "confident", "doubtful"]
WALKS: tuple[Walk, ...] = get_args(Walk)
Part = Literal["test", "train"]

_NAME = re.compile(r"(test|train)-(\d{1,9})")


def image_name(part: Part, index: int) -> str:
    """The name of an image, as the address of a page has it."""
    return f"{part}-{index}"


def named_image(name: str | None, data: DatasetInfo) -> tuple[Part, int] | None:
    """Part and index of a name; None if the data set has no such image."""
    found = _NAME.fullmatch(name or "")
    if not found:
        return None
    part: Part = "test" if found[1] == "test" else "train"
    index = int(found[2])
    return (part, index) if index < images_in(data, part) else None


def images_in(data: DatasetInfo, part: Part) -> int:
    """How many images a part of a data set has."""
    return data.test_images if part == "test" else data.train_images


def listed(
    labels: NDArray[np.int64],
    walk: Walk = "all",
    label: int | None = None,
    probabilities: NDArray[np.floating] | None = None,
) -> NDArray[np.int64]:
    """Indices of the images of a walk, in its order.

    Args:
        labels: Shape `(images,)`.
        walk: `"all"` and `"mistakes"` in the order of the data set; `"confident"` and
            `"doubtful"` from the largest and from the smallest probability of the class that
            is named.
        label: Only images of this class.
        probabilities: Shape `(images, classes)`; needed by every walk but `"all"`.

    Raises:
        ValueError: the walk needs probabilities.
    """
    wanted = np.ones(len(labels), bool) if label is None else labels == label
    if walk != "all":
        if probabilities is None:
            raise ValueError(f"only a classifier has such images. Received: walk={walk!r}")
        if walk == "mistakes":
            wanted &= probabilities.argmax(axis=1) != labels
    found = np.flatnonzero(wanted)
    if walk in ("confident", "doubtful") and probabilities is not None:
        sure = probabilities[found].max(axis=1)
        found = found[np.argsort(-sure if walk == "confident" else sure, kind="stable")]
    return found


def neighbours(indices: NDArray[np.int64], index: int, ascending: bool) -> tuple[int, int, int]:
    """What comes before and after an image in a walk, which begins again at its end.

    Args:
        indices: A walk that is not empty.
        index: An image, in the walk or not.
        ascending: Whether the indices are in ascending order.

    Returns:
        The one before, the one after, and the place of the image itself, -1 if it has none.
    """
    at = np.flatnonzero(indices == index)
    if len(at):
        place = int(at[0])
        before, after = place - 1, place + 1
    else:
        place = -1
        after = int(np.searchsorted(indices, index)) if ascending else 0
        before = after - 1
    return int(indices[before % len(indices)]), int(indices[after % len(indices)]), place


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities along the last axis; NaN where a logit is not finite."""
    values = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore"):
        powers = np.exp(values - values.max(axis=-1, keepdims=True))
        probabilities: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities
