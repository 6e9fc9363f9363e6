"""The representation as it forms: ten probe images, one of each class, at every stage."""

import numpy as np
import streamlit as st

from ndmixer.accounting import Stage, accounting
from ndmixer.app.maps import Column, Scale, show_maps
from ndmixer.datasets import DATASETS
from ndmixer.figures import as_image
from ndmixer.geometry import distance_matrix
from ndmixer.spec import ModelSpec, format_shape

Arrays = dict[str, np.ndarray]

MOST_COLUMNS = 12  # side by side; more could not be told apart
MOST_NUMBERS = 250_000  # sent to the browser several times a second


def forming(model: ModelSpec, live: Arrays, caption: str, chosen: str) -> None:
    """Draws the probes at the stages, side by side.

    Args:
        model: The architecture.
        live: For each stage an array of shape `(probes, *stage.shape)`, and `labels`.
        caption: Which moment it is.
        chosen: Name of the stage that is marked.
    """
    there = [stage for stage in accounting(model).stages if stage.name in live]
    stages = shown(there, chosen, len(live["labels"]))
    columns = [
        Column(_title(stage.name), _shape(stage), _images(live[stage.name])) for stage in stages
    ]
    with st.container(horizontal=True, vertical_alignment="center"):
        some = "" if len(stages) == len(there) else f", {len(stages)} of {len(there)} stages"
        st.markdown(f"**The forming representation** · {caption}{some}")
        shared = st.toggle("One scale for all stages", key="one_scale", persist_state="session")
    show_maps(
        columns,
        _labels(live),
        key="forming",
        scale="shared" if shared else "own",
        marked=_title(chosen),
        label="Representation at every stage",
    )


def shown(stages: list[Stage], chosen: str, images: int) -> list[Stage]:
    """The stages that stand side by side: all, or the chosen one and some of the rest.

    Args:
        stages: All stages.
        chosen: Name of one of them.
        images: How many images are shown at each.

    Returns:
        At most `MOST_COLUMNS` and `MOST_NUMBERS`, but for the chosen one, in order: those
        that are no block first, then blocks evenly over the depth.
    """
    blocks = [stage for stage in stages if stage.axes]
    others = [stage for stage in stages if not stage.axes]
    room = max(0, MOST_COLUMNS - len(others))
    if len(blocks) > room:
        blocks = [blocks[i] for i in np.linspace(0, len(blocks) - 1, room).round().astype(int)]
    numbers, kept = 0, {chosen}
    for stage in [*others, *blocks]:
        numbers += images * int(np.prod(stage.shape))
        if numbers <= MOST_NUMBERS:
            kept.add(stage.name)
    return [stage for stage in stages if stage.name in kept]


def one_stage(live: Arrays, caption: str, chosen: str) -> None:
    """Draws the probes at one stage, large.

    Args:
        live: As for `forming`.
        caption: Which moment it is.
        chosen: Name of the stage.
    """
    shape = format_shape(live[chosen].shape[1:]).replace("x", " × ")
    st.markdown(f"**At {_title(chosen)}**, {shape} · {caption}")
    label = f"Ten images at {_title(chosen)}"
    _row_of_ten(_labels(live), {"": live[chosen]}, "probes", label)


def geometry(averages: Arrays, chosen: str) -> None:
    """Draws the class averages at one stage, and their distances.

    Args:
        averages: For each stage an array of shape `(classes, *stage.shape)`, and `step`,
            `images`.
        chosen: Name of the stage; a stage that is not in `averages` is passed over.
    """
    if chosen not in averages:
        return
    st.markdown(
        f"**The forming geometry** · class averages at {_title(chosen)} of the first "
        f"{int(averages['images']):,} test images at step {int(averages['step']):,}, and the "
        "root-mean-square distances between them"
    )
    means = averages[chosen]
    names = [str(c) for c in range(len(means))]
    _row_of_ten(names, {"": means}, "averages", f"Class averages at {_title(chosen)}")
    distances = distance_matrix(means)
    show_maps(
        [Column(c, "", row[:, None, None]) for c, row in zip(names, distances, strict=True)],
        names,
        key="distances",
        cell=26,
        label="Distances between class averages",
    )


def reconstructions(model: ModelSpec, dataset: str, live: Arrays, caption: str) -> None:
    """Draws the inputs of an autoencoder above what it makes of them, and the difference.

    Args:
        model: An autoencoder.
        dataset: Name of its data set, whose images have a shape of their own.
        live: As for `forming`.
        caption: Which moment it is.
    """
    last = accounting(model).stages[-1].name
    if last not in live or last == "input":
        return
    inputs, outputs = (_pictures(live[name], dataset) for name in ("input", last))
    rmse = float(np.sqrt(np.mean((outputs - inputs) ** 2)))
    st.markdown(
        f"**Reconstructions** · {caption}, RMSE {rmse:.4f}; the outputs lie between "
        f"{outputs.min():.2f} and {outputs.max():.2f}".replace("-", "−")
    )
    pairs = {"input": inputs, "output": outputs}
    _row_of_ten(_labels(live), pairs, "reconstructions", "Inputs and reconstructions", grey=True)
    difference = {"difference": outputs - inputs}
    _row_of_ten(_labels(live), difference, "differences", "Output minus input")


def _row_of_ten(
    names: list[str], rows: dict[str, np.ndarray], key: str, label: str, grey: bool = False
) -> None:
    """A column for each image, a row for each kind; arrays of shape `(images, *shape)`."""
    pictures = [_images(values) for values in rows.values()]
    columns = [
        Column(name, "", np.stack([picture[i] for picture in pictures]))
        for i, name in enumerate(names)
    ]
    scale: Scale = "grey" if grey else "shared"
    show_maps(columns, list(rows), key=key, scale=scale, cell=72, wrap=True, label=label)


def _images(values: np.ndarray) -> np.ndarray:
    return np.stack([as_image(value) for value in values.astype(np.float32)])


def _pictures(values: np.ndarray, dataset: str) -> np.ndarray:
    """The images in the shape of their data set, the colours of each one above another."""
    shape = DATASETS[dataset].sample_shape if dataset in DATASETS else values.shape[1:]
    values = values.astype(np.float32).reshape(-1, *shape)
    if len(shape) == 3 and shape[-1] == 3:
        values = np.moveaxis(values, -1, 1).reshape(len(values), 3 * shape[0], shape[1])
    return values


def _labels(live: Arrays) -> list[str]:
    return [str(label) for label in live["labels"]]


def _shape(stage: Stage) -> str:
    return format_shape(stage.shape).replace("x", "×")


def _title(name: str) -> str:
    return name.replace("_", " ")
