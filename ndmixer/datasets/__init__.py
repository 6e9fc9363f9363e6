"""Datasets: MNIST itself, two that Keras downloads, and a user's own `.npz`.

Importing this package imports neither TensorFlow nor Keras.
"""

from ndmixer.datasets.catalog import DATASETS as DATASETS
from ndmixer.datasets.catalog import dataset_info as dataset_info
from ndmixer.datasets.catalog import dataset_names as dataset_names
from ndmixer.datasets.catalog import load_dataset as load_dataset
from ndmixer.datasets.dataset import Dataset as Dataset
from ndmixer.datasets.dataset import DatasetInfo as DatasetInfo
from ndmixer.datasets.dataset import make_dataset as make_dataset

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetInfo",
    "dataset_info",
    "dataset_names",
    "load_dataset",
    "make_dataset",
]
