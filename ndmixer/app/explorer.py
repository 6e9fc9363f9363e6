"""What the pages that look inside a model share: choosing, waiting for an answer, drawing."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.accounting import last_block, stages
from ndmixer.app.choices import bind, carry, choose
from ndmixer.app.downloads import Table, picture_format, save
from ndmixer.app.selected import selected_run
from ndmixer.app.words import describe, plain
from ndmixer.datasets import DatasetInfo, dataset_info
from ndmixer.figures import DARK, LIGHT, Theme
from ndmixer.runs import Run, list_runs, shipped_models

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_Answer = TypeVar("_Answer")
LAST = -1  # in place of a step
POLL_SECONDS, TOLD_SECONDS = 0.01, 0.3


@dataclass(frozen=True)
class Place:
    """Where one looks: which model, where in it, with which images.

    Attributes:
        run: The run.
        step: A snapshot; None is the last weights.
        stage: Name of the stage.
        part: Of the data set.
        count: How many images, the first ones.
        data: Its data set, not loaded.
    """

    run: Run
    step: int | None
    stage: str
    part: jobs.Part
    count: int
    data: DatasetInfo

    def named(self) -> list[str]:
        """The classes that the model can name: those of the data, and perhaps more."""
        return named_classes(self.run, self.data)


def named_classes(run: Run, data: DatasetInfo) -> list[str]:
    """The classes that a model can name: those of the data, and perhaps more, by number."""
    known = list(data.class_names)
    return known + [str(number) for number in range(len(known), run.model_spec.num_classes)]


def readable_runs() -> dict[str, Run]:
    """All that can be looked into, by id: the runs, newest first, then the shipped models."""
    readable = [run for run in list_runs() if run.status() != "unreadable"]
    own = {run.id for run in readable}
    return {r.id: r for r in [*readable, *(m for m in shipped_models() if m.id not in own)]}


def choose_run() -> Run | None:
    """The run of all pages, or another one that is chosen here; None says why on the page."""
    ids = readable_runs()
    if not ids:
        st.info("No run yet. Press Train on the first page; then its model can be looked into.")
        return None
    carry()
    selected_run()  # one that trains, if none was chosen
    offered = list(ids)
    chosen = st.selectbox(
        "Run", offered, format_func=lambda i: ids[i].name, **bind("run", offered, offered[0])
    )
    choose("run", chosen)
    run = ids[chosen]
    status = run.status()
    st.markdown(describe(run, status))
    try:
        run.weights_path()
    except ValueError:
        st.info(
            f"This run has no weights yet: it is {status}. Its first weights are written before "
            "its first step; if it will never take one, choose another run."
        )
        return None
    return run


def choose_place(run: Run, *, images: bool = True) -> Place | None:
    """Snapshot, stage and images; None says why on the page.

    Args:
        run: The run.
        images: Whether images are chosen here; else all of the test set are.
    """
    spec, train = run.model_spec, run.train_spec
    try:
        data = dataset_info(train.dataset)
    except ValueError as error:
        st.info(plain(str(error)))
        return None
    names = stages(spec)
    steps = [LAST, *reversed(run.snapshots())]
    chosen = st.selectbox(
        "Weights",
        steps,
        format_func=lambda s: "the last ones" if s == LAST else f"after step {s:,}",
        **bind("step", steps, LAST, text=lambda s: "last" if s == LAST else str(s)),
    )
    step = None if chosen == LAST else chosen
    stage = st.selectbox(
        "Stage",
        names,
        format_func=lambda name: name.replace("_", " "),
        **bind("stage", names, last_block(spec)),
    )
    if not images:
        return Place(run, step, stage, "test", data.test_images, data)
    seen = train.train_images or data.train_images
    samples: list[tuple[jobs.Part, int]] = [("test", data.test_images)]
    samples += [("train", count) for count in sorted({min(seen, 10_000), seen})]
    part, count = st.selectbox(
        "Images",
        samples,
        format_func=lambda s: (
            f"all {s[1]:,} test images"
            if s[0] == "test"
            else f"{'all' if s[1] == seen else 'first'} {s[1]:,} training images"
        ),
        **bind(
            "part",
            samples,
            samples[0],
            text=lambda s: s[0] if s in (samples[0], ("train", seen)) else f"{s[0]}-{s[1]}",
        ),
    )
    return Place(run, step, stage, part, count, data)


def answer(ask: Callable[[], _Answer | None]) -> _Answer | None:
    """Waits for the inspecting worker; None says on the page why there is no answer.

    Args:
        ask: A call of `ndmixer.jobs` that returns None as long as there is none.
    """
    place = st.empty()
    told = time.monotonic()
    while True:
        try:
            found = ask()
        except TimeoutError:  # a large answer is on its way
            found = None
        except ValueError as error:
            place.info(plain(str(error)))
            return None
        except Exception as error:
            place.error(f"The inspecting worker has no answer: {plain(str(error))}")
            return None
        if found is not None:
            place.empty()
            return found
        state = jobs.engine_state()
        if state.startswith("failed"):
            place.error(plain(state))
            return None
        if time.monotonic() - told > TOLD_SECONDS:
            # Also lets Streamlit break off this run of the page when a widget is used.
            place.caption("The engine starts ..." if state == "starting" else "Computing ...")
            told = time.monotonic()
        time.sleep(POLL_SECONDS)


def theme() -> Theme:
    """The colours of figures in the theme of this browser."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def draw(
    figure: "Figure",
    name: str,
    text: str,
    data: Mapping[str, np.ndarray],
    on_select: Callable[[], None] | None = None,
    *,
    table: Table | None = None,
) -> None:
    """A figure, two sentences below it, and what it shows as a file.

    Args:
        figure: What is drawn.
        name: Of the files and of the widget.
        text: What it shows, and what to look for.
        data: Its arrays.
        on_select: Called when a point is clicked.
        table: The same as a table, if it is one.
    """
    st.plotly_chart(
        figure,
        key=name,
        theme=None,
        on_select=on_select or "ignore",
        selection_mode="points",
        alt=text,
        config={
            "displaylogo": False,
            "modeBarButtons": [["toImage"]],
            "toImageButtonOptions": {
                "format": picture_format(name),
                "filename": name,
                "scale": 2,
            },
        },
    )
    explain(name, text, data, table, camera=True)


def explain(
    name: str,
    text: str,
    data: Mapping[str, np.ndarray] | None = None,
    table: Table | None = None,
    *,
    camera: bool = False,
) -> None:
    """Two sentences below a view, and what it shows as a file; arguments as of `draw`."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(text, width="stretch")
        save(name, data=data, table=table, camera=camera)
