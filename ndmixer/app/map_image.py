"""The image that was clicked in a map: its digit, its class, and the way to its stages."""

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.app import PAGES
from ndmixer.app.choose_image import choose
from ndmixer.app.class_pair import picture
from ndmixer.app.explorer import Place, answer


def take_click() -> None:
    """Takes the image whose point was clicked."""
    points = st.session_state["map"].selection.points
    if points and points[0].get("customdata") is not None:
        row = points[0]["customdata"]
        st.session_state.map_image = int(row[0] if isinstance(row, list) else row)


def show_image(place: Place, found: dict[str, np.ndarray], names: list[str]) -> None:
    """Draws one image of the map and what is known of it.

    Args:
        place: Where one looks.
        found: The answer of `jobs.image_map`.
        names: One a class.
    """
    count, state = len(found["labels"]), st.session_state
    state.map_image = min(int(state.get("map_image", 0)), count - 1)
    index = st.number_input(
        "Image",
        0,
        count - 1,
        key="map_image",
        persist_state="session",
        help="Click a point of the flat map, or type the number a point shows under the mouse.",
    )
    dataset = place.run.train_spec.dataset
    images = answer(lambda: jobs.pictures(dataset, place.part, [index]))
    if images is None:
        return
    label = names[found["labels"][index]]
    st.image(picture(images[0]), width=112)
    if "predictions" not in found:
        st.markdown(f"It is **{label}**.")
    elif found["predictions"][index] == found["labels"][index]:
        st.markdown(f"It is **{label}**, and the model says so.")
    else:
        wrong = names[found["predictions"][index]]
        st.markdown(f"It is **{label}**; the model takes it for **{wrong}**.")
    if st.button("See all its stages", icon=":material/layers:"):
        choose(place.part, int(index))
        st.switch_page(PAGES / "representations.py")
