"""The run that all pages show: named in the address, else the one that trains."""

import streamlit as st

from ndmixer.app.live import Curves
from ndmixer.app.words import ENDED
from ndmixer.runs import Run, list_runs, open_run


def selected_run() -> Run | None:
    """The run of this session: chosen here, named in the address, or found in progress.

    It is looked for once: a page that was reset stays as its user left it, whatever others
    train meanwhile.
    """
    state = st.session_state
    if "run" not in state:
        active = (run.id for run in list_runs() if run.status() not in ENDED)
        state.run = st.query_params.get("run") or next(active, "")
    if not state.run:
        return None
    try:
        return open_run(state.run)
    except (KeyError, ValueError):
        # Deleted meanwhile, or a link from elsewhere: the page goes on without it.
        state.run = ""
        return None


def curves_of(run: Run) -> Curves:
    """What this session has read of the run, brought up to date."""
    curves = st.session_state.get("curves")
    if curves is None or curves.run.id != run.id:
        curves = st.session_state.curves = Curves(run)
    curves.update()
    return curves
