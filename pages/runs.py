"""All runs of this folder, newest first, then the shipped models: name, open, download, upload."""

import streamlit as st

from ndmixer.app.choices import carry
from ndmixer.app.run_panel import run_panel
from ndmixer.app.run_table import SHOWN, run_table
from ndmixer.app.upload import upload
from ndmixer.runs import list_runs, shipped_models

carry()
st.markdown("#### Runs")
runs, models = list_runs(), shipped_models()
chosen = run_table(runs[:SHOWN] + models) if runs or models else None
if len(runs) > SHOWN:
    st.caption(f"The newest {SHOWN} of {len(runs)} runs.")
if chosen:
    run_panel(chosen)
elif runs or models:
    st.caption("Choose a run to name it, open it, download it or delete it.")
else:
    st.info("No run yet. Press Train on the first page, or upload one.")
upload()
