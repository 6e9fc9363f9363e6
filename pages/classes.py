"""How are the classes arranged? Averages, distances and mistakes at one stage of a model."""

from functools import partial

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.app.choices import bind
from ndmixer.app.class_numbers import class_numbers, show_layers
from ndmixer.app.class_pair import choose_pair, show_pair, take_click
from ndmixer.app.downloads import matrix_table
from ndmixer.app.explorer import Place, answer, choose_place, choose_run, draw, theme
from ndmixer.figures import class_average_maps, layout_note, matrix
from ndmixer.geometry import METRICS, confusion_matrix, dendrogram_order

UNITS = {
    "rms": "root-mean-square difference",
    "euclidean": "Euclidean distance",
    "cosine": "1 − cosine",
    "correlation": "1 − correlation",
    "mahalanobis": "Mahalanobis distance",
}


def page(place: Place, controls: st.delta_generator.DeltaGenerator) -> None:
    """All figures of the place."""
    with controls:
        metric = st.selectbox(
            "Distance",
            METRICS,
            format_func=lambda m: UNITS[m],
            **bind("metric", METRICS, "rms"),
        )
        pairs = st.toggle("Mean over pairs of images", **bind("pairs", (False, True), False))
        sort = st.toggle("Similar classes side by side", **bind("sort", (False, True), False))
    images = place.part, place.count
    found = answer(jobs.class_geometry(place.run, place.step, place.stage, *images, metric, pairs))
    if found is None:
        return
    averages, stage = found["averages"], place.stage.replace("_", " ")
    if not np.isfinite(averages[found["counts"] > 0]).all():
        st.warning("These weights are not finite: the training diverged. Choose earlier ones.")
        return
    distances = found["distances"][list(found["stages"]).index(place.stage)]
    order = dendrogram_order(distances) if sort else list(range(len(distances)))
    names = list(place.data.class_names)
    sorted_names = [names[c] for c in order]
    step, sample = int(found["step"]), int(found["sample"])
    when = "the last weights" if step < 0 else f"the weights after step {step:,}"
    which = "test" if place.part == "test" else "training"
    st.caption(f"At {stage}, with {when}, over {len(found['labels']):,} {which} images.")
    class_numbers(place, found)

    st.markdown("**Class averages**")
    text = (
        f"The mean of the representations of each class at {stage}, all in one colour scale; σ is "
        "the standard deviation of the images around it. Look for what sets one class apart, and "
        f"for a σ that is large beside the scale. {layout_note(averages.shape[1:])}"
    )
    arrays = {name: found[name] for name in ("averages", "deviations", "counts")}
    shown = class_average_maps(averages[order], found["deviations"][order], sorted_names, theme())
    draw(shown, "averages", text, arrays)

    confusion = None
    if "predictions" in found:
        confusion = confusion_matrix(found["labels"], found["predictions"], len(place.named()))
    matrices = st.container()
    st.markdown("**Two classes beside one another**")
    pair = choose_pair(names, distances, confusion)
    framed = (names[pair[0]], names[pair[1]])
    left, right = matrices.columns(2, gap="medium")
    with left:
        st.markdown("**Distances**")
        text = (
            f"{UNITS[metric].capitalize()} "
            + ("averaged over pairs of images" if pairs else "between class averages")
            + (f", judged by the first {sample:,} images" if sample else "")
            + ". Look for pale cells: those classes lie close; click one to compare them."
        )
        table = distances[np.ix_(order, order)]
        shown = matrix(table, sorted_names, theme(), pair=framed)
        click = partial(take_click, "distances", names)
        saved = matrix_table("class", names, names, distances)
        draw(shown, "distances", text, {"distances": distances}, click, table=saved)
    with right:
        st.markdown("**Confusion matrix**")
        if confusion is None:
            st.info("An autoencoder names no class, so there is no confusion matrix.")
        else:
            text = (
                "How many images of each class (row) the model takes for each class (column); "
                "only mistakes are coloured. Look for whether classes that lie close are confused."
            )
            known = place.named()
            every = [*order, *range(len(order), len(known))]  # the model may name more classes
            table = confusion[np.ix_(every, every)]
            shown = matrix(
                table,
                [known[c] for c in every],
                theme(),
                coloured=table * ~np.eye(len(table), dtype=bool),
                axes=("true class", "named class"),
                pair=framed,
            )
            click = partial(take_click, "confusion", names)
            saved = matrix_table("true class", known, known, confusion)
            draw(shown, "confusion", text, {"confusion": confusion}, click, table=saved)
    show_pair(place, found, names, pair, UNITS[metric])
    show_layers(place, found)


st.markdown("#### How are the classes arranged?")
side, main = st.columns([1, 3.2], gap="medium")
with side:
    run = choose_run()
    place = choose_place(run) if run else None
with main:
    if place:
        page(place, side)
