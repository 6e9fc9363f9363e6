"""All that knows Streamlit: widgets, live components, caches. The pages choose, call and draw."""

from pathlib import Path

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "pages"
