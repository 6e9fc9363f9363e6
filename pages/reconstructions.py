"""What does the autoencoder keep? Outputs beside inputs, decoded averages, walks between images."""

from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.accounting import accounting
from ndmixer.app.choices import bind, choose
from ndmixer.app.explorer import Place, answer, choose_place, choose_run
from ndmixer.app.reconstructions import (
    offer_autoencoders,
    show_averages,
    show_images,
    show_walk,
)
from ndmixer.reconstruction import ORDERS

SHOWN = 10  # images on a page


def page(place: Place, controls: st.delta_generator.DeltaGenerator) -> None:
    """All figures of the place."""
    data = place.data
    there = data.test_images if place.part == "test" else data.train_images
    place = replace(place, count=min(place.count, there))
    with controls:
        order = st.selectbox(
            "Order", ORDERS, **bind("order", ORDERS, ORDERS[0], then=partial(choose, "page", ""))
        )
        pages = range(1, 1 + max(1, -(-place.count // SHOWN)))
        number = st.number_input(
            f"Page of {SHOWN} images",
            1,
            pages[-1],
            help="The next ones of this order; in random order, another draw.",
            **bind("page", pages, 1),
        )
    question = place.run, place.step, place.part, place.count, order, SHOWN, number - 1
    found = answer(jobs.reconstructions(*question))
    if found is None:
        return
    if not np.isfinite(found["errors"]).all():
        st.warning("Its outputs are not finite: the training diverged. Choose earlier weights.")
        return
    show_images(place, found, order)
    stages = [stage.name for stage in accounting(place.run.model_spec).stages]
    if place.stage not in stages:
        st.info(
            "Nothing can be decoded from within a block: what goes around it would be missing. "
            "Choose another stage."
        )
        return
    show_averages(place)
    show_walk(place)


st.markdown("#### What does the autoencoder keep?")
side, main = st.columns([1, 3.2], gap="medium")
with side:
    run = choose_run()
    place = None
    if run and run.model_spec.task == "autoencoder":
        place = choose_place(run)
with main:
    if place:
        page(place, side)
    elif run and run.model_spec.task != "autoencoder":
        offer_autoencoders()
