"""Blocks made weaker and axes cut, and what that does to the model at once."""

from math import prod
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.accounting import Stage, accounting, last_block
from ndmixer.app.choices import choose, named, put, show
from ndmixer.app.downloads import matrix_table
from ndmixer.app.explorer import Place, answer, draw, theme
from ndmixer.figures import matrix
from ndmixer.geometry import confusion_matrix
from ndmixer.spec import ModelSpec

BLOCKS = 8  # whose controls are shown at once
COLUMNS = 4
QUICK_IMAGES = 2_000
QUICK_NUMBERS = 160_000_000  # that all kernels make of all images: about a second on two cores
BLOCK = "block"  # what is cut where no axis is named
STEP = 0.05  # of a slider


class Change(NamedTuple):
    """What is done to a block: its gate multiplied, and what of it is cut."""

    factor: float = 1.0
    cut: tuple[str, ...] = ()


@st.fragment
def show_surgery(place: Place, gates: np.ndarray | None) -> None:
    """Controls for every block, and the model with and without what they say.

    Args:
        place: Where one looks: the weights and the images.
        gates: The value of each block's gate; None of a model without gates.
    """
    spec = place.run.model_spec
    blocks = [stage for stage in accounting(spec).stages if stage.axes]
    st.markdown("**Surgery**")
    if not blocks:
        st.info("This model has no blocks, so there is none to weaken and no axis to cut.")
        return
    said = _said(blocks)
    show("surgery", _written(said))
    st.caption(_what_it_does(spec))
    for block, column in zip(shown := _shown(blocks), _places(len(shown)), strict=True):
        with column:
            number = blocks.index(block)
            _controls(blocks, number, said, None if gates is None else float(gates[number]))
    factors, without = {}, []
    for block, (factor, cut) in zip(blocks, said, strict=True):
        if BLOCK in cut:
            factor = 0.0
        if factor != 1:
            factors[block.name] = factor
        without += [axis.name for axis in block.axes if _axis(axis) in cut]
    with st.container(horizontal=True, vertical_alignment="center"):
        changed = bool(factors or without)
        st.button(
            "Reset",
            icon=":material/restart_alt:",
            on_click=choose,
            args=("surgery", ""),
            disabled=not changed,
        )
        st.caption(_changes(factors, without), width="stretch")
    images = place.part, _count(spec, place)
    found = answer(jobs.surgery(place.run, place.step, *images, factors, without))
    if found is not None:
        _show(place, found, changed)


def _count(spec: ModelSpec, place: Place) -> int:
    """How many images: all, unless that takes long and nobody asked for it."""
    stages = accounting(spec).stages
    numbers = sum(prod(linear.shape) for stage in stages for linear in stage.linears)
    if place.count <= QUICK_IMAGES or place.count * numbers <= QUICK_NUMBERS:
        return place.count
    whole = st.toggle(
        f"All {place.count:,} images, not only the first {QUICK_IMAGES:,}",
        key="surgery-on-all",
        persist_state="session",
        help="This model is large: the answer takes longer.",
    )
    return place.count if whole else QUICK_IMAGES


def _shown(blocks: list[Stage]) -> list[Stage]:
    """All blocks, or of many some that are chosen."""
    if len(blocks) <= BLOCKS:
        return blocks
    starts = list(range(0, len(blocks), BLOCKS))
    start = st.selectbox(
        "Blocks",
        starts,
        format_func=lambda i: f"{i} to {min(i + BLOCKS, len(blocks)) - 1}",
        key=f"blocks-{len(blocks)}",
        persist_state="session",
        width=160,
    )
    return blocks[start : start + BLOCKS]


def _places(count: int) -> list[Any]:
    """One for each block, row by row."""
    width = min(COLUMNS, max(2, count))
    rows = [st.columns(width, gap="medium") for _ in range(-(-count // width))]
    return [column for row in rows for column in row][:count]


def _controls(blocks: list[Stage], number: int, said: list[Change], gate: float | None) -> None:
    """Of one block; what is chosen goes into the address."""
    block, state = blocks[number], st.session_state
    factor_key, cut_key = f"factor-{block.name}", f"cut-{block.name}"
    factor, cut = said[number]
    put(factor_key, factor)
    put(cut_key, list(cut))

    def take() -> None:
        changes = _said(blocks)
        changes[number] = Change(state[factor_key], tuple(state[cut_key]))
        choose("surgery", _written(changes))

    st.slider(
        block.name.replace("_", " "),
        *(0.0, 2.0),
        step=STEP,
        format="%.2f ×",
        key=factor_key,
        on_change=take,
    )
    st.pills(
        "Cut",
        _parts(block),
        selection_mode="multi",
        wrap=True,
        key=cut_key,
        on_change=take,
    )
    if gate is not None:
        now = 0.0 if BLOCK in cut else gate * factor
        told = f"gate {gate:.3f}" + ("" if now == gate else f" → {now:.3f}")
        st.caption(told.replace("-", "−"))


def _axis(stage: Stage) -> str:
    """`axis 1` of `block_0/axis_1`."""
    return stage.name.split("/")[-1].replace("_", " ")


def _parts(block: Stage) -> list[str]:
    """What can be cut of it."""
    return [BLOCK, *map(_axis, block.axes)]


def _said(blocks: list[Stage]) -> list[Change]:
    """What is chosen for each block, as `_written` has it; what this model has not is left out."""
    found = [Change()] * len(blocks)
    for words in named("surgery").split(","):
        number, factor, *cut = [*words.split(":"), ""]
        if number.isdecimal() and len(number) < 10 and int(number) < len(blocks):
            parts = [part for part in _parts(blocks[int(number)]) if part.replace(" ", "_") in cut]
            found[int(number)] = Change(_factor(factor), tuple(parts))
    return found


def _factor(text: str) -> float:
    """The factor of this text on the slider, 1 if it is none."""
    try:
        steps = round(float(text) / STEP)
    except (ValueError, OverflowError):
        return 1.0
    return round(min(max(steps * STEP, 0.0), 2.0), 2)


def _written(changes: list[Change]) -> str:
    """Number, factor and cuts of each block that is changed: `1:0.5,3:1:axis_2`."""
    return ",".join(
        ":".join([str(number), f"{factor:g}", *(part.replace(" ", "_") for part in cut)])
        for number, (factor, cut) in enumerate(changes)
        if (factor, cut) != Change()
    )


def _what_it_does(spec: ModelSpec) -> str:
    parts = [
        "A slider multiplies the gate of a block."
        if spec.gate
        else "This model has no gates: a slider multiplies what a block computes, as a gate would.",
        "Cutting an axis puts the identity in place of its MLP, which only blocks permit: before "
        "and after them an axis may change its size."
        if spec.embedding
        else "Cutting an axis puts the identity in place of its MLP.",
        "All this happens to a copy in memory; the run stays as it is.",
    ]
    if not spec.residual:
        parts.append(
            "Without a residual a block is all there is: a cut block hands on zeros, and nothing "
            "of the image is left."
        )
    return " ".join(parts)


def _changes(factors: dict[str, float], without: list[str]) -> str:
    cut = {name for name, factor in factors.items() if not factor}
    said = [
        f"{name} cut" if name in cut else f"{name} × {factor:.2f}"
        for name, factor in factors.items()
    ]
    said += [f"{name.replace('/', ' without ')}" for name in without]
    told = ", ".join(said).replace("_", " ")
    return f"Now: {told}." if told else "Nothing is changed yet: move a slider or cut something."


def _show(place: Place, found: dict[str, np.ndarray], changed: bool) -> None:
    classifier, labels = "before/predictions" in found, found["labels"]
    which = "test" if place.part == "test" else "training"
    names = list(place.data.class_names)
    with st.container(horizontal=True, key="effect"):
        if classifier:
            _accuracy(found["before/predictions"], found["after/predictions"], labels)
        else:
            before, after = (_rms(found[f"{when}/errors"]) for when in ("before", "after"))
            st.metric(f"RMSE over {len(labels):,} {which} images", f"{before:.4f}", width=230)
            delta = f"{after - before:+.4f}" if changed else None
            st.metric("After surgery", f"{after:.4f}", delta, delta_color="inverse", width=165)
    if classifier:
        known = place.named()
        tables = [
            confusion_matrix(labels, found[f"{when}/predictions"], len(known))
            for when in ("before", "after")
        ]
        mistakes = [table * ~np.eye(len(table), dtype=bool) for table in tables]
        text = (
            f"How many of {len(labels):,} {which} images of each class (row) the model takes for "
            "each class (column); only mistakes are coloured, both tables in one scale. Look for "
            "classes that are confused only after the surgery."
        )
        axes = "true class", "named class"
        _beside("confusion", "Confusion matrix", tables, mistakes, known, text, axes)
    last = last_block(place.run.model_spec).replace("_", " ")
    tables = [found["before/distances"], found["after/distances"]]
    text = (
        f"Root-mean-square difference between the class averages at {last}, both tables in one "
        "scale. Look for pairs that come closer: what was cut kept them apart."
    )
    title = f"Class distances at {last}"
    _beside("distances", title, tables, tables, names, text, ("class", "class"))


def _accuracy(before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> None:
    right = 100 * np.mean(before == labels), 100 * np.mean(after == labels)
    st.metric(f"Accuracy over {len(labels):,} images", f"{right[0]:.2f} %", width=210)
    moved = int(np.count_nonzero(before != after))
    delta = f"{right[1] - right[0]:+.2f} points" if moved else None
    st.metric("After surgery", f"{right[1]:.2f} %", delta, width=165)
    st.metric(
        "Named otherwise", f"{moved:,}", width=165, help="Images that are given another class."
    )


def _beside(
    key: str,
    title: str,
    tables: list[np.ndarray],
    coloured: list[np.ndarray],
    names: list[str],
    text: str,
    axes: tuple[str, str],
) -> None:
    """The untouched model and the other one, in one scale."""
    top = max(float(np.max(c, where=np.isfinite(c), initial=0)) for c in coloured)
    whens = ("before", "untouched"), ("after", "after surgery")
    for column, (when, what), table, colours in zip(
        st.columns(2, gap="medium"), whens, tables, coloured, strict=True
    ):
        with column:
            st.markdown(f"**{title}, {what}**")
            shown = matrix(table, names, theme(), coloured=colours, axes=axes, top=top)
            saved = matrix_table(axes[0], names, names, table)
            draw(shown, f"{key}-{when}", text, {key: table}, table=saved)


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(errors**2)))
