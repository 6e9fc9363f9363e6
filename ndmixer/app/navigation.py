"""The script that every session runs: the navigation and the chosen page."""

import streamlit as st

from ndmixer import app, jobs

if __name__ == "__main__":  # app.py imports it for its place alone
    st.set_page_config(page_title="ndmixer", page_icon=app.HERE / "icon.png", layout="wide")
    st.html(app.HERE / "page.css")
    page = st.navigation(
        [
            st.Page(
                app.PAGES / "train.py", title="Train", icon=":material/show_chart:", default=True
            ),
            st.Page(app.PAGES / "classes.py", title="Classes", icon=":material/scatter_plot:"),
            st.Page(app.PAGES / "runs.py", title="Runs", icon=":material/list:"),
        ],
        position="top",
    )
    page.run()
    # Returns at once; after the page, which would wait for the workers on a small machine.
    jobs.start_engine()
