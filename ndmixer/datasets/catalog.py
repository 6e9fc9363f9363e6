"""Which datasets there are, and how one is found by name or path."""

import difflib
import os
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from ndmixer.datasets.dataset import Dataset, DatasetInfo
from ndmixer.datasets.keras_cached import load_keras
from ndmixer.datasets.mnist import load_mnist
from ndmixer.datasets.npz import load_npz, npz_info

_INFOS = (
    DatasetInfo(
        name="mnist",
        description="Handwritten digits, 28 x 28 grey; ships with ndmixer.",
        sample_shape=(28, 28),
        train_images=60_000,
        test_images=10_000,
        class_names=tuple("0123456789"),
    ),
    DatasetInfo(
        name="fashion_mnist",
        description="Pictures of clothes, 28 x 28 grey; 30 MB, downloaded once.",
        sample_shape=(28, 28),
        train_images=60_000,
        test_images=10_000,
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
    DatasetInfo(
        name="cifar10",
        description="Photographs of animals and vehicles, 32 x 32 RGB; 170 MB, downloaded once.",
        sample_shape=(32, 32, 3),
        train_images=50_000,
        test_images=10_000,
        class_names=(
            *("airplane", "automobile", "bird", "cat", "deer"),
            *("dog", "frog", "horse", "ship", "truck"),
        ),
    ),
)
DATASETS: Mapping[str, DatasetInfo] = MappingProxyType({info.name: info for info in _INFOS})

_locks = {name: threading.Lock() for name in DATASETS}  # two sessions at once load once


def dataset_names() -> tuple[str, ...]:
    """Names that `load_dataset` knows."""
    return tuple(DATASETS)


def dataset_info(name_or_path: str | os.PathLike[str]) -> DatasetInfo:
    """Shapes and counts, without loading images.

    For an `.npz` only the headers of its arrays and its labels are read.

    Args:
        name_or_path: As for `load_dataset`.
    """
    found = _find(name_or_path)
    return npz_info(found) if isinstance(found, Path) else DATASETS[found]


def load_dataset(name_or_path: str | os.PathLike[str]) -> Dataset:
    """Loads a dataset by name, or a user's own from an `.npz` file.

    The last named dataset stays in memory (MNIST: 220 MB), shared by all callers: its
    arrays are read-only. A file is read anew each time, as it may have changed.

    Args:
        name_or_path: One of `dataset_names()`, or the path of an `.npz` file with
            `x_train`, `y_train`, `x_test` and `y_test`; see `make_dataset` for what
            they may hold. A string is a path if it ends in `.npz` or has a folder.

    Example:
    >>> load_dataset("mnist").x_train.shape
    (60000, 28, 28)
    """
    found = _find(name_or_path)
    if isinstance(found, Path):
        return load_npz(found)
    with _locks[found]:
        return _load_named(found)


@lru_cache(maxsize=1)
def _load_named(name: str) -> Dataset:
    return load_mnist() if name == "mnist" else load_keras(name)


def _find(name_or_path: object) -> str | Path:
    if isinstance(name_or_path, str) and name_or_path in DATASETS:
        return name_or_path
    if isinstance(name_or_path, os.PathLike) or (
        isinstance(name_or_path, str)
        and (name_or_path.endswith(".npz") or os.path.dirname(name_or_path))
    ):
        return Path(os.path.expanduser(name_or_path))
    close = difflib.get_close_matches(str(name_or_path).lower(), DATASETS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"no dataset has this name; use one of {', '.join(map(repr, DATASETS))}, or the path "
        f"of an .npz file.{hint} Received: name_or_path={name_or_path!r}"
    )
