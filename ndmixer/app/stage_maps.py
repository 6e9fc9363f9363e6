"""One image at every stage of a model, as heat maps."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import streamlit as st

from ndmixer.app.choices import bind, choose
from ndmixer.app.maps import Column, Maps, Scale, magnitude, show
from ndmixer.figures import layout_note
from ndmixer.tensors import Others, arranged

LARGE, SMALL = 230, 92  # heights of maps on the page in pixels
OTHERS: dict[Others, str] = {"tiles": "as tiles", "index": "one index", "mean": "their mean"}


@dataclass(frozen=True)
class Look:
    """How the maps are drawn.

    Attributes:
        changes: What the blocks change, not what they return.
        shared: One colour scale for all maps.
        rows: The axis that is drawn downwards, counted from 0.
        columns: The axis that is drawn to the right.
        others: What becomes of the other axes.
        index: One index for each of them.
    """

    changes: bool = False
    shared: bool = False
    rows: int = -2
    columns: int = -1
    others: Others = "tiles"
    index: tuple[int, ...] = ()

    def picture(self, tensor: np.ndarray) -> np.ndarray:
        """A tensor as a matrix."""
        return arranged(tensor, self.rows, self.columns, self.others, self.index)

    def note(self, shape: tuple[int, ...]) -> str:
        """How a tensor of this shape is laid out, in a sentence; empty for a matrix."""
        rank = len(shape)
        rows, columns = self.rows % max(rank, 1), self.columns % max(rank, 1)
        if rank < 3 or (self.others == "tiles" and (rows, columns) == (rank - 2, rank - 1)):
            return layout_note(shape)
        rest = [axis for axis in range(rank) if axis not in (rows, columns)]
        named = " and ".join(f"axis {axis + 1}" for axis in rest)
        drawn = f"Downwards runs axis {rows + 1}, to the right axis {columns + 1}"
        if self.others == "mean":
            return f"{drawn}; it is the mean over {named}."
        if self.others == "tiles":
            tiles = prod(shape[axis] for axis in rest)
            return f"{drawn}; each of the {tiles} tiles is one index of {named}."
        at = " and ".join(
            f"{min(place, shape[axis] - 1)} of axis {axis + 1}"
            for axis, place in zip(rest, self.index, strict=True)
        )
        return f"{drawn}, at index {at}; a stage with fewer shows its last."


def choose_look(shape: tuple[int, ...], blocks: bool) -> Look:
    """Draws the switches above the maps.

    Args:
        shape: Of the tensor at the chosen stage.
        blocks: Whether there is a block.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", key="look"):
        changes = blocks and st.segmented_control(
            "Maps show",
            [False, True],
            format_func=lambda c: "what blocks change" if c else "values",
            required=True,
            **bind("changes", (False, True), False),
            help="A change is the output minus the input of a block; for an axis within it, minus "
            "what the axis before has left.",
        )
        shared = st.segmented_control(
            "Colour scale",
            [False, True],
            format_func=lambda s: "one for all" if s else "each its own",
            required=True,
            **bind("shared", (False, True), False),
        )
        if len(shape) < 3:
            return Look(bool(changes), bool(shared))
        return _choose_axes(shape, bool(changes), bool(shared))


def _choose_axes(shape: tuple[int, ...], changes: bool, shared: bool) -> Look:
    axes = list(range(len(shape)))
    rows = _axis("Downwards", "rows", axes, axes[-2])
    free = [axis for axis in axes if axis != rows]
    columns = _axis("To the right", "columns", free, free[-1])
    others: Others = st.selectbox(
        "Other axes",
        list(OTHERS),
        format_func=lambda o: OTHERS[o],
        width=130,
        **bind("rest", list(OTHERS), "tiles"),
    )
    rest = [axis for axis in axes if axis not in (rows, columns)]
    index = [_index(axis, shape[axis]) for axis in rest] if others == "index" else []
    return Look(changes, shared, rows, columns, others, tuple(index))


def _axis(label: str, name: str, axes: list[int], default: int) -> int:
    return st.selectbox(
        label,
        axes,
        format_func=lambda axis: f"axis {axis + 1}",
        width=105,
        **bind(name, axes, default, text=lambda axis: str(axis + 1)),
    )


def _index(axis: int, size: int) -> int:
    if size == 1:
        return 0
    bound = bind(f"at_{axis + 1}", range(size), 0)
    return st.slider(f"Index of axis {axis + 1}", 0, size - 1, width=150, **bound)


def show_pair(
    values: Mapping[str, np.ndarray], changed: Mapping[str, np.ndarray], stage: str, look: Look
) -> None:
    """Draws the input and one stage, large.

    Args:
        values: The representation at every stage.
        changed: What each block and axis changes.
        stage: The one that is shown beside the input.
        look: How.
    """
    change = look.changes and stage in changed
    title = f"{spoken(stage)}, change" if change else spoken(stage)
    tensor = changed[stage] if change else values[stage]
    given, shown = _column("input", values["input"], look), _column(title, tensor, look)
    scale: Scale = "own"
    if look.shared:
        top = max(map(magnitude, (changed if change else values).values()))
        shown = replace(shown, top=top)
        if not change:  # an input is no change, and has a scale of its own then
            given, scale = replace(given, top=top), "shared"
    label = f"Heat maps: the input and {title}"
    show(Maps([given, shown], [""], scale=scale, cell=LARGE, label=label), "pair")
    text = (
        "Left what the model is given, right what it has become. Look for what is left of the "
        "shape of the digit, and for what stands out."
    )
    if change:
        text = (
            "Left what the model is given, right what this adds to what came before: orange where "
            "it raises, blue where it lowers. Look for the few places that change most."
        )
    elif look.changes:
        text = f"At {spoken(stage)} the shape changes, so these are values, not a change."
    st.caption(f"{text} {look.note(tensor.shape)}")


def show_all(
    values: Mapping[str, np.ndarray], changed: Mapping[str, np.ndarray], stage: str, look: Look
) -> None:
    """Draws every stage, small, to choose one; arguments as of `show_pair`."""
    shown = changed if look.changes else values
    columns = [_column(spoken(name), tensor, look) for name, tensor in shown.items()]
    maps = Maps(
        columns,
        [""],
        scale="shared" if look.shared else "own",
        cell=SMALL,
        flow=True,
        marked=spoken(stage),
        label="Heat maps of every stage, in order",
        choose=True,
    )
    show(maps, "all", lambda number: _choose_stage(list(shown)[number]))


def _choose_stage(stage: str) -> None:
    choose("stage", stage)
    st.rerun()  # the whole page, not this part of it alone


def spoken(stage: str) -> str:
    """A stage's name for people: `block 0, axis 1`."""
    return stage.replace("/", ", ").replace("_", " ")


def _column(title: str, tensor: np.ndarray, look: Look) -> Column:
    sizes = " × ".join(map(str, tensor.shape))
    return Column(title, sizes, look.picture(tensor)[None])
