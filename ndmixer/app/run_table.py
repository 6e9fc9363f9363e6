"""All runs as a table, one of which is chosen."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from ndmixer.accounting import accounting
from ndmixer.app.live import ago
from ndmixer.app.words import architecture, standing
from ndmixer.runs import Run

SHOWN = 200


def run_table(runs: list[Run]) -> Run | None:
    """Draws runs, each a line.

    Args:
        runs: At most some hundreds.

    Returns:
        The chosen one: by a click here, else the one that the other pages show.
    """
    import pandas as pd  # here, for the first page needs `last_test` and no table

    ids = [run.id for run in runs]
    state = st.session_state
    chosen = state.get("chosen", state.get("run"))
    # A table of other rows is another widget, which would begin without a choice.
    key = f"runs-{hash(tuple(ids))}"
    st.dataframe(
        pd.DataFrame([_row(run) for run in runs]).dropna(axis="columns", how="all"),
        key=key,
        hide_index=True,
        placeholder="–",
        on_select=partial(_choose, key, ids),
        selection_mode="single-row",
        selection_default={"selection": {"rows": [ids.index(chosen)] if chosen in ids else []}},
        column_config={
            "Name": st.column_config.TextColumn(width="medium"),
            "Parameters": st.column_config.NumberColumn(format="localized"),
            "Test accuracy": st.column_config.NumberColumn(format="%.2f %%"),
            "Test RMSE": st.column_config.NumberColumn(format="%.4f"),
        },
    )
    return runs[ids.index(chosen)] if chosen in ids else None


def _choose(key: str, ids: list[str]) -> None:
    """Notes which run was clicked: `ids` are those of the table that was seen."""
    rows = st.session_state[key].selection.rows
    st.session_state.chosen = ids[rows[0]] if rows else None


def _row(run: Run) -> dict[str, Any]:
    """One line; a folder that cannot be read has no more than its name."""
    try:
        info = run.info
    except ValueError:
        return {"Name": run.name, "Status": "unreadable"}
    result = last_test(run)
    accuracy = result.get("val_accuracy")
    return {
        "Name": run.name,
        "Status": "ships with ndmixer" if run.shipped else standing(run, run.status()),
        "Architecture": architecture(info["model"]),
        "Parameters": accounting(info["model"]).parameters,
        "Epochs": f"{result.get('epoch', 0)} of {info['train'].epochs}",
        "Test accuracy": None if accuracy is None else 100 * accuracy,
        "Test RMSE": result.get("val_rmse"),
        "Started": ago(datetime.fromisoformat(info["created"]).timestamp()),
    }


def last_test(run: Run) -> dict[str, Any]:
    """The event of the last test of a run; empty before the first."""
    try:
        found = (run.folder / "metrics.jsonl").stat()
    except FileNotFoundError:
        return {}
    return _result(str(run.folder), found.st_size, found.st_mtime_ns)


@st.cache_data(show_spinner=False, max_entries=4 * SHOWN)
def _result(folder: str, size: int, written: int) -> dict[str, Any]:
    """The last test; kept until the file changes, since a long run takes long to read."""
    return next((e for e in reversed(Run(Path(folder)).metrics()) if "val_loss" in e), {})
