"""What the page of depth and time draws, one function a figure."""

import numpy as np
import streamlit as st

from ndmixer.app.downloads import matrix_table
from ndmixer.app.explorer import Place, draw, theme
from ndmixer.app.read_runs import curves_of
from ndmixer.figures import layer_curves
from ndmixer.figures_depth import (
    block_curves,
    distances_over_time,
    stage_similarity_matrix,
    stages_over_time,
)

Found = dict[str, np.ndarray]


def draw_accuracy(place: Place, found: Found) -> None:
    """Draws how many classes two simple rules name right at each stage.

    Args:
        place: Where one looks.
        found: The answer of `jobs.stage_accuracy`.
    """
    curves = {
        "linear probe": 100 * found["probe"],
        "nearest class mean": 100 * found["nearest"],
    }
    text = (
        "How many test images two simple rules name right from each stage alone: a logistic "
        "regression on standardised numbers (L2, C = 0.1), and the nearest class mean. Both "
        f"learn from the first {found['fitted']:,} training images and are measured on the "
        f"first {found['measured']:,} test images. Look for the stage at which the answer can "
        "be read off; where only the probe rises, the classes are apart, but not yet gathered."
    )
    shown = layer_curves(list(found["stages"]), curves, theme(), unit="% right", at=place.stage)
    table = {"stage": found["stages"], **{f"{name}, %": c for name, c in curves.items()}}
    draw(shown, "accuracy-by-stage", text, found, table=table)


def draw_similarity(found: Found) -> None:
    """Draws how alike the stages are.

    Args:
        found: The answer of `jobs.stage_similarity`.
    """
    text = (
        "Linear CKA of any two stages (Kornblith et al. 2019; the unbiased estimate), over the "
        f"first {found['measured']:,} test images: 1 if both arrange the images alike up to "
        "rotation and scale, 0 if they have nothing in common. Look for squares along the "
        "diagonal, stretches of layers that change little; where one ends, much is changed."
    )
    names = list(found["stages"])
    figure = stage_similarity_matrix(found["similarity"], names, theme())
    table = matrix_table("stage", names, names, found["similarity"])
    draw(figure, "similarity", text, found, table=table)


def draw_distances(place: Place, found: Found) -> None:
    """Draws the distances between the classes at the chosen stage, from moment to moment.

    Args:
        place: Where one looks.
        found: The answer of `jobs.moments`.
    """
    names = list(found["stages"])
    tables = found["distances"][:, names.index(place.stage)]
    classifier = place.run.model_spec.task == "classifier"
    titles = [
        f"<b>After step {step:,}</b> · "
        + ("not finite" if not np.isfinite(score) else _score(score, classifier))
        for step, score in zip(found["steps"], found["score"], strict=True)
    ]
    text = (
        f"Root-mean-square difference between the class averages at {place.stage.replace('_', ' ')}"
        f", of the first {found['measured']:,} test images; the score above is measured on the "
        "same ones. All moments share one colour scale. Press Play or move the slider, and look "
        "for which classes come apart first, and which late or never."
    )
    figure = distances_over_time(
        tables, _steps(found), titles, list(place.data.class_names), theme()
    )
    draw(figure, "distances-over-time", text, {"distances": tables, **_moments(found)})


def draw_stages(found: Found) -> None:
    """Draws the accuracy of the nearest class mean for every stage and moment.

    Args:
        found: The answer of `jobs.moments`.
    """
    text = (
        "Per cent of the test images that lie nearest to the mean of their own class, from the "
        "input (below) to the output (above), over the training; the same images and rule as in "
        "the curve above; colours from 0 to 100 %. Look for the lowest row that tells the classes "
        "apart, and for whether it moves down as the training goes on."
    )
    figure = stages_over_time(found["nearest"], list(found["stages"]), _steps(found), theme())
    table = matrix_table("step", found["steps"], list(found["stages"]), found["nearest"])
    data = {"nearest": found["nearest"], **_moments(found)}
    draw(figure, "stages-over-time", text, data, table=table)


def draw_gates(place: Place) -> None:
    """Draws the gates over the training, as the run measured them, or says why there are none.

    Args:
        place: Where one looks.
    """
    spec = place.run.model_spec
    if not spec.depth or not spec.gate:
        why = "This model has no blocks" if not spec.depth else "Its blocks have no gate"
        st.info(f"{why}, so there are no gate values to follow.")
        return
    arrays = curves_of(place.run).arrays()
    gates = [arrays[f"gate_{i}"] for i in range(spec.depth) if f"gate_{i}" in arrays]
    steps = arrays["gate_step"]
    if not len(steps) or not gates:
        st.info("This run kept no record of its gates: it has not begun, or came as weights alone.")
        return
    text = (
        "The scalar by which each block multiplies what it adds, over the training; every gate "
        "starts at 0, where the block does nothing. Look for which blocks open first. The sign "
        "means little: the MLP before it can turn around."
    )
    table = np.stack(gates, axis=1)
    figure = block_curves(steps, table, theme(), unit="gate")
    saved = matrix_table("step", steps, _blocks(table), table)
    draw(figure, "gates", text, {"step": steps, "gates": table}, table=saved)


def draw_ratios(place: Place, found: Found) -> None:
    """Draws how large what each block adds is beside its input, or says why there is none.

    Args:
        place: Where one looks.
        found: The answer of `jobs.moments`.
    """
    spec = place.run.model_spec
    if not spec.depth:
        st.info("This model has no blocks, so nothing is added to anything.")
        return
    what = "gate × mixer" if spec.gate else "mixer"
    text = (
        f"Length of what each block makes ({what}) over the length of its input h, a mean over "
        f"the first {found['measured']:,} test images. "
        + (
            "At 1 it adds as much as it was given; near 0 it passes its input on. Look for "
            "blocks that do most of the work."
            if spec.residual
            else "Without a residual path this is all that is passed on. Look for blocks that "
            "enlarge or shrink their input."
        )
    )
    figure = block_curves(
        _steps(found), found["ratios"], theme(), unit=f"|{what}| / |h|", marks=True
    )
    table = matrix_table("step", found["steps"], _blocks(found["ratios"]), found["ratios"])
    data = {"ratios": found["ratios"], **_moments(found)}
    draw(figure, "contributions", text, data, table=table)


def _score(score: float, classifier: bool) -> str:
    return f"accuracy {100 * score:.1f} %" if classifier else f"RMSE {score:.4f}"


def _steps(found: Found) -> list[str]:
    return [f"{step:,}" for step in found["steps"]]


def _blocks(table: np.ndarray) -> list[str]:
    return [f"block {number}" for number in range(table.shape[1])]


def _moments(found: Found) -> Found:
    return {name: found[name] for name in ("steps", "stages", "score")}
