"""Shape a mixer, press Train, watch it learn."""

import streamlit as st

from ndmixer import jobs
from ndmixer.accounting import accounting, last_block
from ndmixer.app.controls import controls, start_from
from ndmixer.app.forming import forming, geometry
from ndmixer.app.live import show
from ndmixer.app.run_controls import run_controls, train_button
from ndmixer.app.selected import curves_of, selected_run
from ndmixer.app.stage_table import stage_table
from ndmixer.app.words import describe, plain, size
from ndmixer.runs import Run

start_from(st.query_params.to_dict(), selected_run())


@st.fragment
def choose(table: st.delta_generator.DeltaGenerator) -> None:
    """The controls; writes the stages of the choice into `table`."""
    button = st.container()
    choice = controls()
    st.session_state.choice = None if choice.problem else (choice.model, choice.train)
    with button:
        train_button(choice, selected_run())
    if choice.model and choice.train:
        run = st.session_state.run
        st.query_params.from_dict(
            {
                **choice.model.to_query(),
                **choice.train.to_query(),
                **({"run": run} if run else {}),
            }
        )
        table.html(stage_table(accounting(choice.model)))
    else:
        table.info("The stages show again when the choice is a model.")


@st.fragment(run_every=0.4)
def watch() -> None:
    """The run: what it is, how far it is, its curves."""
    run = selected_run()
    status = run.status() if run else None
    curves = curves_of(run) if run and status != "unreadable" else None
    with st.container(key="status"):
        choice = st.session_state.get("choice")
        fresh = f"**untrained** · {size(choice[0])}" if choice else "**untrained**"
        st.markdown(describe(run, status) if run else fresh)
        run_controls(run, status, curves.last if curves else {})
    show(curves, _hint(status))
    _forming(run)
    if run and status in ("failed", "diverged"):
        st.error(run.error or "The run left no reason.")


def _forming(run: Run | None) -> None:
    """The probes: of the run, or of the untrained model that the controls say."""
    live = run.load_live() if run else None
    if run and live:
        forming(run.model_spec, live, f"ten test digits at step {int(live['step']):,}")
        if "distances" in live:
            geometry(live, last_block(run.model_spec))
        return
    choice = st.session_state.get("choice")
    try:
        fresh = jobs.untrained(*choice) if choice else None
    except ValueError as error:  # a data set that is not there
        st.info(str(error))
        return
    if choice and fresh:
        forming(choice[0], fresh, "ten test digits in the untrained model")


def _hint(status: str | None) -> str:
    if status is None:
        return "Press Train: the curves grow here."
    engine = jobs.engine_state()
    if status == "queued" and engine != "ready":
        return "The engine starts ..." if engine == "starting" else engine
    return "Waiting for its turn ..." if status == "queued" else "The first step comes ..."


left, right = st.columns([1, 2.6], gap="medium")
with right, st.container(key="watch"):
    live = st.container()
    st.markdown("#### The stages of this model")
    below = st.empty()
with left, st.container(key="controls"):
    choose(below)
with live:  # last, so that it knows the choice
    watch()
if "address_problem" in st.session_state:
    problem = plain(st.session_state.pop("address_problem"))
    st.toast(f"The address was not understood: {problem}")
if "notice" in st.session_state:
    st.toast(st.session_state.pop("notice"), icon=":material/list:")
