"""The run that all pages show: named in the address, else the one that trains."""

import streamlit as st

from ndmixer.app.live import Curves
from ndmixer.app.words import ENDED
from ndmixer.runs import Run, list_runs, open_run


def selected_run() -> Run | None:
    """The run of this session: chosen here, named in the address, or found in progress."""
    state = st.session_state
    name = state.get("run") or st.query_params.get("run")
    if not name:
        name = next((run.id for run in list_runs() if run.status() not in ENDED), None)
    if not name:
        return None
    try:
        run = open_run(name)
    except (KeyError, ValueError):
        # Deleted meanwhile, or a link from elsewhere: the page goes on without it.
        state.pop("run", None)
        return None
    state.run = run.id
    return run


def curves_of(run: Run) -> Curves:
    """What this session has read of the run, brought up to date."""
    curves = st.session_state.get("curves")
    if curves is None or curves.run.id != run.id:
        curves = st.session_state.curves = Curves(run)
    curves.update()
    return curves
