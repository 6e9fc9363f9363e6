"""Two classes beside one another: their difference, their distance, what is confused."""

import numpy as np
import streamlit as st

from ndmixer import jobs
from ndmixer.app.choices import bind, choose
from ndmixer.app.explorer import Place, answer, draw, theme
from ndmixer.figures import as_bytes, layer_curves, layout_note, map_grid

SHOWN = 10  # confused images of each kind
PIXELS = 64  # height of one on the page


def choose_pair(
    names: list[str], distances: np.ndarray, confusion: np.ndarray | None
) -> tuple[int, int]:
    """Two classes, chosen here or by a click on a cell; at first those that are hardest to tell.

    Args:
        names: One a class.
        distances: Shape `(classes, classes)`.
        confusion: Of the same shape, or larger by classes that only the model has; None of an
            autoencoder.

    Returns:
        Two different class numbers.
    """
    likely, numbers = likeness(distances, confusion), list(range(len(names)))
    first, _ = np.unravel_index(likely.argmax(), likely.shape)
    with st.container(horizontal=True):
        a = st.selectbox(
            "Class",
            numbers,
            format_func=names.__getitem__,
            width=160,
            **bind("class", numbers, int(first)),
        )
        others = [number for number in numbers if number != a]
        b = st.selectbox(
            "and class",
            others,
            format_func=names.__getitem__,
            width=160,
            **bind("other", others, others[int(likely[a][others].argmax())]),
        )
    return a, b


def likeness(distances: np.ndarray, confusion: np.ndarray | None) -> np.ndarray:
    """How hard classes are to tell: how often they are confused; without mistakes, how close."""
    table = -np.where(np.isfinite(distances), distances, np.inf)
    if confusion is not None:
        confusion = confusion[: len(table), : len(table)]
    if confusion is not None and confusion.sum() > np.trace(confusion):
        table = (confusion + confusion.T).astype(float)
    table[np.eye(len(table), dtype=bool)] = -np.inf
    return table


def take_click(chart: str, names: list[str]) -> None:
    """Takes the pair of the cell that was clicked in a figure of this key."""
    points = st.session_state[chart].selection.points
    pair = [str(points[0][axis]) for axis in "yx"] if points else []
    if len(set(pair)) == 2 and set(pair) <= set(names):  # the model may name more classes
        choose("class", str(names.index(pair[0])))
        choose("other", str(names.index(pair[1])))


def show_pair(
    place: Place, found: dict[str, np.ndarray], names: list[str], pair: tuple[int, int], unit: str
) -> None:
    """Draws what differs between two classes.

    Args:
        place: Where one looks.
        found: The answer of `jobs.class_geometry`.
        names: One a class.
        pair: Two class numbers.
        unit: What the distances are.
    """
    a, b = pair
    left, right = st.columns([1, 1.6], gap="medium")
    with left:
        st.markdown(f"**{names[a]} minus {names[b]}**")
        difference = found["averages"][a] - found["averages"][b]
        shown = map_grid(difference[None], [f"{names[a]} − {names[b]}"], theme())
        text = (
            f"The average of {names[a]} minus that of {names[b]}: orange where {names[a]} is "
            "larger, blue where it is smaller. Look for the few places that tell them apart. "
            f"{layout_note(difference.shape)}"
        )
        draw(shown, "difference", text, {"difference": difference})
    with right:
        st.markdown("**Their distance through the layers**")
        table, names_of_stages = found["distances"], list(found["stages"])
        others = np.array([_mean_off_diagonal(values) for values in table])
        curves = {f"{names[a]} and {names[b]}": table[:, a, b], "mean of all pairs": others}
        text = (
            "Distance of the two classes at every stage, beside the mean of all pairs. Look for "
            "the layer that pulls them apart; a pair that stays below the mean is hard to tell."
        )
        shown = layer_curves(names_of_stages, curves, theme(), unit=unit, at=place.stage)
        data = {"stages": found["stages"], "distances": table}
        numbers = {"between / within": found["scatter"], "nearest is right": found["nearest"]}
        draw(shown, "layers", text, data, table={"stage": names_of_stages, **curves, **numbers})
    _confused(place, found, names, pair)


def _confused(
    place: Place, found: dict[str, np.ndarray], names: list[str], pair: tuple[int, int]
) -> None:
    st.markdown("**The images confused between them**")
    if "predictions" not in found:
        st.caption("An autoencoder names no class, so it confuses none.")
        return
    labels, predictions = found["labels"], found["predictions"]
    for a, b in (pair, pair[::-1]):
        mistaken = np.flatnonzero((labels == a) & (predictions == b))
        total = int(np.count_nonzero(labels == a))
        what = f"{len(mistaken):,} of {total:,} images of {names[a]} are taken for {names[b]}"
        st.caption(what + (f"; the first {SHOWN}:" if len(mistaken) > SHOWN else ""))
        if not len(mistaken):
            continue
        dataset, shown = place.run.train_spec.dataset, mistaken[:SHOWN]
        images = answer(lambda: jobs.pictures(dataset, place.part, shown))  # noqa: B023
        if images is not None:
            with st.container(horizontal=True, gap="small"):
                for index, image in zip(shown, images, strict=True):
                    st.image(picture(image), f"{index}", width=PIXELS)


def picture(image: np.ndarray) -> np.ndarray:
    """Bytes, enlarged so that the browser does not blur them; in colour if it has three."""
    pixels = as_bytes(image)
    times = max(1, -(-2 * PIXELS // len(pixels)))
    return pixels.repeat(times, axis=0).repeat(times, axis=1)


def _mean_off_diagonal(table: np.ndarray) -> float:
    values = table[~np.eye(len(table), dtype=bool)]
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")
