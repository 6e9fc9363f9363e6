"""The images of a map: under the pointer, and the one that was clicked with its class."""

import json

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.app import source
from ndmixer.app.choices import choose
from ndmixer.app.choose_image import choose_index, open_stages
from ndmixer.app.class_pair import picture
from ndmixer.app.explorer import Place, answer
from ndmixer.images import Part, image_name

_component = st.components.v2.component(
    "ndmixer_map_points",
    html='<canvas hidden aria-hidden="true"></canvas>',
    css=source("map_points.css"),
    js=source("map_points.js"),
)


def take_click(part: Part) -> None:
    """Takes the image of this part of the data set whose point was clicked."""
    points = st.session_state["map"].selection.points
    if points and points[0].get("customdata") is not None:
        row = points[0]["customdata"]
        choose("image", image_name(part, int(row[0] if isinstance(row, list) else row)))


def watch_points(place: Place, count: int, space: bool) -> None:
    """Shows the image of a point under the pointer; takes it if it is clicked in space.

    Args:
        place: Where one looks.
        count: How many images the map has, the first ones.
        space: Whether the map is one in space, of whose clicks Streamlit tells nothing.
    """
    dataset = place.run.train_spec.dataset
    images = answer(lambda: jobs.thumbnails(dataset, place.part, count))
    if images is None:
        return

    def take() -> None:
        row = st.session_state["point"].get("row")
        if isinstance(row, int) and row >= 0:
            choose("image", image_name(place.part, row))

    header = {"figure": "map", "space": space, "shape": images.shape[1:]}
    text = json.dumps(header).encode()
    data = b"".join([len(text).to_bytes(4, "little"), text, images.tobytes()])
    _component(key="point", data=data, on_row_change=take)


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
        help="Click a point, or type the number that it shows under the pointer.",
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
