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
    numbers = {
        "Between over within": (
            f"{found['scatter'][at]:.3g}",
            "Variance between the class averages over the variance of the images around them. "
            "Larger is further apart.",
        ),
        "Nearest average is right": (
            f"{found['nearest'][at]:.1%}".replace("%", " %"),
            "Averages of the first half of the images; how many of the second half lie nearest "
            "to their own.",
        ),
        "Mean cosine of averages": (
            f"{cosines.mean():+.3f} ± {cosines.std():.3f}",
            "Seen from the centre of all averages. Classes as far apart as can be, a regular "
            f"simplex, have {simplex_cosine(len(found['counts'])):.3f} ± 0.",
        ),
    }
    if "predictions" in found:
        right = np.mean(found["predictions"] == found["labels"])
        text = "Share of these images whose class the model names."
        numbers = {"Model is right": (f"{right:.2%}".replace("%", " %"), text), **numbers}
    with st.container(horizontal=True, key="numbers"):
        for label, (value, help) in numbers.items():
            st.metric(label, value, help=help, width=210)
