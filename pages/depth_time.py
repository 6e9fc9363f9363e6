"""Where and when does the answer appear? Stages beside stages, and the training step by step."""

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ndmixer import jobs
from ndmixer.app import depth_time
from ndmixer.app.explorer import Place, answer, choose_place, choose_run
from ndmixer.probing import spread_out

MOMENTS = 12  # snapshots at most


def page(place: Place) -> None:
    """All figures of the place, each as soon as its numbers are there."""
    asked = place.run, place.step, place.stage
    accuracy, similarity = jobs.stage_accuracy(*asked), jobs.stage_similarity(*asked)
    snapshots = place.run.snapshots()
    steps = spread_out(snapshots, MOMENTS)
    moments = jobs.moments(place.run, steps, place.stage) if steps else None

    st.markdown("##### Through depth")
    when = st.empty()
    first, second = _columns(
        "How much of the answer is there at each stage", "How alike the stages are"
    )
    st.markdown("##### Through time")
    if steps:
        chosen = "all" if len(steps) == len(snapshots) else f"{len(steps)} of"
        st.caption(
            f"At {chosen} {len(snapshots)} snapshots of the weights"
            + ("" if chosen == "all" else ", spread evenly over the logarithm of the step")
            + ", whatever weights are chosen."
        )
    third, fourth = _columns("Distances between the classes", "The answer at each stage")
    gates, fifth = _columns("Gates", "What each block adds")
    with gates:
        depth_time.draw_gates(place)

    # What takes longest comes last; the figures that are there can be read meanwhile.
    with second:
        found = answer(similarity)
        if found is not None:
            depth_time.draw_similarity(found)
    with first:
        found = answer(accuracy)
        if found is not None:
            step = int(found["step"])
            which = "the last weights" if step < 0 else f"the weights after step {step:,}"
            when.caption(f"With {which}. Stages within a block are shown when they are chosen.")
            depth_time.draw_accuracy(place, found)
    if moments is None:
        told = "This run kept no snapshots of its weights: only its end is known."
        for container in (third, fourth, fifth):
            container.info(told)
        return
    with third:
        found = answer(moments)
        if found is None:
            return
        depth_time.draw_distances(place, found)
    with fourth:
        depth_time.draw_stages(found)
    with fifth:
        depth_time.draw_ratios(place, found)
    bad = int(np.count_nonzero(~np.isfinite(found["score"])))
    if bad:
        third.caption(f"At {bad} of these snapshots the weights are not finite: left blank.")


def _columns(*titles: str) -> list[DeltaGenerator]:
    """Places for figures side by side, each below its title."""
    columns = st.columns(len(titles), gap="medium")
    for column, title in zip(columns, titles, strict=True):
        column.markdown(f"**{title}**")
    return [column.container() for column in columns]


st.markdown("#### Where and when does the answer appear?")
side, main = st.columns([1, 3.2], gap="medium")
with side:
    run = choose_run()
    place = choose_place(run, images=False) if run else None
with main:
    if place:
        page(place)
