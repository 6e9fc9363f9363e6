"""A user's own `.npz`: read with `zipfile` and `numpy.lib.format`, never unpickled."""

import math
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ndmixer.datasets.dataset import (
    PARTS,
    Dataset,
    DatasetInfo,
    Header,
    check_headers,
    count_classes,
    make_dataset,
)

_T = TypeVar("_T")
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_SAVE = "np.savez(path, x_train=..., y_train=..., x_test=..., y_test=...)"


def load_npz(path: Path) -> Dataset:
    """Loads `x_train`, `y_train`, `x_test` and `y_test` of an `.npz` file."""
    return make_dataset(str(path), **_read(path, PARTS)[1])


def npz_info(path: Path) -> DatasetInfo:
    """Describes an `.npz` file from the headers of its arrays and its labels alone."""
    headers, labels = _read(path, ("y_train", "y_test"))
    num_classes = count_classes(str(path), labels["y_train"], labels["y_test"])
    train_images, *sample_shape = headers["x_train"].shape
    return DatasetInfo(
        name=str(path),
        description=f"Your own arrays, from {path.name}.",
        sample_shape=tuple(sample_shape),
        train_images=train_images,
        test_images=headers["x_test"].shape[0],
        class_names=tuple(map(str, range(num_classes))),
    )


def _read(path: Path, parts: Iterable[str]) -> tuple[dict[str, Header], dict[str, NDArray[Any]]]:
    """Headers of all four arrays, checked before the arrays in `parts` are read."""
    with _open(path) as archive:
        keys = sorted(name.removesuffix(".npy") for name in archive.namelist())
        missing = [part for part in PARTS if f"{part}.npy" not in archive.namelist()]
        if missing:
            raise ValueError(
                f"the file lacks {', '.join(missing)}; write it with {_SAVE}. "
                f"Received: path={str(path)!r} with arrays {keys}"
            )
        headers = {part: _member(path, archive, part, _header) for part in PARTS}
        check_headers(str(path), headers)
        return headers, {part: _member(path, archive, part, _array) for part in parts}


def _open(path: Path) -> zipfile.ZipFile:
    received = f"Received: path={str(path)!r}"
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise ValueError(
            f"there is no such file; paths start from {Path.cwd()}. {received}"
        ) from error
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}. {received}") from error
    except Exception as error:  # whatever else a torn directory makes `zipfile` raise
        with path.open("rb") as file:
            torn = file.read(4) == b"PK\x03\x04"
        what = "a damaged or incomplete .npz; copy it again" if torn else "not an .npz"
        raise ValueError(f"the file is {what}, or write it with {_SAVE}. {received}") from error


def _member(
    path: Path, archive: zipfile.ZipFile, part: str, read: Callable[[zipfile.ZipFile, str], _T]
) -> _T:
    try:
        return read(archive, f"{part}.npy")
    except MemoryError:
        raise
    except Exception as error:  # zlib, CRC, npy header: all say that the bytes are wrong
        raise ValueError(
            f"{part} is damaged ({error}); copy the file again or write it with {_SAVE}. "
            f"Received: path={str(path)!r}"
        ) from error


def _header(archive: zipfile.ZipFile, member: str) -> Header:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"npy version {version} is not known")
        shape, _, dtype = _HEADERS[version](file)
        size = file.tell() + math.prod(shape) * dtype.itemsize
    if size != archive.getinfo(member).file_size and not dtype.hasobject:
        raise ValueError(f"shape {shape} does not match its size")
    return Header(shape, dtype)


def _array(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    with archive.open(member) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))
