"""How well the classes are told apart: at one stage in four numbers, and layer by layer."""

import numpy as np
import streamlit as st

from ndmixer.app.explorer import Place, draw, theme
from ndmixer.figures import layer_curves
from ndmixer.geometry import simplex_cosine


def class_numbers(place: Place, found: dict[str, np.ndarray]) -> None:
    """Draws one line of numbers for the chosen stage.

    Args:
        place: Where one looks.
        found: The answer of `jobs.class_geometry`.
    """
    at = list(found["stages"]).index(place.stage)
    cosines = _off_diagonal(found["cosines"][at])
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
            f"centre, any two averages have the cosine −{-simplex:.3f}. This is by how much the "
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


def show_layers(place: Place, found: dict[str, np.ndarray]) -> None:
    """Draws how far the classes are gathered at every stage.

    Args:
        place: Where one looks.
        found: The answer of `jobs.class_geometry`.
    """
    stages, scatter = list(found["stages"]), found["scatter"]
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Between the classes and within them, layer by layer**")
        text = (
            "Variance between the class averages over the variance of the images around them, at "
            "every stage. Look for the layer from which it grows: there images of a class gather."
        )
        unit = "between / within"
        shown = layer_curves(stages, {unit: scatter}, theme(), unit=unit, at=place.stage)
        draw(shown, "scatter", text, {"scatter": scatter}, table={"stage": stages, unit: scatter})
    with right:
        st.markdown("**Angles between the class averages, layer by layer**")
        simplex = simplex_cosine(len(found["counts"]))
        pairs = [_off_diagonal(table) for table in found["cosines"]]
        curves = {
            "closest pair": np.array([values.max(initial=-np.inf) for values in pairs]),
            "furthest pair": np.array([values.min(initial=np.inf) for values in pairs]),
            "regular simplex": np.full(len(stages), simplex),
        }
        curves = {name: np.where(np.isfinite(c), c, np.nan) for name, c in curves.items()}
        text = (
            "Cosines between any two class averages, seen from their centre: the largest and the "
            f"smallest of all pairs, beside −{-simplex:.3f}, that of classes which are all as "
            "far apart as can be. Look for whether both come closer to it from layer to layer."
        )
        shown = layer_curves(stages, curves, theme(), unit="cosine", at=place.stage)
        data = {"cosines": found["cosines"]}
        draw(shown, "angles", text, data, table={"stage": stages, **curves})


def _off_diagonal(table: np.ndarray) -> np.ndarray:
    values = table[~np.eye(len(table), dtype=bool)]
    return values[np.isfinite(values)]  # a class may have no image


def _number(value: float, form: str) -> str:
    return format(value, form) if np.isfinite(value) else "–"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"
