"""The image that was clicked in a map: its digit, its class, and the way to its stages."""

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.app.choices import choose
from ndmixer.app.choose_image import choose_index, open_stages
from ndmixer.app.class_pair import picture
from ndmixer.app.explorer import Place, answer
from ndmixer.images import Part, image_name


def take_click(part: Part) -> None:
    """Takes the image of this part of the data set whose point was clicked."""
    points = st.session_state["map"].selection.points
    if points and points[0].get("customdata") is not None:
        row = points[0]["customdata"]
        choose("image", image_name(part, int(row[0] if isinstance(row, list) else row)))


def show_image(place: Place, found: dict[str, np.ndarray]) -> None:
    """Draws one image of the map and what is known of it.

    Args:
        place: Where one looks.
        found: The answer of `jobs.image_map`.
    """
    flat = found["points"].shape[1] == 2
    index = choose_index(
        "Image",
        place.part,
        len(found["labels"]),
        help="Click a point, or type the number that it shows under the mouse." if flat else None,
    )
    if not flat:
        st.caption(
            "Clicks on a 3-D map do not reach the app. Type the number that a point shows under "
            "the mouse, or click it in the flat map."
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
