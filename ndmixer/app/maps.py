"""Heat maps in rows, drawn on canvases that stay in the browser between updates."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "ndmixer_maps",
    html='<section class="maps"></section>',
    css=(_HERE / "maps.css").read_text("utf-8"),
    js=(_HERE / "maps.js").read_text("utf-8"),
)


@dataclass(frozen=True)
class Column:
    """Maps that share a heading and a shape, one a row.

    Attributes:
        title: What they are.
        note: Their shape, say, below the title.
        images: Shape `(rows, height, width)`; NaN is left blank.
    """

    title: str
    note: str
    images: np.ndarray


def show_maps(
    columns: Sequence[Column],
    rows: Sequence[str],
    *,
    key: str,
    own_scales: bool = False,
    cell: int = 44,
    label: str = "Heat maps",
) -> None:
    """Draws a grid of heat maps, colours symmetric around zero, the range printed.

    Args:
        columns: What stands side by side.
        rows: A name for each row.
        key: Of the component; the same one keeps its place in the browser.
        own_scales: Whether every column has a colour scale of its own; else all share one.
        cell: Height of a map in CSS pixels; it shrinks where there is no room.
        label: Text alternative.
    """
    ranges = [_range(column.images) for column in columns]
    if not own_scales and ranges:
        ranges = [max(ranges)] * len(ranges)
    header = {
        "rows": list(rows),
        "cell": cell,
        "label": label,
        "own": own_scales,
        "columns": [
            {"title": c.title, "note": c.note, "range": r, "shape": c.images.shape[1:]}
            for c, r in zip(columns, ranges, strict=True)
        ],
    }
    text = json.dumps(header).encode()
    arrays = (c.images.astype(np.float32).tobytes() for c in columns)
    _component(key=key, data=b"".join([len(text).to_bytes(4, "little"), text, *arrays]))


def _range(images: np.ndarray) -> float:
    finite = np.abs(images[np.isfinite(images)])
    return float(finite.max()) if finite.size else 0.0
