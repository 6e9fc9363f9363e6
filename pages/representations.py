"""What does the model make of this image? Every stage, every axis, and the answer."""

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.app.choose_image import choose_image
from ndmixer.app.downloads import save
from ndmixer.app.explorer import Place, answer, choose_place, choose_run
from ndmixer.app.stage_maps import choose_look, show_all, show_pair
from ndmixer.app.verdict import show_verdict
from ndmixer.app.words import plain
from ndmixer.tensors import changes


@st.fragment
def page(place: Place) -> None:
    """The image and all that the model makes of it; alone in its reruns, so that it is quick."""
    try:
        place.run.weights_path(place.step)
    except ValueError as error:  # the run was deleted since the page was opened
        st.info(plain(str(error)))
        return
    left, right = st.columns([1.65, 1], gap="medium")
    with left:
        chosen = choose_image(place)
        found = answer(jobs.one_image(place.run, place.step, chosen.image)) if chosen else None
    if chosen is None or found is None:
        return
    values, spec = found["values"], place.run.model_spec
    if not all(np.isfinite(value).all() for value in values.values()):
        st.warning("These weights are not finite: the training diverged. Choose earlier ones.")
        return
    changed = changes(spec, values)
    step = found["step"]
    when = "the last weights" if step is None else f"the weights after step {step:,}"
    label = found["label"]
    shows = "" if label is None else f" of class {place.data.class_names[label]}"
    with left:
        st.caption(f"{chosen.name}{shows}, with {when}.")
        pair = st.container()
    with right:
        show_verdict(place, found)
    st.markdown("**Every stage, and after every axis**")
    look = choose_look(values[place.stage].shape, bool(changed))
    with pair:
        show_pair(values, changed, place.stage, look)
    show_all(values, changed, place.stage, look)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "In the order of the computation; the stage shown above is underlined. Click another "
            "to show it there. Look for where the image dissolves.",
            width="stretch",
        )
        exits = {f"exit/{name}": array for name, array in found["exits"].items()}
        differences = {f"change/{name}": array for name, array in changed.items()}
        save("representations", data=values | differences | exits)


st.markdown("#### What does the model make of this image?")
side, main = st.columns([1, 3.2], gap="medium")
with side:
    run = choose_run()
    place = choose_place(run, images=False) if run else None
with main:
    if place:
        page(place)
