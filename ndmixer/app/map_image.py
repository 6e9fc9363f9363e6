"""The image that was clicked in a map: its digit, its class, and the way to its stages."""

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.app import source
from ndmixer.app.choices import choose
from ndmixer.app.choose_image import choose_index, open_stages
from ndmixer.app.class_pair import picture
from ndmixer.app.explorer import Place, answer
from ndmixer.images import Part, image_name

_component = st.components.v2.component("ndmixer_point_click", js=source("point_click.js"))


def take_click(part: Part) -> None:
    """Takes the image of this part of the data set whose point was clicked."""
    points = st.session_state["map"].selection.points
    if points and points[0].get("customdata") is not None:
        row = points[0]["customdata"]
        choose("image", image_name(part, int(row[0] if isinstance(row, list) else row)))


def hear_clicks(part: Part) -> None:
    """Takes the image whose point is clicked in a map in space, of which Streamlit tells nothing.

    Args:
        part: Of the data set.
    """

    def take() -> None:
        row = st.session_state["point"].get("row")
        if isinstance(row, int) and row >= 0:
            choose("image", image_name(part, row))

    _component(key="point", data={"figure": "map"}, on_row_change=take)


def show_image(place: Place, found: dict[str, np.ndarray]) -> None:
    """Draws one image of the map and what is known of it.

    Args:
        place: Where one looks.
        found: The answer of `jobs.image_map`.
    """
    index = choose_index(
        "Image",
        place.part,
        len(found["labels"]),
        help="Click a point, or type the number that it shows under the mouse.",
    )
    dataset = place.run.train_spec.dataset
    images = answer(lambda: jobs.pictures(dataset, place.part, [index]))
    if images is None:
        return
    names = place.named()
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
        open_stages(place.part, index)
