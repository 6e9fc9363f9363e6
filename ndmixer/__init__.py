"""N-dimensional MLP-Mixers: an MLP along each axis of a tensor, in Keras.

Importing the package is cheap: TensorFlow is loaded the first time that a name which
needs it (a layer, `build_model`, `train`) is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ndmixer.accounting import accounting as accounting
from ndmixer.accounting import stages as stages
from ndmixer.datasets import load_dataset as load_dataset
from ndmixer.presets import PRESETS as PRESETS
from ndmixer.spec import ModelSpec as ModelSpec
from ndmixer.spec import TrainSpec as TrainSpec

if TYPE_CHECKING:
    from ndmixer.layers import (
        AxisConcat,
        DenseOnAxis,
        Layers,
        MLPOnAxis,
        NdMixer,
        ResidualLayers,
        ScalarGate,
        linear_on_axis,
    )
    from ndmixer.models import build_model
    from ndmixer.training import train

__version__ = "0.1.0"

_NEEDS_TENSORFLOW = {
    "AxisConcat": "ndmixer.layers",
    "DenseOnAxis": "ndmixer.layers",
    "Layers": "ndmixer.layers",
    "MLPOnAxis": "ndmixer.layers",
    "NdMixer": "ndmixer.layers",
    "ResidualLayers": "ndmixer.layers",
    "ScalarGate": "ndmixer.layers",
    "build_model": "ndmixer.models",
    "linear_on_axis": "ndmixer.layers",
    "train": "ndmixer.training",
}

__all__ = [
    "PRESETS",
    "AxisConcat",
    "DenseOnAxis",
    "Layers",
    "MLPOnAxis",
    "ModelSpec",
    "NdMixer",
    "ResidualLayers",
    "ScalarGate",
    "TrainSpec",
    "accounting",
    "build_model",
    "linear_on_axis",
    "load_dataset",
    "stages",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TENSORFLOW:
        return getattr(import_module(_NEEDS_TENSORFLOW[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
