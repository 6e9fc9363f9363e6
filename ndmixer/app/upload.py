"""The box that takes a run from elsewhere."""

import streamlit as st

from ndmixer.app.controls import over_budget
from ndmixer.app.words import plain
from ndmixer.exchange import MAX_BYTES, METRICS, SPEC, WEIGHTS, UploadRefused, unpack


def upload() -> None:
    """Draws the box, and why the last upload was refused."""
    state = st.session_state
    key = f"upload-{state.setdefault('uploads', 0)}"  # another box after each one: it is empty
    st.file_uploader(
        "Upload a run",
        type=["zip", "json", "safetensors", "csv"],
        accept_multiple_files=True,
        max_upload_size=MAX_BYTES >> 20,
        key=key,
        on_change=_receive,
        args=[key],
        help=f"A .zip downloaded here, or {SPEC} and {WEIGHTS} (and {METRICS}, if you have it).",
    )
    if "upload_problem" in state:
        st.error(plain(state.upload_problem), icon=":material/error:")


def _receive(key: str) -> None:
    state = st.session_state
    state.pop("upload_problem", None)
    if not state[key]:
        return
    try:
        found = unpack([(file.name, file.getvalue()) for file in state[key]])
        reason = over_budget(found.model_spec, found.train_spec)
        if reason:
            raise UploadRefused(reason)
        state.chosen = found.save().id
    except (OSError, UploadRefused) as error:
        state.upload_problem = str(error)[:1].upper() + str(error)[1:]
        return
    state.uploads += 1
    st.toast("Uploaded; it is chosen above.", icon=":material/check_circle:")
