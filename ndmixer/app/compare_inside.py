"""Two runs beside one another, inside: one image at their stages, and where classes lie."""

from math import isfinite

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.accounting import accounting, last_block
from ndmixer.app.choices import bind
from ndmixer.app.choose_image import choose_index
from ndmixer.app.downloads import matrix_table
from ndmixer.app.explorer import answer, draw, named_classes, theme
from ndmixer.app.words import plain
from ndmixer.comparing import agreement
from ndmixer.datasets import DatasetInfo, dataset_info
from ndmixer.figures import COLUMNS, layout_note, map_grid, matrix
from ndmixer.images import softmax
from ndmixer.runs import Run

SIDES = ("left", "right")


def choose_two(runs: dict[str, Run]) -> tuple[str, str] | None:
    """Two of the runs, by name; None says on the page why there are none."""
    able = [name for name, run in runs.items() if _has_weights(run)]
    if len(able) < 2:
        st.info("To look inside two runs, choose two that have weights; a run has its first soon.")
        return None
    with st.container(horizontal=True):
        left = bind("left", able, able[0], text=lambda name: runs[name].id)
        first = st.selectbox("Left", able, width=320, **left)
        others = [name for name in able if name != first]
        right = bind("right", others, others[0], text=lambda name: runs[name].id)
        second = st.selectbox("Right", others, width=320, **right)
    return first, second


def show_inside(runs: dict[str, Run], names: tuple[str, str]) -> None:
    """Draws the same image and the distances of the same images in both.

    Args:
        runs: By the name that the page shows.
        names: The two of them.
    """
    pair = [runs[name] for name in names]
    data = [run.train_spec.dataset for run in pair]
    if data[0] != data[1]:
        st.info(
            "These two runs have different data sets, so that no image is the same in both: "
            f"{plain(data[0])} and {plain(data[1])}. Choose two of one data set."
        )
        return
    try:
        info = dataset_info(data[0])
    except ValueError as error:
        st.info(plain(str(error)))
        return
    _image(pair, names, info)
    _distances(pair, names, info)


def _image(pair: list[Run], names: tuple[str, str], info: DatasetInfo) -> None:
    st.markdown("**The same image, stage by stage**")
    last = info.test_images - 1
    index = choose_index(f"Test image (0 to {last:,})", "test", info.test_images, width=200)
    asks = [jobs.one_image(run, None, ("test", index)) for run in pair]
    found = [answer(ask) for ask in asks]
    if found[0] is None or found[1] is None:
        return
    for name, column, run, one, side in zip(
        names, st.columns(2, gap="medium"), pair, found, SIDES, strict=True
    ):
        with column:
            st.markdown(f"**{plain(name)}**")
            values = one["values"] if one else {}
            if not all(np.isfinite(v).all() for v in values.values()):
                st.warning("These weights are not finite: the training diverged.")
                continue
            main = (stage.name for stage in accounting(run.model_spec).stages)
            strip = {stage: values[stage] for stage in main if stage != "logits"}
            titles = [stage.replace("_", " ") for stage in strip]
            note = layout_note(strip[last_block(run.model_spec)].shape)
            taken = _taken(values, named_classes(run, info))
            text = (
                f"Test image {index:,} at every main stage{taken}. Each map has its "
                f"own colour scale, to ± the number above it. Look for the stage at which they "
                f"part. {note}"
            )
            figure = map_grid(list(strip.values()), titles, theme(), own=True)
            figure.update_layout(height=40 + 145 * -(-len(strip) // COLUMNS))
            draw(figure, f"strip-{side}", text, strip)


def _distances(pair: list[Run], names: tuple[str, str], info: DatasetInfo) -> None:
    st.markdown("**Distances between the classes**")
    main = [[s.name for s in accounting(run.model_spec).stages] for run in pair]
    both = [name for name in main[0] if name in main[1]]
    stage = st.selectbox(
        "Stage",
        ["", *both],
        format_func=lambda name: name.replace("_", " ") or "the last block of each",
        width=320,
        **bind("stage", ["", *both], ""),
    )
    at = [stage or last_block(run.model_spec) for run in pair]
    count = info.test_images
    asks = [
        jobs.class_geometry(run, None, where, "test", count, "correlation")
        for run, where in zip(pair, at, strict=True)
    ]
    found = [answer(ask) for ask in asks]
    if found[0] is None or found[1] is None:
        return
    tables = [
        f["distances"][list(f["stages"]).index(where)]
        for f, where in zip(found, at, strict=True)
        if f
    ]
    top = float(max(np.abs(t[np.isfinite(t)]).max(initial=0) for t in tables))
    alike = agreement(*tables)
    if isfinite(alike):
        st.caption(
            f"Over the pairs of classes the two correlate with r = {alike:.2f}: 1 is the same "
            "arrangement of the classes, 0 is none in common."
        )
    for name, column, where, table, side in zip(
        names, st.columns(2, gap="medium"), at, tables, SIDES, strict=True
    ):
        with column:
            st.markdown(f"**{plain(name)}**")
            if not np.isfinite(table).any():
                st.warning("These weights are not finite: the training diverged.")
                continue
            text = (
                f"1 − correlation of the class averages at {where.replace('_', ' ')}, over all "
                f"{count:,} test images; it does not depend on how large the numbers are, so that "
                f"models can be compared. Both runs share one colour scale, to {top:.3g}. Look for "
                "pairs that only one of them keeps apart."
            )
            classes = list(info.class_names)
            figure = matrix(table, classes, theme(), top=top)
            saved = matrix_table("class", classes, classes, table)
            draw(figure, f"distances-{side}", text, {"distances": table}, table=saved)


def _taken(values: dict[str, np.ndarray], names: list[str]) -> str:
    """What a classifier takes the image for, and how sure it is."""
    if "logits" not in values:
        return ""
    shares = softmax(values["logits"])
    best = int(shares.argmax())
    return f"; taken for {names[best]} ({100 * shares[best]:.1f} % sure)"


def _has_weights(run: Run) -> bool:
    try:
        return run.weights_path().exists()
    except ValueError:
        return False
