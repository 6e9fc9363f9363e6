"""Several runs in a table: what they cost and what they reached, by the same measure."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from ndmixer.accounting import accounting
from ndmixer.app.downloads import save
from ndmixer.app.live import SCORES
from ndmixer.app.words import architecture
from ndmixer.comparing import History, history
from ndmixer.datasets import dataset_info
from ndmixer.runs import Run

NUMBER = st.column_config.NumberColumn


def history_of(run: Run) -> History:
    """What the run has measured so far; read again only when there is more."""
    try:
        found = (run.folder / "metrics.jsonl").stat()
        size, written = found.st_size, found.st_mtime_ns
    except OSError:
        size, written = 0, 0
    return _history(str(run.folder), size, written)


@st.cache_data(show_spinner=False, max_entries=24)
def _history(folder: str, size: int, written: int) -> History:
    run = Run(Path(folder))
    train, score = run.train_spec, SCORES[run.model_spec.task]
    images = train.train_images
    if images is None:
        try:
            images = dataset_info(train.dataset).train_images
        except ValueError:  # its data set is gone; steps and seconds are known still
            images = 0
    return history(run.metrics(), score, images, train.batch_size)


def compare_table(runs: dict[str, Run], histories: dict[str, History]) -> None:
    """Draws the table, what its columns mean, and the button that saves it.

    Args:
        runs: By the name that the page shows.
        histories: What each has measured.
    """
    seconds = min(h.seconds for h in histories.values())
    images = min(h.images for h in histories.values())
    rows = [_row(name, run, histories[name], seconds, images) for name, run in runs.items()]
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    st.dataframe(
        table,
        key="table",
        hide_index=True,
        placeholder="–",
        column_config={
            "Parameters": NUMBER(format="localized"),
            "MFLOPs per image": NUMBER(format="%.3f", help="Forward, two a multiply-add."),
            "Images seen": NUMBER(format="localized"),
            "Seconds": NUMBER(format="%.1f", help="Of training and tests, without pauses."),
            **{
                f"{kind}{where}": NUMBER(format=form)
                for kind, form in (("Test accuracy", "%.2f %%"), ("Test RMSE", "%.4f"))
                for where in ("", " at equal time", " at equal images")
            },
            "Tested at second": NUMBER(format="%.1f"),
            "Tested at image": NUMBER(format="localized"),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"Equal time is {seconds:,.1f} seconds and equal images are {images:,} images seen, "
            "the least that one of them has had. Each run is judged by its last test at or before "
            "that; the columns “Tested at” say when it was. Nothing is interpolated, and a dash "
            "is a run that had no test so early. Seconds are fair only between runs of one "
            "machine. A click on a heading sorts.",
            width="stretch",
        )
        save("runs", table={name: list(column) for name, column in table.items()})


def _row(name: str, run: Run, found: History, seconds: float, images: int) -> dict[str, Any]:
    spec = run.model_spec
    counted = accounting(spec)
    classifier = spec.task == "classifier"
    kind, factor = ("Test accuracy", 100) if classifier else ("Test RMSE", 1)
    row: dict[str, Any] = {
        "Run": name,
        "Status": run.status(),
        "Architecture": architecture(spec),
        "Data": run.train_spec.dataset,
        "Parameters": counted.parameters,
        "MFLOPs per image": counted.flops / 1e6,
        "Images seen": found.images,
        "Seconds": found.seconds,
        kind: factor * found.test.score[-1] if len(found.test.score) else None,
    }
    by_time, by_images = found.test_at("seconds", seconds), found.test_at("images", images)
    row[f"{kind} at equal time"] = factor * by_time[0] if by_time else None
    row["Tested at second"] = by_time[1] if by_time else None
    row[f"{kind} at equal images"] = factor * by_images[0] if by_images else None
    row["Tested at image"] = by_images[1] if by_images else None
    return row
