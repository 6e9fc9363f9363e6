"""What `Layers` and `ResidualLayers` share: a list of blocks, built, saved and loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras


class BlockList(keras.Layer):
    """Holds `blocks`, applied one after another."""

    def __init__(self, blocks: Iterable[keras.Layer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        blocks = list(blocks) if isinstance(blocks, Iterable) else blocks
        if not isinstance(blocks, list) or not all(isinstance(b, keras.Layer) for b in blocks):
            raise ValueError(
                f"{type(self).__name__}: blocks must be a list of Keras layers. Received: {blocks=}"
            )
        names = [block.name for block in blocks]
        if len(set(names)) < len(names):
            raise ValueError(
                f"{type(self).__name__}: the blocks must have different names, as the paths of "
                f"their weights are made of them; give each its own. Received: names={names}"
            )
        self.blocks = blocks

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = tuple(input_shape)
        for block in self.blocks:
            if not block.built:
                block.build(shape)
            shape = self.block_output_shape(block, shape)

    def block_output_shape(
        self, block: keras.Layer, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        """Returns the shape of what follows one block."""
        return tuple(block.compute_output_shape(input_shape))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        shape = tuple(input_shape)
        for block in self.blocks:
            shape = self.block_output_shape(block, shape)
        return shape

    def get_config(self) -> dict[str, Any]:
        blocks = [keras.saving.serialize_keras_object(block) for block in self.blocks]
        for block in blocks:
            # With it, loading would build the block at once, outside this layer's name
            # scope, and its weights' paths would lose their beginning.
            block.pop("build_config", None)
        return {**super().get_config(), "blocks": blocks}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BlockList:
        blocks = [keras.saving.deserialize_keras_object(block) for block in config["blocks"]]
        return cls(**{**config, "blocks": blocks})
