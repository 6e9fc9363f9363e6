"""Which runs stand beside one another; the choice is in the address: `?runs=a,b`."""

import streamlit as st

from ndmixer.app.choices import carry, choose, named, put
from ndmixer.app.explorer import readable_runs
from ndmixer.app.words import plain
from ndmixer.runs import Run

MOST = 6


def choose_runs() -> dict[str, Run]:
    """The runs by the name that the page shows; the choice is in the address."""
    ids = readable_runs()
    if not ids:
        st.info("No run yet. Press Train on the first page; runs can be compared here.")
        return {}
    carry()
    asked = [name for name in named("runs").split(",") if name]
    known = [name for name in dict.fromkeys(asked) if name in ids]
    unknown = [name[:60] for name in asked if name not in ids]
    if unknown:
        st.warning(f"There is no such run here, it was left out: {plain(', '.join(unknown))}.")
    if len(known) > MOST:
        st.warning(f"At most {MOST} runs stand side by side; these are the first {MOST}.")
    state = st.session_state
    if "runs" not in state:
        known = list(ids)[:2]
    put("runs_choice", known[:MOST])
    chosen = st.multiselect(
        "Runs",
        ids,
        format_func=lambda name: ids[name].name,
        max_selections=MOST,
        key="runs_choice",
        on_change=lambda: choose("runs", ",".join(state.runs_choice)),
        placeholder="Choose up to six",
    )
    choose("runs", ",".join(chosen))
    names = [ids[name].name for name in chosen]
    return {
        n if names.count(n) == 1 else f"{n} ({i})": ids[name]
        for i, (n, name) in enumerate(zip(names, chosen, strict=True), 1)
    }
