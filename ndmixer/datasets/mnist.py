"""MNIST as it ships with the project: see `mnist.md`."""

import hashlib
import io
from pathlib import Path

import numpy as np

from ndmixer.datasets.dataset import Dataset, make_dataset

PATH = Path(__file__).with_name("mnist.npz")
SHA256 = "06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64"


def load_mnist() -> Dataset:
    """Loads the 60,000 + 10,000 digits, after checking the file's SHA-256."""
    try:
        content = PATH.read_bytes()
    except OSError as error:
        raise ValueError(
            "MNIST ships with ndmixer but cannot be read; reinstall ndmixer. "
            f"Received: path={str(PATH)!r}, {error.strerror}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise ValueError(
            f"MNIST's file is damaged; reinstall ndmixer. Expected: sha256={SHA256}. "
            f"Received: path={str(PATH)!r}, {len(content)} bytes, sha256={digest}"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return make_dataset("mnist", **arrays)
