"""What a figure shows, as files: its numbers as CSV and NPZ, and which picture its camera saves."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

Table = Mapping[str, Sequence[Any] | np.ndarray]  # columns of one length, by their headings


def save(
    name: str,
    *,
    data: Mapping[str, np.ndarray] | None = None,
    table: Table | None = None,
    camera: bool = False,
) -> None:
    """Draws a button with all that can be saved of a figure; written when it is asked for.

    Args:
        name: Of the files and of the widgets.
        data: Arrays, for an `.npz`.
        table: The same as a table, for a `.csv`, if it is one.
        camera: Whether it is a Plotly figure, see `picture_format`.
    """
    with st.popover("Save", icon=":material/download:", type="tertiary", key=f"{name}-save"):
        if table is not None:
            _button(name, "csv", "Numbers as CSV", "text/csv", partial(as_csv, dict(table)))
        if data is not None:
            kind = "application/octet-stream"
            _button(name, "npz", "Numbers as NPZ", kind, partial(_npz, dict(data)))
        if camera:
            st.segmented_control(
                "The camera above the figure saves",
                ["png", "svg"],
                default="png",
                required=True,
                format_func=str.upper,
                help="An SVG can be enlarged and edited; heat maps and points in space are "
                "pictures within it.",
                key=_camera(name),
                persist_state="session",
            )


def picture_format(name: str) -> str:
    """What the camera of this figure saves, `"png"` or `"svg"`."""
    return str(st.session_state.get(_camera(name), "png"))


def matrix_table(
    corner: str, rows: Sequence[Any] | np.ndarray, columns: Sequence[str], values: np.ndarray
) -> Table:
    """A matrix as a table, with the names of its rows in the first column.

    Args:
        corner: Heading of the first column.
        rows: A name for each row.
        columns: A name for each column, no two alike.
        values: Shape `(rows, columns)`.
    """
    return {corner: rows, **dict(zip(columns, np.asarray(values).T, strict=True))}


def as_csv(table: Table) -> bytes:
    """The table as CSV, a number that is not there as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow(["" if cell is None or cell != cell else cell for cell in row])
    return text.getvalue().encode()


def _camera(name: str) -> str:
    return f"{name}-camera"


def _button(name: str, kind: str, label: str, mime: str, content: Callable[[], bytes]) -> None:
    st.download_button(
        label,
        content,
        f"{name}.{kind}",
        mime,
        key=f"{name}-{kind}",
        icon=":material/download:",
        on_click="ignore",
        type="tertiary",
    )


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    return content.getvalue()
