"""Shares as a table of bars with their numbers, kept in the browser between updates."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

_HERE = Path(__file__).parent
_component = st.components.v2.component(
    "ndmixer_bars",
    html='<table class="bars"><thead></thead><tbody></tbody></table>',
    css=(_HERE / "bars.css").read_text("utf-8"),
    js=(_HERE / "bars.js").read_text("utf-8"),
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
    """Draws the table.

    Args:
        bars: Its rows.
        heads: What stands above names, notes and shares.
        key: Of the component.
        label: Text alternative.
    """
    _component(key=key, data={"bars": [asdict(b) for b in bars], "heads": heads, "label": label})
