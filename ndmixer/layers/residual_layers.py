"""Blocks one after another, each added to its input."""

from __future__ import annotations

from typing import Any

import keras

from ndmixer.layers._block_list import BlockList


@keras.saving.register_keras_serializable(package="ndmixer")
class ResidualLayers(BlockList):
    """Applies blocks one after another, each added to its input: `h = h + block(h)`.

    Args:
        blocks: List of layers with different names, each of which keeps the shape of its
            input; an empty one is the identity.
        **kwargs: `name`, `dtype` and the like, for `keras.Layer`.

    Input shape:
        That of the blocks.

    Output shape:
        The input shape.

    Example:
        >>> x = keras.ops.ones((2, 28, 14))
        >>> ResidualLayers([NdMixer((28, 14)) for _ in range(2)])(x).shape
        TensorShape([2, 28, 14])
    """

    def call(self, inputs: Any) -> Any:
        h = inputs
        for block in self.blocks:
            h = h + block(h)
        return h

    def block_output_shape(
        self, block: keras.Layer, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of what follows one block, which must be that of its input."""
        output_shape = super().block_output_shape(block, input_shape)
        if output_shape[1:] != input_shape[1:]:
            raise ValueError(
                f"ResidualLayers '{self.name}': a block is added to its input, so both must have "
                f"the same shape; make block '{block.name}' give {input_shape[1:]}, or use Layers. "
                f"Received: {input_shape=}, {output_shape=}"
            )
        return output_shape
