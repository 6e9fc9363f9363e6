"""The representation as it forms: ten probe images, one of each class, at every stage."""

import numpy as np
import streamlit as st

from ndmixer.accounting import Stage, accounting
from ndmixer.app.maps import Column, Maps, Scale, show
from ndmixer.datasets import DATASETS
from ndmixer.figures import as_image
from ndmixer.geometry import distance_matrix
from ndmixer.spec import ModelSpec, format_shape

Arrays = dict[str, np.ndarray]

MOST_COLUMNS = 12  # side by side; more could not be told apart
MOST_NUMBERS = 250_000  # sent to the browser several times a second


def show_forming(
    model: ModelSpec, dataset: str, live: Arrays, averages: Arrays | None, moment: str, stage: str
) -> None:
    """Draws all that is shown of the probes: see `pictures`."""
    shape = format_shape(live[stage].shape[1:]).replace("x", " × ")
    titles = {
        "reconstructions": "**Reconstructions**",
        "probes": f"**At {_title(stage)}**, {shape}",
        "forming": "**The forming representation**",
        "averages": "**The forming geometry**",
    }
    for key, maps in pictures(model, dataset, live, averages, moment, stage, one_scale()).items():
        with st.container(key=f"maps_{key}", gap="xxsmall"):
            if key == "forming":
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(titles[key])
                    st.toggle("One scale for all stages", key="one_scale", persist_state="session")
            elif key in titles:
                st.markdown(titles[key])
            show(maps, key)


def one_scale() -> bool:
    """Whether this session wants the colours of all stages in one scale."""
    return bool(st.session_state.get("one_scale", False))


def pictures(
    model: ModelSpec,
    dataset: str,
    live: Arrays,
    averages: Arrays | None,
    moment: str,
    stage: str,
    shared: bool,
) -> dict[str, Maps]:
    """All that is shown of the probes, in the order of the page, each by a name of its own.

    Args:
        model: The architecture.
        dataset: Name of its data set, whose images have a shape of their own.
        live: For each stage an array of shape `(probes, *stage.shape)`, and `labels`.
        averages: For each stage an array of shape `(classes, *stage.shape)`, and `step`,
            `images`; None before the first epoch is done.
        moment: What the probes are, and when.
        stage: Name of the stage that is chosen.
        shared: Whether the stages that stand side by side have one scale of colours.
    """
    found: dict[str, Maps] = {}
    if model.task == "autoencoder":
        found |= _reconstructions(model, dataset, live, moment)
    label = f"Ten images at {_title(stage)}"
    found["probes"] = _row_of_ten(_labels(live), {"": live[stage]}, label, moment)
    found["forming"] = _forming(model, live, moment, stage, shared)
    if averages and stage in averages:
        found |= _geometry(averages, stage)
    return found


def _forming(model: ModelSpec, live: Arrays, moment: str, chosen: str, shared: bool) -> Maps:
    """The probes at the stages, side by side."""
    there = [stage for stage in accounting(model).stages if stage.name in live]
    stages = shown(there, chosen, len(live["labels"]))
    columns = [
        Column(_title(stage.name), _shape(stage), _images(live[stage.name])) for stage in stages
    ]
    some = "" if len(stages) == len(there) else f", {len(stages)} of {len(there)} stages"
    return Maps(
        columns,
        _labels(live),
        scale="shared" if shared else "own",
        marked=_title(chosen),
        label="Representation at every stage",
        note=f"{moment}{some}",
    )


def _geometry(averages: Arrays, chosen: str) -> dict[str, Maps]:
    """The class averages at one stage, and their distances."""
    means = averages[chosen]
    names = [str(c) for c in range(len(means))]
    note = (
        f"class averages at {_title(chosen)} of the first {int(averages['images']):,} test images "
        f"at step {int(averages['step']):,}, and the root-mean-square distances between them"
    )
    distances = distance_matrix(means)
    columns = [Column(c, "", row[:, None, None]) for c, row in zip(names, distances, strict=True)]
    label = "Distances between class averages"
    return {
        "averages": _row_of_ten(names, {"": means}, f"Class averages at {_title(chosen)}", note),
        "distances": Maps(columns, names, cell=26, label=label),
    }


def _reconstructions(model: ModelSpec, dataset: str, live: Arrays, moment: str) -> dict[str, Maps]:
    """The inputs of an autoencoder above what it makes of them, and the difference."""
    last = accounting(model).stages[-1].name
    if last not in live or last == "input":
        return {}
    inputs, outputs = (_pictures(live[name], dataset) for name in ("input", last))
    rmse = float(np.sqrt(np.mean((outputs - inputs) ** 2)))
    note = (
        f"{moment}, RMSE {rmse:.4f}; the outputs lie between "
        f"{outputs.min():.2f} and {outputs.max():.2f}".replace("-", "−")
    )
    pairs, difference = {"input": inputs, "output": outputs}, {"difference": outputs - inputs}
    names = _labels(live)
    return {
        "reconstructions": _row_of_ten(names, pairs, "Inputs and reconstructions", note, "grey"),
        "differences": _row_of_ten(names, difference, "Output minus input"),
    }


def _row_of_ten(
    names: list[str], rows: Arrays, label: str, note: str = "", scale: Scale = "shared"
) -> Maps:
    """A column for each image, a row for each kind; arrays of shape `(images, *shape)`."""
    images = [_images(values) for values in rows.values()]
    columns = [
        Column(name, "", np.stack([image[i] for image in images])) for i, name in enumerate(names)
    ]
    return Maps(columns, list(rows), scale=scale, cell=72, wrap=True, label=label, note=note)


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
