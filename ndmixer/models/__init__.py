"""Models made from a `ModelSpec`: as Keras models and as one pure function."""

from ndmixer.models.build import build_model as build_model
from ndmixer.models.forward import forward as forward

__all__ = ["build_model", "forward"]
