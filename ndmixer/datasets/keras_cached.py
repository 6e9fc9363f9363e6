"""Datasets that Keras downloads and keeps in its own cache."""

import os
from pathlib import Path

import numpy as np

from ndmixer.datasets.dataset import Dataset, make_dataset

_FASHION = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
# Folder below Keras's home, site, and {file in the folder: file on the site}.
CACHED = {
    "fashion_mnist": (
        "datasets/fashion-mnist",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        dict(zip(_FASHION, _FASHION, strict=True)),
    ),
    "cifar10": (
        "datasets",
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-batches-py-target_archive": "cifar-10-python.tar.gz"},
    ),
}


def load_keras(name: str) -> Dataset:
    """Loads `"fashion_mnist"` or `"cifar10"` through Keras, which downloads it once.

    This imports Keras and its backend: call it where models are trained, not in the
    web process.
    """
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a bare `Exception` when a download fails
        raise ValueError(f"{_advice(name, error)} Received: name={name!r}") from error
    if name == "cifar10" and x_train.shape[-1] != 3:  # keras.json says channels_first
        x_train, x_test = (np.moveaxis(x, 1, -1) for x in (x_train, x_test))
    return make_dataset(name, x_train, y_train, x_test, y_test)


def _advice(name: str, error: Exception) -> str:
    folder, site, files = CACHED[name]
    target = _keras_home() / folder
    places = "; ".join(
        f"{site}{source} as {target / file}"
        + (" (there now; delete it if damaged)" if (target / file).exists() else "")
        for file, source in files.items()
    )
    return f"Keras could not load {name} ({error}). Without a network, put {places}."


def _keras_home() -> Path:
    """The folder `keras.utils.get_file` uses: Keras has no public name for it."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    return home if os.access(home, os.W_OK) else Path("/tmp/.keras")
