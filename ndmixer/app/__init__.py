"""All that knows Streamlit: widgets, live components, caches. The pages choose, call and draw."""

from pathlib import Path

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "pages"


def source(*names: str) -> str:
    """The text of files that lie here, one after another: the style or script of a component."""
    return "\n".join((HERE / name).read_text("utf-8") for name in names)
