"""Shape a mixer, press Train, watch it learn."""

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ndmixer import jobs
from ndmixer.app import choices, feed, live
from ndmixer.app.controls import controls, start_from
from ndmixer.app.flow import show_flow
from ndmixer.app.forming import one_scale, show_forming
from ndmixer.app.read_runs import arrays_of, curves_of
from ndmixer.app.run_controls import run_controls, train_button
from ndmixer.app.selected import (
    address,
    chosen_stage,
    ghost_of,
    selected_run,
)
from ndmixer.app.words import ENDED, describe, plain, size
from ndmixer.runs import Run
from ndmixer.spec import ModelSpec, TrainSpec

TICK = 0.45  # seconds, between two looks at what no browser asks for

start_from(st.query_params.to_dict(), selected_run())


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
        with strip:
            show_flow(choice.model, chosen_stage(choice.model), partial(choices.choose, "stage"))
    else:
        strip.info("The model shows again when the choice is one.")


def watch(below: DeltaGenerator, fed: bool) -> None:
    """The run: what it is, how far it is, its curves; what is inside it goes `below`.

    Args:
        below: Where the maps go.
        fed: Whether the browser asks for more by itself, so that this need not run so often.
    """
    run = selected_run()
    status = run.status() if run else None
    readable = status != "unreadable"
    curves = curves_of(run) if run and readable else None
    choice = st.session_state.get("choice")
    with st.container(key="status"):
        fresh = f"**untrained** · {size(choice[0])}" if choice else "**untrained**"
        st.markdown(describe(run, status) if run else fresh)
        run_controls(run, status, curves.last if curves else {})
    plot = st.container()
    ghost = ghost_of(run, status in ENDED) if run and readable else None
    with plot:
        if run and status and readable:
            stage = chosen_stage(run.model_spec)
            content = feed.curves_and_progress(run, status, stage, ghost, one_scale())
        else:
            model = choice[0] if choice else ModelSpec()
            content = live.packed(None, feed.hint(status), task=model.task)
        live.show(content)
    if run and status in ("failed", "diverged"):
        st.error(run.error or "The run left no reason.")
    with below.container():  # even if empty, or its place would not be kept
        _inside(run, status, choice)
    if feed.feeds(run) != fed:  # last, or a button that was pressed meanwhile would be passed over
        st.rerun()


def _inside(
    run: Run | None, status: str | None, choice: tuple[ModelSpec, TrainSpec] | None
) -> None:
    """The probes: of the run, or of the untrained model that the controls say."""
    arrays, averages = arrays_of(run, status in ENDED) if run else (None, None)
    if run and arrays:
        model, dataset = run.model_spec, run.train_spec.dataset
        moment = feed.moment_of(int(arrays["step"]))
    elif (
        choice and jobs.engine_state() != "idle"
    ):  # else this would start it before the page is there
        model, dataset = choice[0], choice[1].dataset
        moment, averages = "ten test images in the untrained model", None
        try:
            arrays = jobs.untrained(*choice)
        except ValueError as error:  # a data set that is not there
            st.info(str(error))
    if arrays:
        show_forming(model, dataset, arrays, averages, moment, chosen_stage(model))
        if run and not averages:
            st.caption("The class averages and their distances come after the first epoch.")


left, right = st.columns([1, 2.6], gap="medium")
with right, st.container(key="watch"):
    now, strip, below = st.container(), st.empty(), st.container()
with left, st.container(key="controls"):
    choose(strip)
with now:  # last, so that it knows the choice
    fed = feed.feeds(selected_run())
    st.fragment(watch, run_every=None if fed else TICK)(below, fed)
if "address_problem" in st.session_state:
    problem = plain(st.session_state.pop("address_problem"))
    st.toast(f"The address was not understood: {problem}")
if "notice" in st.session_state:
    st.toast(st.session_state.pop("notice"), icon=":material/list:")
