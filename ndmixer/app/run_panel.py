"""What can be done with one run: name it, note on it, open, download, delete it."""

from functools import partial

import streamlit as st

from ndmixer import jobs
from ndmixer.app import PAGES
from ndmixer.app.words import ENDED, describe, plain
from ndmixer.exchange import pack
from ndmixer.runs import NAME_LENGTH, NOTE_LENGTH, Run


def run_panel(run: Run) -> None:
    """Draws the panel of a run.

    Args:
        run: The chosen one.
    """
    status = run.status()
    with st.container(border=True, key="panel"):
        st.markdown(describe(run, status))
        if run.shipped:
            st.markdown(run.card)
        else:
            _notes(run)
        with st.container(horizontal=True, gap="xsmall"):
            if st.button(
                "Open",
                icon=":material/show_chart:",
                type="primary",
                disabled=status == "unreadable",
                help="Shows it on the Train page.",
            ):
                st.session_state.run = run.id
                st.switch_page(PAGES / "train.py")
            _download(run, status)
            help = "Stop the run first." if status not in ENDED else None
            help = "It ships with ndmixer and stays as it is." if run.shipped else help
            if st.button("Delete", icon=":material/delete:", disabled=bool(help), help=help):
                _confirm(run)


def _notes(run: Run) -> None:
    """Name and note, written anew as soon as they are changed."""
    st.text_input(
        "Name",
        "" if run.name == run.id else run.name,
        placeholder=run.id,
        max_chars=NAME_LENGTH,
        key=f"name-{run.id}",
        on_change=_describe,
        args=[run, "name"],
    )
    st.text_area(
        "Note",
        run.note,
        placeholder="What did you try, and what came of it?",
        max_chars=NOTE_LENGTH,
        height=96,
        key=f"note-{run.id}",
        on_change=_describe,
        args=[run, "note"],
    )


def _describe(run: Run, field: str) -> None:
    try:
        run.describe(**{field: st.session_state[f"{field}-{run.id}"]})
    except (OSError, ValueError) as error:
        st.toast(f"The {field} was not saved: {plain(str(error))}")


def _download(run: Run, status: str) -> None:
    reason, model = "", None
    if status not in ENDED:
        reason = "Stop the run first, or wait for its end."
    elif status == "unreadable":
        reason = "It has no readable specification."
    else:
        try:
            model = jobs.keras_file(run)
        except ValueError as error:
            reason = plain(str(error))
    if reason:
        st.button("Download", icon=":material/download:", disabled=True, help=reason)
    elif model is None and not jobs.engine_state().startswith("failed"):
        _prepare(run)
    else:
        st.download_button(
            "Download",
            partial(pack, run, model),
            f"{run.id}.zip",
            "application/zip",
            icon=":material/download:",
            on_click="ignore",
            help=None if model else plain(f"Without model.keras: {jobs.engine_state()}"),
        )


@st.fragment(run_every=0.5)
def _prepare(run: Run) -> None:
    """Waits for `model.keras`; then the page is drawn with the button that downloads."""
    try:
        ready = jobs.keras_file(run) is not None or jobs.engine_state().startswith("failed")
    except ValueError:  # deleted meanwhile
        ready = True
    if ready:
        st.rerun()
    st.button("Preparing ...", icon=":material/hourglass_empty:", disabled=True)


@st.dialog("Delete this run?")
def _confirm(run: Run) -> None:
    st.text(run.name)
    st.caption("Its weights, metrics and notes are gone for good.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Keep it"):
            st.rerun()
        sure = st.button("Delete it", type="primary", icon=":material/delete:")
    if sure:
        try:
            run.delete()
        except (OSError, RuntimeError, ValueError) as error:
            st.error(plain(str(error)))
            return
        state = st.session_state
        state.chosen = None
        if state.get("run") == run.id:
            state.run = ""
        st.rerun()
