"""The pad on which a digit is drawn, by mouse, finger, pen or keys."""

import base64
import binascii

import numpy as np
import streamlit as st

from ndmixer.app import source

SIDE = 140  # pixels of the pad each way, as pad.html has it
HINT = (
    "Mouse, finger or pen draws. With keys: click the pad or go there with Tab, move with the "
    "arrows, draw with Space (hold it and move), Delete clears."
)

_component = st.components.v2.component(
    "ndmixer_pad",
    html=source("pad.html"),
    css=source("pad.css"),
    js=source("pad.js"),
)


def drawing_pad() -> np.ndarray | None:
    """Draws the pad, with what was drawn on it before.

    Returns:
        The ink, shape `(SIDE, SIDE)`, from 0 to 1; None while there is none.
    """
    state = st.session_state
    found = _component(
        key="pad",
        data={"saved": state.get("drawing", ""), "hint": HINT},
        default={"pixels": None},
        on_pixels_change=lambda: None,
    )
    if found.pixels is not None:
        state.drawing = found.pixels
    return ink(state.get("drawing", ""))


def ink(pixels: object) -> np.ndarray | None:
    """What the pad sent, as an array; None where that is nothing or no drawing."""
    try:
        raw = base64.b64decode(pixels if isinstance(pixels, str) else "", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != SIDE * SIDE:
        return None
    values = np.frombuffer(raw, np.uint8).reshape(SIDE, SIDE) / 255
    return values if values.any() else None
