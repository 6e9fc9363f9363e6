"""How well the classes are told apart at one stage, in four numbers."""

import numpy as np
import streamlit as st

from ndmixer.app.explorer import Place
from ndmixer.geometry import simplex_cosine


def class_numbers(place: Place, found: dict[str, np.ndarray]) -> None:
    """Draws one line of numbers for the chosen stage.

    Args:
        place: Where one looks.
        found: The answer of `jobs.class_geometry`.
    """
    at = list(found["stages"]).index(place.stage)
    cosines = found["cosines"][~np.eye(len(found["cosines"]), dtype=bool)]
    cosines = cosines[np.isfinite(cosines)]  # a class may have no image
    simplex = simplex_cosine(len(found["counts"]))
    numbers = {
        "Between / within": (
            _number(found["scatter"][at], ".3g"),
            "Variance between the class averages over the variance of the images around them. "
            "Larger is further apart.",
        ),
        "Nearest is right": (
            _percent(found["nearest"][at]),
            "Averages are taken of the first half of these images; so many of the second half "
            "lie nearest to the average of their own class.",
        ),
        "Off a simplex": (
            _number(np.abs(cosines - simplex).mean() if len(cosines) else np.nan, ".3f"),
            "Classes that are as far apart as can be make a regular simplex: seen from their "
            f"centre, any two averages have the cosine {simplex:.3f}. This is by how much the "
            "cosines differ from that, in the mean.",
        ),
    }
    if "predictions" in found:
        right = np.mean(found["predictions"] == found["labels"])
        help = "Share of these images whose class the model names: its accuracy."
        numbers = {"Model is right": (_percent(right), help), **numbers}
    with st.container(horizontal=True, key="numbers"):
        for label, (value, help) in numbers.items():
            st.metric(label, value, help=help, width=165)


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "–"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
