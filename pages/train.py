"""Shape a mixer, press Train, watch it learn."""

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ndmixer.app import choices, feed, live
from ndmixer.app.controls import controls, start_from
from ndmixer.app.flow import show_flow
from ndmixer.app.forming import one_scale, show_forming
from ndmixer.app.run_controls import run_controls, train_button
from ndmixer.app.selected import (
    address,
    chosen_stage,
    ghost_of,
    selected_run,
)
from ndmixer.app.words import ENDED, describe, plain, size

start_from(st.query_params.to_dict(), selected_run())
st.session_state.pop("watched", None)  # it is drawn below, after the controls


@st.fragment
def choose(strip: DeltaGenerator) -> None:
    """The controls; draws the flow of the choice into `strip`."""
    button = st.container()
    choice = controls()
    st.session_state.choice = None if choice.problem else (choice.model, choice.train)
    with button:
        train_button(choice, selected_run())
    if choice.model and choice.train:
        st.query_params.from_dict(
            {**choice.model.to_query(), **choice.train.to_query(), **address(choice.model)}
        )
        with strip.container():
            show_flow(choice.model, chosen_stage(choice.model), partial(choices.choose, "stage"))
    else:
        strip.container().info("The model shows again when the choice is one.")
    watched = st.session_state.get("watched")
    if watched and watched != _watched(trained=watched[0]):
        st.rerun()


def _watched(trained: bool) -> tuple[object, ...]:
    """What `watch` shows of the choices: the settings only while no trained model is there."""
    choice = st.session_state.get("choice")
    return trained, choices.named("stage"), choice is not None if trained else choice


@st.fragment
def watch(below: DeltaGenerator) -> None:
    """The run: what it is, how far it is, its curves; what is inside it goes `below`.

    Nothing runs it by the clock: `live.js` asks for it where what it draws is no longer so.
    """
    run = selected_run()
    choice = st.session_state.get("choice")
    now = feed.look(run, choice)
    status, curves = now.status, now.curves
    state = feed.state(run, now)  # first: what changes while this draws is then drawn again
    with st.container(key="status"):
        fresh = f"**untrained** · {size(choice[0])}" if choice else "**untrained**"
        st.markdown(describe(run, status) if run else fresh)
        run_controls(run, status, curves.last if curves else {})
    plot = st.container()
    ghost = ghost_of(run, status in ENDED) if run and curves else None
    stage = chosen_stage(now.model)
    with plot:
        view = feed.View(run, choice, stage, ghost, one_scale())
        live.show(feed.packed(view, now, state))
    if run and status in ("failed", "diverged"):
        st.error(run.error or "The run left no reason.")
    if now.problem:
        st.info(now.problem)
    with below.container():  # even if empty, or its place would not be kept
        if now.arrays:
            show_forming(now.model, now.dataset, now.arrays, now.averages, now.moment, stage)
            if now.trained and not now.averages:
                st.caption("The class averages and their distances come after the first epoch.")
    st.session_state.watched = _watched(now.trained)


left, right = st.columns([1, 2.6], gap="medium")
with right, st.container(key="watch"):
    now, strip, below = st.container(), st.container(), st.container()
with left, st.container(key="controls"):
    choose(strip)
with now:  # last, so that it knows the choice
    watch(below)
if "address_problem" in st.session_state:
    problem = plain(st.session_state.pop("address_problem"))
    st.toast(f"The address was not understood: {problem}")
if "notice" in st.session_state:
    st.toast(st.session_state.pop("notice"), icon=":material/list:")
