"""The script that every session runs: the navigation and the chosen page."""

import streamlit as st

from ndmixer import app, jobs

if __name__ == "__main__":  # app.py imports it for its place alone
    st.set_page_config(page_title="ndmixer", page_icon=app.HERE / "icon.png", layout="wide")
    st.html(app.HERE / "page.css")
    page = st.navigation(
        [
            st.Page(app.PAGES / f"{name}.py", title=title, icon=f":material/{icon}:")
            for name, title, icon in (
                ("train", "Train", "show_chart"),
                ("representations", "Representations", "layers"),
                ("classes", "Classes", "scatter_plot"),
                ("depth_time", "Depth and time", "timeline"),
                ("map", "Map", "bubble_chart"),
                ("weights", "Weights", "grid_on"),
                ("reconstructions", "Reconstructions", "compare"),
                ("compare", "Compare", "compare_arrows"),
                ("runs", "Runs", "list"),
            )
        ],
        position="top",
    )
    page.run()
    # Returns at once; after the page, which would wait for the workers on a small machine.
    jobs.start_engine()
