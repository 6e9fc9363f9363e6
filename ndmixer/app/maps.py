"""Heat maps in rows, drawn on canvases that stay in the browser between updates."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import streamlit as st

from ndmixer.app import source

_component = st.components.v2.component(
    "ndmixer_maps",
    html='<section class="maps"></section>',
    css=source("save.css", "maps.css"),
    js=source("save.js", "maps.js"),
)

Scale = Literal["shared", "own", "grey"]


@dataclass(frozen=True)
class Column:
    """Maps that share a heading and a shape, one a row.

    Attributes:
        title: What they are.
        note: Their shape, say, below the title.
        images: Shape `(rows, height, width)`; NaN is left blank.
        top: The largest magnitude of its colours; None is that of its maps.
    """

    title: str
    note: str
    images: np.ndarray
    top: float | None = None


@dataclass(frozen=True)
class Maps:
    """A grid of heat maps, the range of their colours printed.

    Attributes:
        columns: What stands side by side.
        rows: A name for each row.
        scale: `"shared"`: one for all, its colours symmetric around zero, of which the legend
            leaves out the lower half if nothing is negative; `"own"`: one for every column;
            `"grey"`: from 0, black, to 1, white.
        cell: Height of a map in CSS pixels; it shrinks where there is no room.
        wrap: Whether the columns stand in two lines on a narrow screen.
        flow: Whether the columns stand in as many lines as they need.
        marked: Title of the column that is chosen.
        label: Text alternative.
        note: A line above them.
        choose: Whether a map can be chosen.
    """

    columns: Sequence[Column]
    rows: Sequence[str]
    scale: Scale = "shared"
    cell: int = 44
    wrap: bool = False
    flow: bool = False
    marked: str = ""
    label: str = "Heat maps"
    note: str = ""
    choose: bool = False

    def packed(self, key: str) -> bytes:
        """What the component of this key is fed with."""
        ranges = [magnitude(c.images) if c.top is None else c.top for c in self.columns]
        if self.scale != "own" and ranges:
            ranges = [max(ranges)] * len(ranges)
        header = {
            "key": key,
            "rows": list(self.rows),
            "cell": self.cell,
            "label": self.label,
            "note": self.note,
            "scale": self.scale,
            "wrap": self.wrap,
            "flow": self.flow,
            "positive": not any((column.images < 0).any() for column in self.columns),
            "marked": self.marked,
            "choose": self.choose,
            "columns": [
                {"title": c.title, "note": c.note, "range": r, "shape": c.images.shape[1:]}
                for c, r in zip(self.columns, ranges, strict=True)
            ],
        }
        text = json.dumps(header).encode()
        arrays = (c.images.astype(np.float32).tobytes() for c in self.columns)
        return b"".join([len(text).to_bytes(4, "little"), text, *arrays])


def show(maps: Maps, key: str, on_choose: Callable[[int], None] | None = None) -> None:
    """Draws them.

    Args:
        maps: The maps.
        key: Of the component; the same one keeps its place in the browser.
        on_choose: Called with the number of the column in which a person chose a map.
    """

    def take() -> None:
        chosen = st.session_state[key].get("column")
        if on_choose and isinstance(chosen, int) and 0 <= chosen < len(maps.columns):
            on_choose(chosen)

    _component(key=key, data=maps.packed(key), on_column_change=take)


def magnitude(images: np.ndarray) -> float:
    """The largest magnitude; 0 where no number is finite."""
    return float(np.max(np.abs(images), where=np.isfinite(images), initial=0.0))
