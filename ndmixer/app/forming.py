"""The representation as it forms: ten probe digits, one of each class, at every stage."""

import numpy as np
import streamlit as st

from ndmixer.accounting import accounting
from ndmixer.app.maps import Column, show_maps
from ndmixer.figures import as_image
from ndmixer.spec import ModelSpec, format_shape


def forming(model: ModelSpec, live: dict[str, np.ndarray], caption: str) -> None:
    """Draws the probes' representations of one moment.

    Args:
        model: The architecture.
        live: For each stage an array of shape `(probes, *stage.shape)`, and `labels`.
        caption: Which moment it is.
    """
    columns = [
        Column(
            stage.name.replace("_", " "),
            format_shape(stage.shape).replace("x", "×"),
            np.stack([as_image(value) for value in live[stage.name].astype(np.float32)]),
        )
        for stage in accounting(model).stages
        if stage.name in live
    ]
    rows = [str(label) for label in live["labels"]]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**The forming representation** · {caption}")
        shared = st.toggle("One scale for all stages", key="one_scale", persist_state="session")
    label = "Representation at every stage"
    show_maps(columns, rows, key="forming", own_scales=not shared, label=label)


def geometry(live: dict[str, np.ndarray], stage: str) -> None:
    """Draws the class averages after the last block and their distances.

    Args:
        live: `averages`, shape `(classes, *stage.shape)`; `distances`, classes by classes;
            `geometry_step`, `geometry_images`.
        stage: Where the averages were taken.
    """
    averages = np.stack([as_image(value) for value in live["averages"]])
    st.markdown(
        f"**The forming geometry** · class averages at {stage.replace('_', ' ')} and their "
        f"root-mean-square distances, step {int(live['geometry_step']):,}, first "
        f"{int(live['geometry_images']):,} test images"
    )
    show_maps(
        [Column(str(c), "", average[None]) for c, average in enumerate(averages)],
        [""],
        key="averages",
        cell=56,
        label="Class averages",
    )
    distances = live["distances"]
    names = [str(c) for c in range(len(distances))]
    show_maps(
        [Column(c, "", row[:, None, None]) for c, row in zip(names, distances, strict=True)],
        names,
        key="distances",
        cell=26,
        label="Distances between class averages",
    )
