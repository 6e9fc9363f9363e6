"""Shape a mixer, press Train, watch it learn."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ndmixer import jobs
from ndmixer.app.controls import controls, start_from
from ndmixer.app.flow import show_flow
from ndmixer.app.forming import forming, geometry, one_stage, reconstructions
from ndmixer.app.live import show
from ndmixer.app.run_controls import run_controls, train_button
from ndmixer.app.selected import (
    address,
    arrays_of,
    choose_stage,
    chosen_stage,
    curves_of,
    ghost_of,
    selected_run,
)
from ndmixer.app.words import ENDED, describe, plain, size
from ndmixer.runs import Run
from ndmixer.spec import ModelSpec, TrainSpec

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
            show_flow(choice.model, chosen_stage(choice.model), choose_stage)
    else:
        strip.info("The model shows again when the choice is one.")


@st.fragment(run_every=0.45)
def watch(below: DeltaGenerator) -> None:
    """The run: what it is, how far it is, its curves; what is inside it goes `below`."""
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
    other = ghost_of(run, status in ENDED) if run and readable else None
    with plot:
        model = run.model_spec if run and readable else choice[0] if choice else ModelSpec()
        ghost = curves_of(other, "ghost_curves") if other else None
        show(curves, _hint(status), task=model.task, ended=status in ENDED, ghost=ghost)
    if run and status in ("failed", "diverged"):
        st.error(run.error or "The run left no reason.")
    with below.container():  # even if empty, or its place would not be kept
        _inside(run, status, choice)


def _inside(
    run: Run | None, status: str | None, choice: tuple[ModelSpec, TrainSpec] | None
) -> None:
    """The probes: of the run, or of the untrained model that the controls say."""
    live, averages = arrays_of(run, status in ENDED) if run else (None, None)
    if run and live:
        model, dataset = run.model_spec, run.train_spec.dataset
        moment = f"ten test images at step {int(live['step']):,}"
    elif (
        choice and jobs.engine_state() != "idle"
    ):  # else this would start it before the page is there
        model, dataset = choice[0], choice[1].dataset
        moment, averages = "ten test images in the untrained model", None
        try:
            live = jobs.untrained(*choice)
        except ValueError as error:  # a data set that is not there
            st.info(str(error))
    if live:
        stage = chosen_stage(model)
        if model.task == "autoencoder":
            reconstructions(model, dataset, live, moment)
        one_stage(live, moment, stage)
        forming(model, live, moment, stage)
        if averages:
            geometry(averages, stage)
        elif run:
            st.caption("The class averages and their distances come after the first epoch.")


def _hint(status: str | None) -> str:
    if status is None:
        return "Press Train: the curves grow here."
    engine = jobs.engine_state()
    if status == "queued" and engine != "ready":
        return "The engine starts ..." if engine == "starting" else engine
    return "Waiting for its turn ..." if status == "queued" else "The first step comes ..."


left, right = st.columns([1, 2.6], gap="medium")
with right, st.container(key="watch"):
    now, strip, below = st.container(), st.empty(), st.container()
with left, st.container(key="controls"):
    choose(strip)
with now:  # last, so that it knows the choice
    watch(below)
if "address_problem" in st.session_state:
    problem = plain(st.session_state.pop("address_problem"))
    st.toast(f"The address was not understood: {problem}")
if "notice" in st.session_state:
    st.toast(st.session_state.pop("notice"), icon=":material/list:")
