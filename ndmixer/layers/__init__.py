"""Keras layers that act along one axis at a time; importing this registers them with Keras."""

from ndmixer.layers.axis_concat import AxisConcat as AxisConcat
from ndmixer.layers.dense_on_axis import DenseOnAxis as DenseOnAxis
from ndmixer.layers.layers import Layers as Layers
from ndmixer.layers.linear_on_axis import linear_on_axis as linear_on_axis
from ndmixer.layers.mlp_on_axis import MLPOnAxis as MLPOnAxis
from ndmixer.layers.nd_mixer import NdMixer as NdMixer
from ndmixer.layers.residual_layers import ResidualLayers as ResidualLayers
from ndmixer.layers.scalar_gate import ScalarGate as ScalarGate

__all__ = [
    "AxisConcat",
    "DenseOnAxis",
    "Layers",
    "MLPOnAxis",
    "NdMixer",
    "ResidualLayers",
    "ScalarGate",
    "linear_on_axis",
]
