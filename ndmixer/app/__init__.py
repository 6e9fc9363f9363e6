"""All that knows Streamlit: controls, live views, what a page shares with the next."""
