"""How do single images lie at this stage? A point for each, similar ones close together."""

from functools import partial
from typing import Any

import streamlit as st

from ndmixer import jobs
from ndmixer.app.choices import bind
from ndmixer.app.explorer import Place, answer, choose_place, choose_run, draw, theme
from ndmixer.app.map_image import show_image, take_click, watch_points
from ndmixer.embedding import METHODS, NEIGHBOURS
from ndmixer.figures_points import point_map

NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
ABOUT = {
    "pca": "PCA shows the directions in which the representations differ most, true to scale",
    "tsne": "t-SNE keeps near neighbours together; how far apart groups lie, and how large they "
    "look, means little",
    "umap": "UMAP keeps near neighbours together and something of the whole; how far apart groups "
    "lie means little",
}


def page(place: Place, controls: st.delta_generator.DeltaGenerator) -> None:
    """The map of the place, and the image that was clicked."""
    with controls:
        method = st.segmented_control(
            "Method",
            METHODS,
            required=True,
            format_func=lambda m: NAMES[m],
            help="UMAP takes some ten seconds longer the first time, since it is compiled.",
            **bind("method", METHODS, "pca"),
        )
        space = st.toggle("In space (3-D)", **bind("space", (False, True), False))
        classifier = place.run.model_spec.task == "classifier"
        mistakes = classifier and st.toggle(
            "Show what is wrong",
            help="Colour and symbol tell mistakes from right answers, in place of the classes.",
            **bind("mistakes", (False, True), False),
        )
    dimensions = 3 if space else 2
    asked = place.run, place.step, place.stage, place.part, place.count, method, dimensions
    found = answer(jobs.image_map(*asked))
    if found is None:
        return
    count, stage = len(found["labels"]), place.stage.replace("_", " ")
    step, kept = int(found["step"]), float(found["kept"])
    when = "the last weights" if step < 0 else f"the weights after step {step:,}"
    which = "test" if place.part == "test" else "training"
    sample = f"the first {count:,} of {place.count:,}" if count < place.count else f"{count:,}"
    st.caption(f"At {stage}, with {when}: {sample} {which} images.")
    axes, spread = [], ""
    if "shares" in found:
        shares = [f"{100 * share:.1f} %" for share in found["shares"]]
        axes = [f"component {i} ({share})" for i, share in enumerate(shares, 1)]
        spread = f" These components hold {100 * found['shares'].sum():.1f} % of the variance."
    names = list(place.data.class_names)
    left, right = st.columns([4, 1], gap="medium")
    with left:
        figure = point_map(
            found["points"],
            found["labels"],
            place.named(),
            theme(),
            predictions=found.get("predictions"),
            correctness=mistakes,
            axes=axes,
        )
        around = min(NEIGHBOURS, count - 1)
        text = (
            f"{ABOUT[method]}.{spread} Of the {around} nearest neighbours of an image at {stage}, "
            f"{100 * kept:.0f} % are so here, too (chance: {100 * around / (count - 1):.0f} %). "
            + (
                "Look for where the mistakes lie: between groups, or deep in a wrong one. "
                if mistakes
                else "Look for classes that lie apart, and for images among those of another. "
            )
            + ("Drag to turn it." if space else "Drag to enlarge a part, double-click to go back.")
        )
        saved: dict[str, Any] = {
            "image": range(count),
            **dict(zip("xyz", found["points"].T, strict=False)),
        }
        saved["class"] = [names[label] for label in found["labels"]]
        if "predictions" in found:
            saved["named class"] = [place.named()[named] for named in found["predictions"]]
        click = partial(take_click, place.part)
        draw(figure, "map", text, found, click, table=saved)
    with right:
        show_image(place, found)
        watch_points(place, count, bool(space))


st.markdown("#### How do single images lie?")
side, main = st.columns([1, 3.2], gap="medium")
with side:
    run = choose_run()
    place = choose_place(run) if run else None
with main:
    if place:
        page(place, side)
