"""Blocks one after another."""

from __future__ import annotations

from typing import Any

import keras

from ndmixer.layers._block_list import BlockList


@keras.saving.register_keras_serializable(package="ndmixer")
class Layers(BlockList):
    """Applies blocks one after another: `h = block(h)`.

    Args:
        blocks: List of layers with different names; an empty one is the identity.
        **kwargs: `name`, `dtype` and the like, for `keras.Layer`.

    Input shape:
        That of the first block.

    Output shape:
        That of the last block.

    Example:
        >>> x = keras.ops.ones((2, 28, 14))
        >>> Layers([NdMixer((10, 4)), NdMixer((5, 3))])(x).shape
        TensorShape([2, 5, 3])
    """

    def call(self, inputs: Any) -> Any:
        h = inputs
        for block in self.blocks:
            h = block(h)
        return h
