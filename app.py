"""Starts the app: `streamlit run app.py`."""

from pathlib import Path

import streamlit as st

from ndmixer import app, jobs

HERE = Path(app.__file__).parent
st.set_page_config(page_title="ndmixer", page_icon=HERE / "icon.png", layout="wide")
st.html(HERE / "page.css")
jobs.start_engine()  # returns at once; the workers start while the page is drawn

page = st.navigation(
    [
        st.Page("pages/train.py", title="Train", icon=":material/show_chart:", default=True),
        st.Page("pages/classes.py", title="Classes", icon=":material/scatter_plot:"),
        st.Page("pages/weights.py", title="Weights", icon=":material/grid_on:"),
        st.Page("pages/reconstructions.py", title="Reconstructions", icon=":material/compare:"),
        st.Page("pages/runs.py", title="Runs", icon=":material/list:"),
    ],
    position="top",
)
page.run()
