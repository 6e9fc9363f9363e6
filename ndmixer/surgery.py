"""Weights looked at and changed, on copies: the talk of an axis, and blocks made weaker."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ndmixer.accounting import Stage, accounting
from ndmixer.spec import ModelSpec


def axis_talk(stage: Stage, weights: Mapping[str, ArrayLike]) -> dict[int, NDArray[np.float64]]:
    """How strongly the indices of each axis reach one another, activations and biases left out.

    Args:
        stage: A stage of `accounting(spec)`; in the head `axis_concat` each axis is alone.
        weights: The weights by name.

    Returns:
        For each axis that the stage has kernels for, their product, `W1 @ W2` of an MLP and the
        kernel itself where there is one: entry `[i, j]` is what index `i` before gives to index
        `j` after. In the order of the computation.
    """
    found: dict[int, NDArray[np.float64]] = {}
    for linear in stage.linears:
        kernel = np.asarray(weights[f"{linear.name}/kernel"], np.float64)
        found[linear.axis] = found[linear.axis] @ kernel if linear.axis in found else kernel
    return found


def scale_blocks(
    spec: ModelSpec, weights: Mapping[str, NDArray[Any]], factors: Mapping[str, float]
) -> tuple[ModelSpec, dict[str, NDArray[Any]]]:
    """A copy of a model in which some blocks contribute more or less; 0 cuts a block.

    A gate is multiplied by the factor of its block. A model without gates is first given gates
    of 1, which change nothing.

    Args:
        spec: The architecture; it is not changed.
        weights: Its weights by name; they are not changed.
        factors: Names of blocks, such as `block_0`, and their factors.

    Returns:
        The architecture, with gates, and its weights.

    Raises:
        ValueError: there is no such block.
    """
    gated = ModelSpec.model_validate({**spec.model_dump(), "gate": True})
    gates = {stage.name: stage.gate for stage in accounting(gated).stages if stage.gate}
    if not set(factors) <= set(gates):
        raise ValueError(
            f"the blocks of this model are {', '.join(gates) or '(none)'}. "
            f"Received: {sorted(factors)}"
        )
    copy = {gate: np.ones((), np.float32) for gate in gates.values()} | dict(weights)
    for name, factor in factors.items():
        copy[gates[name]] = np.asarray(copy[gates[name]] * np.float32(factor))
    return gated, copy
