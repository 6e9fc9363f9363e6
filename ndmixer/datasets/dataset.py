"""What a dataset is, and the checks that every one of them passes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

PARTS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset before its images are loaded."""

    name: str
    description: str
    sample_shape: tuple[int, ...]
    train_images: int
    test_images: int
    class_names: tuple[str, ...]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels; every array is read-only. Made by `make_dataset`."""

    name: str
    x_train: NDArray[np.float32]  # (images, *sample_shape)
    y_train: NDArray[np.int64]  # (images,)
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one image, without the batch axis."""
        return self.x_train.shape[1:]

    @property
    def num_classes(self) -> int:
        """Number of classes; the labels are `0..num_classes - 1`."""
        return int(self.y_train.max()) + 1


class Header(NamedTuple):
    """Shape and dtype of an array that need not have been read yet."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def make_dataset(
    name: str, x_train: ArrayLike, y_train: ArrayLike, x_test: ArrayLike, y_test: ArrayLike
) -> Dataset:
    """Checks, scales and freezes the four arrays.

    Args:
        name: Name of the dataset, repeated in errors.
        x_train: Real numbers of shape `(images, *sample_shape)`. `uint8` is divided
            by 255; any other dtype is cast to `float32` with its values unchanged.
        y_train: Whole numbers `0..K-1`, of shape `(images,)` or `(images, 1)`.
        x_test: As `x_train`, with the same sample shape.
        y_test: As `y_train`; it may lack classes, but has no others.

    Example:
    >>> x, y = np.random.rand(6, 4, 3), [0, 1, 2, 0, 1, 2]
    >>> make_dataset("noise", x, y, x, y).sample_shape
    (4, 3)
    """
    parts = dict(zip(PARTS, map(np.asarray, (x_train, y_train, x_test, y_test)), strict=True))
    check_headers(name, {part: Header(a.shape, a.dtype) for part, a in parts.items()})
    count_classes(name, parts["y_train"], parts["y_test"])
    arrays: dict[str, Any] = {
        p: (_images if p[0] == "x" else _labels)(name, p, a) for p, a in parts.items()
    }
    for array in arrays.values():
        array.setflags(write=False)
    return Dataset(name, **arrays)


def check_headers(name: str, headers: Mapping[str, Header]) -> None:
    """Raises a `ValueError` unless shapes and dtypes make up a dataset."""
    shown = ", ".join(f"{part} {headers[part].dtype} {headers[part].shape}" for part in PARTS)
    received = f"Received: dataset={name!r} with {shown}"
    for part in PARTS:
        shape, dtype = headers[part]
        images = part[0] == "x"
        if dtype.hasobject:
            raise ValueError(
                f"{part} holds Python objects, which are never unpickled; save numbers in an "
                f"array of one shape. {received}"
            )
        if dtype.kind not in ("buif" if images else "iu"):
            kinds = "real numbers" if images else "whole numbers, as of y.astype('int64')"
            raise ValueError(f"{part} must hold {kinds}. {received}")
        if images and len(shape) < 2:
            raise ValueError(
                f"{part} needs a batch axis and at least one more: (images, ...). {received}"
            )
        if not images and len(shape) != 1 and (len(shape) != 2 or shape[1] != 1):
            raise ValueError(
                f"{part} must have shape (images,) or (images, 1); for one-hot labels save "
                f"y.argmax(axis=-1). {received}"
            )
        if min(shape) < 1:
            raise ValueError(f"{part} is empty; every axis needs a size of 1 or more. {received}")
    for split in ("train", "test"):
        if headers[f"x_{split}"].shape[0] != headers[f"y_{split}"].shape[0]:
            raise ValueError(
                f"x_{split} and y_{split} must have as many images as labels. {received}"
            )
    if headers["x_train"].shape[1:] != headers["x_test"].shape[1:]:
        raise ValueError(f"x_train and x_test must agree in all axes but the first. {received}")


def count_classes(name: str, y_train: NDArray[Any], y_test: NDArray[Any]) -> int:
    """Number of classes, after checking that the labels are `0..K-1`."""
    found = np.unique(y_train)
    received = f"Received: dataset={name!r} with train labels {_range(y_train)}"
    if found[0] < 0 or found[-1] != len(found) - 1 or len(found) < 2:
        raise ValueError(
            "train labels must be 0..K-1 for K classes, K >= 2, with an image for each; "
            "np.searchsorted(np.unique(y_train), y) renumbers them. "
            f"{received} in {len(found)} classes"
        )
    if y_test.min() < 0 or y_test.max() > found[-1]:
        raise ValueError(
            f"test labels must be among the train labels, 0..{found[-1]}. "
            f"{received}, test labels {_range(y_test)}"
        )
    return len(found)


def _range(y: NDArray[Any]) -> str:
    return f"{y.min()}..{y.max()}"


def _images(name: str, part: str, x: NDArray[Any]) -> NDArray[np.float32]:
    if x.dtype == np.uint8:
        scaled: NDArray[np.float32] = np.divide(x, 255, dtype=np.float32, order="C")
        return scaled
    with np.errstate(over="ignore"):  # too large for float32 becomes inf, reported below
        images = x.astype(np.float32, order="C")
    bad = images.size - np.count_nonzero(np.isfinite(images))
    if bad:
        raise ValueError(
            f"{part} must be finite in float32; replace or leave out such images. "
            f"Received: dataset={name!r} with {bad} NaN, infinite or too large values in {part}"
        )
    return images


def _labels(name: str, part: str, y: NDArray[Any]) -> NDArray[np.int64]:
    return y.reshape(-1).astype(np.int64)
