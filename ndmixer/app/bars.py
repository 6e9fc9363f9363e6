"""Shares as a table of bars with their numbers, kept in the browser between updates."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite

import streamlit as st

from ndmixer.app import source

_component = st.components.v2.component(
    "ndmixer_bars",
    html='<table class="bars"><thead></thead><tbody></tbody></table>',
    css=source("bars.css"),
    js=source("bars.js"),
)


@dataclass(frozen=True)
class Bar:
    """One row.

    Attributes:
        name: What it is.
        note: What else is to be said of it, a word or two.
        share: Between 0 and 1.
        strong: Whether it stands out.
    """

    name: str
    note: str
    share: float
    strong: bool = False


def show_bars(bars: Sequence[Bar], heads: tuple[str, str, str], *, key: str, label: str) -> None:
    """Draws the table; a share that is not finite is a dash.

    Args:
        bars: Its rows.
        heads: What stands above names, notes and shares.
        key: Of the component.
        label: Text alternative.
    """
    rows = [asdict(bar) | {"text": percent(bar.share), "width": _width(bar.share)} for bar in bars]
    _component(key=key, data={"bars": rows, "heads": heads, "label": label})


def percent(share: float) -> str:
    """One decimal, two where one would round to all or nothing; a dash for NaN."""
    if not isfinite(share):
        return "–"
    return f"{100 * share:.{1 if 0.0005 <= share < 0.9995 else 2}f} %"


def _width(share: float) -> float:
    return 100 * share if isfinite(share) else 0.0
